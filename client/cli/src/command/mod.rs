//! One command a file, from its arguments to what is shown: the same on the command line, for lines out of a pipe,
//! and at the prompt. Here is the table of them, and what the prompt knows of each.

pub mod get;
mod list;
mod message;
mod mkdir;
mod mv;
pub mod put;
mod resume;
pub mod rm;
mod status;
mod transfers;

use quiver_client::ClientError;
use quiver_client::error::Failures;

use crate::cli::CommandArgs;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::Output;

pub use resume::run as resume;
pub use transfers::run as transfers;

/// The words that begin a command at the prompt. With a slash before them they always do.
pub const AT_THE_PROMPT: [&str; 10] =
    ["status", "list", "get", "put", "rm", "mv", "mkdir", "help", "exit", "quit"];

/// What `help` says at the prompt.
pub const HELP: &str = "\
status [--json]                        who is and was here
list [PATH] [--json]                   the server's files
get PATH... [-r] [-o DIR]              fetch files, into the current folder where no DIR is given
put FILE... [-r] [--to DIR]            store files on the server, at its root where no DIR is given
                                       -r: folders too; --dry-run: only say what would be done
rm PATH... [--yes]                     remove the server's files and empty folders
mv FROM TO [--overwrite]               give the server's file or folder another path
mkdir PATH... [-p]                     make folders on the server
exit, quit                             leave; Ctrl-D too
help                                   this
/say TEXT                              a message, whatever it looks like
Any other line is a message. Commands may be written with a slash before them. Words with spaces are
quoted: get \"with space.txt\". Ctrl-C ends a running command, and on an empty line all transfers.";

/// Runs a command that needs the server.
///
/// # Errors
/// [`Failure`].
pub async fn run(interface: &mut Interface, command: &CommandArgs) -> Result<(), Failure> {
    match command {
        CommandArgs::Message(arguments) => message::run(interface, &arguments.text).await,
        CommandArgs::Status(arguments) => status::run(interface, arguments).await,
        CommandArgs::List(arguments) => list::run(interface, arguments).await,
        CommandArgs::Get(arguments) => get::run(interface, arguments).await,
        CommandArgs::Put(arguments) => put::run(interface, arguments).await,
        CommandArgs::Rm(arguments) => rm::run(interface, arguments).await,
        CommandArgs::Mv(arguments) => mv::run(interface, arguments).await,
        CommandArgs::Mkdir(arguments) => mkdir::run(interface, arguments).await,
        // These are run without one, or with several.
        CommandArgs::Resume(_)
        | CommandArgs::Transfers(_)
        | CommandArgs::Completions { .. }
        | CommandArgs::Man { .. } => Ok(()),
    }
}

/// Whether a command may be storing files on this computer when it ends; `None` is the prompt.
pub fn may_store(command: Option<&CommandArgs>) -> bool {
    match command {
        // The prompt may be told to.
        None | Some(CommandArgs::Put(_) | CommandArgs::Resume(_) | CommandArgs::Transfers(_)) => {
            true
        }
        Some(CommandArgs::Get(arguments)) => !arguments.is_streamed(),
        Some(
            CommandArgs::Message(_)
            | CommandArgs::Status(_)
            | CommandArgs::List(_)
            | CommandArgs::Rm(_)
            | CommandArgs::Mv(_)
            | CommandArgs::Mkdir(_)
            | CommandArgs::Completions { .. }
            | CommandArgs::Man { .. },
        ) => false,
    }
}

/// Sends a message and prints the answer.
///
/// # Errors
/// [`Failure`].
pub async fn say(interface: &mut Interface, text: &str) -> Result<(), Failure> {
    message::run(interface, text).await
}

/// One of several failed changes is told at once. Whether the others can still be made: those that cannot count as
/// failed.
async fn failed(failures: &mut Failures, output: &Output, error: ClientError, rest: usize) -> bool {
    let is_lost = error.is_lost_connection();
    if let Some(error) = failures.add(error, 1) {
        output.failure(&Failure::Client(error)).await;
    }
    if is_lost {
        failures.add_not_started(rest);
    }
    !is_lost
}
