//! `put`: uploads files or standard input to the server.

use std::path::Path;

use quiver_client::PreparedTransfer;
use quiver_client::request::{ConflictPolicy, TransferOptions, UploadContent, UploadRequest};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::ui_mode::UiMode;
use crate::unix;

/// Uploads files.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::PutArgs,
) -> Result<(), Failure> {
    let prepared = prepare(interface, arguments)?;
    let style = TransferStyle { json: arguments.json, ..TransferStyle::default() };
    interface.transfer(prepared, style).await
}

/// Checks the arguments without a connection.
///
/// # Errors
/// [`Failure`].
pub fn prepare(
    interface: &Interface,
    arguments: &cli::PutArgs,
) -> Result<PreparedTransfer, Failure> {
    let request = request(arguments, interface.output.mode())?;
    Ok(interface.client.prepare_upload(request)?)
}

fn request(arguments: &cli::PutArgs, mode: UiMode) -> Result<UploadRequest, Failure> {
    let options = arguments.multiple.options(arguments.overwrite, mode);
    let options = arguments.retry.apply_to(options, arguments.json);
    let mut options =
        TransferOptions { resume: !arguments.no_resume, rate_limit: arguments.limit, ..options };
    let is_stdin = arguments.files.iter().any(|file| file == Path::new("-"));
    let content = if is_stdin {
        if arguments.files.len() > 1 {
            let what = "standard input and files cannot be stored by one command";
            return Err(Failure::usage(what, "use two commands; ./- is the file called -"));
        }
        match mode {
            UiMode::OneShot => {}
            UiMode::Batch => {
                let what = "standard input holds the commands, not a file's content";
                return Err(Failure::usage(what, "put FILE stores a file"));
            }
            UiMode::Prompt => {
                let what = "put - cannot read from the terminal of the prompt";
                return Err(Failure::usage(what, "put FILE stores a file"));
            }
        }
        // Standard input is the content, so it cannot answer questions.
        if options.on_conflict == ConflictPolicy::Ask {
            options.on_conflict = ConflictPolicy::Fail;
        }
        UploadContent::Stream(Box::new(
            unix::raw_stdin()
                .map_err(|source| Failure::system("cannot read standard input", source))?,
        ))
    } else {
        UploadContent::Paths(arguments.files.clone())
    };
    let (to, stored_as) = (arguments.to.clone(), arguments.stored_as.clone());
    Ok(UploadRequest { content, to, stored_as, options })
}
