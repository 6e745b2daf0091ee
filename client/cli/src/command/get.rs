//! `get`: files from the server, from where an earlier attempt stopped.

use quiver_client::PreparedTransfer;
use quiver_client::request::{Destination, DownloadRequest};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::ui_mode::UiMode;
use crate::unix;

/// Fetches files.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::GetArgs,
) -> Result<(), Failure> {
    let prepared = prepare(interface, arguments).await?;
    if let Some(kept) = prepared.nothing_to_do() {
        return Err(kept.into());
    }
    let style = TransferStyle { json: arguments.json, is_awaited: false };
    interface.transfer(prepared, style).await
}

/// Checks what can be checked before a server is dialled, and asks about files that exist: no connection waits for
/// a person.
///
/// # Errors
/// [`Failure`].
pub async fn prepare(
    interface: &mut Interface,
    arguments: &cli::GetArgs,
) -> Result<PreparedTransfer, Failure> {
    if arguments.is_streamed() {
        if interface.output.mode() == UiMode::Prompt {
            let what = "the prompt has the terminal: no content can be written to it";
            return Err(Failure::usage(what, "-o DIR stores the files in a folder"));
        }
        if arguments.json {
            let what = "--json and the content cannot share standard output";
            return Err(Failure::usage(what, "-o DIR stores the files"));
        }
    }
    let destination = if arguments.is_streamed() {
        Destination::Stream(Box::new(unix::raw_stdout().map_err(Failure::output)?))
    } else {
        Destination::Folder(arguments.output.clone())
    };
    let options = arguments.many.options(arguments.overwrite, interface.output.mode());
    let options = arguments.hold.set(options, arguments.json);
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
