//! `put`: files to the server, and standard input.

use std::path::Path;

use quiver_client::PreparedTransfer;
use quiver_client::request::{ConflictPolicy, TransferOptions, UploadContent, UploadRequest};

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};
use crate::ui_mode::UiMode;
use crate::unix;

/// Stores files.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::PutArgs,
) -> Result<(), Failure> {
    let prepared = prepare(interface, arguments)?;
    let style = TransferStyle { json: arguments.json, is_awaited: false };
    interface.transfer(prepared, style).await
}

/// Checks what can be checked before a server is dialled.
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

fn request(arguments: &cli::PutArgs, face: UiMode) -> Result<UploadRequest, Failure> {
    let options =
        arguments.hold.set(arguments.many.options(arguments.overwrite, face), arguments.json);
    let mut options =
        TransferOptions { resume: !arguments.no_resume, rate_limit: arguments.limit, ..options };
    let from_input = arguments.files.iter().any(|file| file == Path::new("-"));
    let content = if from_input {
        if arguments.files.len() > 1 {
            let what = "standard input and files cannot be put together";
            return Err(Failure::usage(what, "two commands can; ./- is a file called -"));
        }
        match face {
            UiMode::OneShot => {}
            UiMode::Batch => {
                let what = "standard input has the commands: it cannot be content too";
                return Err(Failure::usage(what, "put FILE stores a file"));
            }
            UiMode::Prompt => {
                let what = "the prompt has the terminal: it cannot be content";
                return Err(Failure::usage(what, "put FILE stores a file"));
            }
        }
        // What goes to standard input is content, not answers.
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
