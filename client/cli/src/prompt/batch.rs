//! Lines out of a pipe or a file: no prompt, no questions, data on standard output, the exit code of
//! the first failure. A connection that is lost between two lines is made again for the next.

use std::io::{self, BufRead as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::line::{HELP, Line};
use super::{CONNECTED_AGAIN, connection_lost, news};
use crate::command::{self, NOBODY, Order, Removal, Upload};
use crate::connection::{Connector, Link, Session};
use crate::failure::{Exit, Failure};
use crate::output::{Output, human};
use quiver_client::action;

/// How long the goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Reads and runs lines to the end of the input, or to `exit`.
///
/// # Errors
/// [`Failure`] where there is no connection, or it is lost in the middle of a command, or cannot be made
/// again for the next one.
pub async fn batch(mut connector: Connector, output: &Output) -> Result<Exit, Failure> {
    let mut session = connector.connect().await?;
    let link = Link::new(connector, &session);
    output.say("Connected to the server successfully.").await;
    let mut lines = lines()?;
    let mut first = Exit::Done;
    // Whether the loss of this connection was said.
    let mut is_told = false;
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            Some(event) = session.events.next() => {
                if let Some(news) = news(&event) {
                    output.say(news).await;
                }
                continue;
            }
            ended = session.connection.closed(), if !is_told => {
                is_told = true;
                output.say(connection_lost(&ended.into())).await;
                continue;
            }
        };
        let Some(line) = line else { break };
        let result = match line.map_err(|source| Failure::System { what: "cannot read", source }) {
            Ok(line) => match Line::parse(&line) {
                Ok(Line::Exit) => break,
                Ok(meant) => {
                    let asks = !matches!(meant, Line::Nothing | Line::Help);
                    if asks && session.connection.close_reason().is_some() {
                        session = link.reconnect().await?;
                        is_told = false;
                        output.say(CONNECTED_AGAIN).await;
                    }
                    act(&session, &link, output, meant).await.map_err(|error| error.of_line(&line))
                }
                Err(failure) => Err(failure),
            },
            Err(failure) => return Err(failure),
        };
        // A transfer may have made another.
        if let Some(fresh) = link.fresh() {
            (session, is_told) = (fresh, false);
        }
        if let Err(failure) = result {
            if failure.is_lost_connection() || matches!(failure, Failure::Output(_)) {
                return Err(failure);
            }
            output.failure(&failure).await;
            if first == Exit::Done {
                first = failure.exit();
            }
        }
    }
    output.say("Closing connection to server...").await;
    // A failing goodbye fails nothing else.
    let _ = action::goodbye(&session.connection, GOODBYE).await;
    output.say("Connection closed.").await;
    Ok(first)
}

async fn act(session: &Session, link: &Link, output: &Output, line: Line) -> Result<(), Failure> {
    match line {
        Line::Nothing | Line::Exit => Ok(()),
        Line::Say(text) => command::message(session, output, &text).await,
        Line::Status(arguments) => command::status(session, output, &arguments).await,
        Line::List(arguments) => command::list(session, output, &arguments).await,
        Line::Get(arguments) => {
            let order = Order::prepare(&arguments, NOBODY).await?;
            order.fetch(link, output.clone(), Arc::new(human::received)).await
        }
        Line::Put(arguments) => {
            let mut upload = Upload::prepare(&arguments)?;
            if upload.is_streamed() {
                let what = "standard input has the commands: it cannot be content too";
                return Err(Failure::usage(what, "put FILE stores a file"));
            }
            upload.settle(session, NOBODY).await?;
            upload.store(link, output.clone(), Arc::new(human::stored)).await
        }
        Line::Rm(arguments) => match Removal::prepare(&arguments, NOBODY).await? {
            Some(removal) => removal.run(session, output).await,
            None => Ok(()),
        },
        Line::Mv(arguments) => command::mv(session, output, &arguments).await,
        Line::Mkdir(arguments) => command::mkdir(session, output, &arguments).await,
        Line::Help => {
            output.say(HELP).await;
            Ok(())
        }
    }
}

/// The lines of standard input, one at a time, read on a thread that nobody waits for.
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
        Err(source) => Err(Failure::System { what: "cannot read standard input", source }),
    }
}
