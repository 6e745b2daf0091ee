//! One command a file, from its arguments to what is shown: the same on the command line, for lines out of a pipe,
//! and at the prompt.

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

use crate::cli::Command;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::Output;

pub use resume::run as resume;
pub use transfers::run as transfers;

/// Runs a command that needs the server.
///
/// # Errors
/// [`Failure`].
pub async fn run(interface: &mut Interface, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Message(arguments) => message::run(interface, &arguments.text).await,
        Command::Status(arguments) => status::run(interface, arguments).await,
        Command::List(arguments) => list::run(interface, arguments).await,
        Command::Get(arguments) => get::run(interface, arguments).await,
        Command::Put(arguments) => put::run(interface, arguments).await,
        Command::Rm(arguments) => rm::run(interface, arguments).await,
        Command::Mv(arguments) => mv::run(interface, arguments).await,
        Command::Mkdir(arguments) => mkdir::run(interface, arguments).await,
        // These are run without one, or with several.
        Command::Resume(_)
        | Command::Transfers(_)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
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
        failures.skipped(rest);
    }
    !is_lost
}
