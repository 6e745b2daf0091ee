//! Lines out of a pipe or a file: no prompt, no questions, data on standard output, the exit code of
//! the first failure. A connection that is lost between two lines is made again for the next.

use std::io::{self, BufRead as _};
use std::thread;

use quiver_client::event::ConnectionState;
use tokio::sync::mpsc;

use super::line::ParsedLine;
use super::{CONNECTED_AGAIN, connection_lost};
use crate::command;
use crate::command::HELP;
use crate::failure::{Exit, Failure};
use crate::interface::Interface;

/// Reads and runs lines to the end of the input, or to `exit`.
///
/// # Errors
/// [`Failure`] where there is no connection, or it is lost in the middle of a command, or cannot be made
/// again for the next one.
pub async fn batch(interface: &mut Interface) -> Result<Exit, Failure> {
    interface.connect().await?;
    interface.output.say("Connected to the server successfully.").await;
    let mut lines = lines()?;
    let mut first = Exit::Done;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            Some(event) = interface.next() => {
                if let Some(ConnectionState::Lost(why)) = interface.show(event).await?
                    && !interface.client.is_connected()
                {
                    interface.output.say(connection_lost(&why)).await;
                }
                continue;
            }
        };
        let Some(line) = line else { break };
        let line = line.map_err(|source| Failure::system("cannot read", source))?;
        let result = match ParsedLine::parse(&line) {
            Ok(ParsedLine::Exit) => break,
            Ok(meant) => {
                let asks = !matches!(meant, ParsedLine::Nothing | ParsedLine::Help);
                if asks && !interface.client.is_connected() {
                    interface.connect().await?;
                    interface.output.say(CONNECTED_AGAIN).await;
                }
                act(interface, meant).await.map_err(|failure| failure.of_line(&line))
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = result {
            if failure.is_lost_connection() || failure.is_output() {
                return Err(failure);
            }
            interface.output.failure(&failure).await;
            if first == Exit::Done {
                first = failure.exit();
            }
        }
    }
    interface.output.say("Closing connection to server...").await;
    interface.client.disconnect().await;
    interface.output.say("Connection closed.").await;
    Ok(first)
}

async fn act(interface: &mut Interface, line: ParsedLine) -> Result<(), Failure> {
    match line {
        ParsedLine::Nothing | ParsedLine::Exit => Ok(()),
        ParsedLine::Help => {
            interface.output.say(HELP).await;
            Ok(())
        }
        ParsedLine::Say(text) => command::say(interface, &text).await,
        ParsedLine::Command(command) => command::run(interface, &command).await,
    }
}

/// The lines of standard input, one at a time, read on a thread that is never waited for.
fn lines() -> Result<mpsc::Receiver<io::Result<String>>, Failure> {
    let (sender, lines) = mpsc::channel(1);
    let read = move || {
        for line in io::stdin().lock().lines() {
            let failed = line.is_err();
            if sender.blocking_send(line).is_err() || failed {
                return;
            }
        }
    };
    match thread::Builder::new().name("input".to_owned()).spawn(read) {
        Ok(_) => Ok(lines),
        Err(source) => Err(Failure::system("cannot read standard input", source)),
    }
}
