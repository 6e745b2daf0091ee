//! `get`: downloads files from the server, and resumes interrupted downloads.

use quiver_client::PreparedTransfer;
use quiver_client::request::{Destination, DownloadRequest};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::ui_mode::UiMode;
use crate::unix;

/// Downloads files.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::GetArgs,
) -> Result<(), Failure> {
    let prepared = prepare(interface, arguments).await?;
    let style = TransferStyle { json: arguments.json, ..TransferStyle::default() };
    interface.transfer(prepared, style).await
}

/// Checks the arguments without a connection.
///
/// # Errors
/// [`Failure`].
pub async fn prepare(
    interface: &mut Interface,
    arguments: &cli::GetArgs,
) -> Result<PreparedTransfer, Failure> {
    if arguments.is_streamed() {
        if arguments.stored_as.is_some() {
            let what = "--as and -o - cannot both name the destination";
            return Err(Failure::usage(what, "-o DIR --as NAME stores a file"));
        }
        if interface.output.mode() == UiMode::Prompt {
            let what = "get -o - cannot write to the terminal of the prompt";
            return Err(Failure::usage(what, "-o DIR stores the files in a folder"));
        }
        if arguments.json {
            let what = "--json and -o - cannot both use standard output";
            return Err(Failure::usage(what, "-o DIR stores the files"));
        }
    }
    let destination = if arguments.is_streamed() {
        Destination::Stream(Box::new(unix::raw_stdout().map_err(Failure::output)?))
    } else {
        let folder = arguments.output.clone();
        match arguments.stored_as.clone() {
            Some(name) => Destination::Renamed { folder, name },
            None => Destination::Folder(folder),
        }
    };
    let options = arguments.multiple.options(arguments.overwrite, interface.output.mode());
    let options = arguments.retry.apply_to(options, arguments.json);
    let request = DownloadRequest {
        paths: arguments.paths.clone(),
        destination,
        options: quiver_client::request::TransferOptions {
            resume: !arguments.no_resume,
            rate_limit: arguments.limit,
            ..options
        },
    };
    let client = interface.client.clone();
    Ok(interface.drive(client.prepare_download(request)).await??)
}
