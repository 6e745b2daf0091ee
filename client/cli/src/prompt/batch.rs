//! Runs commands from a pipe or a file, without a prompt or questions. Data goes to standard output; the exit
//! code is that of the first failure. If the connection is lost between two lines, the next line reconnects.

mod input;

use std::{io, thread};

use quiver_client::event::ConnectionState;
use tokio::sync::mpsc;

use self::input::{InputLine, Lines};
use super::line::ParsedLine;
use super::{CONNECTED_AGAIN, connection_lost, parse_line};
use crate::command;
use crate::failure::{Exit, Failure};
use crate::interface::Interface;
use crate::prompt_help;

/// How piped commands run.
#[derive(Debug, Clone, Copy)]
pub struct BatchOptions {
    /// Stop at the first failure.
    pub fail_fast: bool,
    /// Each command has `--json`.
    pub json: bool,
}

/// Reads and runs lines up to the end of input or `exit`; with `fail_fast`, up to the first failure.
///
/// # Errors
/// [`Failure`] if the client cannot connect or reconnect, or loses the connection during a command.
pub async fn run_batch(interface: &mut Interface, options: BatchOptions) -> Result<Exit, Failure> {
    interface.connect().await?;
    interface.output.say("Connected to the server successfully.").await;
    let mut lines = read_lines()?;
    let mut exit = Exit::Done;
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
        let number = line.number;
        interface.output.json().set(options.json || names_json(&line));
        let result = match parse_input(line).await {
            Ok((_, ParsedLine::Exit)) => break,
            Ok((text, mut parsed)) => {
                let json = parsed.is_json(options.json);
                interface.output.json().set(json);
                if parsed.needs_connection() && !interface.client.is_connected() {
                    interface.connect().await.map_err(|failure| failure.at_line(number))?;
                    interface.output.say(CONNECTED_AGAIN).await;
                }
                run_line(interface, parsed, json).await.map_err(|failure| failure.in_line(&text))
            }
            Err(failure) => Err(failure),
        };
        let Err(failure) = result else {
            interface.output.json().set(options.json);
            continue;
        };
        if failure.is_output_failure() {
            return Err(failure);
        }
        let failure = failure.at_line(number);
        if failure.is_lost_connection() {
            return Err(failure);
        }
        interface.output.failure(&failure).await;
        interface.output.json().set(options.json);
        if exit == Exit::Done {
            exit = failure.exit();
        }
        if options.fail_fast {
            break;
        }
    }
    interface.output.say("Closing connection to server...").await;
    interface.client.disconnect().await;
    interface.output.say("Connection closed.").await;
    Ok(exit)
}

/// Whether a line that may not be valid has the flag `--json`.
fn names_json(line: &InputLine) -> bool {
    line.text.as_ref().is_ok_and(|text| text.split_whitespace().any(|word| word == "--json"))
}

/// Parses a line. Also returns its text.
async fn parse_input(line: InputLine) -> Result<(String, ParsedLine), Failure> {
    let text = line.text?;
    let parsed = parse_line(text.clone()).await?;
    Ok((text, parsed))
}

async fn run_line(
    interface: &mut Interface,
    parsed: ParsedLine,
    json: bool,
) -> Result<(), Failure> {
    match parsed {
        ParsedLine::Blank | ParsedLine::Exit => Ok(()),
        ParsedLine::NearMiss(near) => Err(near.into_failure()),
        ParsedLine::Help => {
            let width = interface.output.message_width();
            interface.output.say(prompt_help::wrapped(width)).await;
            Ok(())
        }
        ParsedLine::Message(text) => command::send_message(interface, &text, json).await,
        ParsedLine::Command(command) => command::run(interface, &command).await,
    }
}

/// Reads the lines of standard input on a separate thread, which the end of the program does not wait for.
fn read_lines() -> Result<mpsc::Receiver<io::Result<InputLine>>, Failure> {
    let (sender, lines) = mpsc::channel(1);
    let read = move || {
        for line in Lines::new(io::stdin().lock()) {
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
