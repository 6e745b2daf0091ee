//! One command, from its arguments to what is shown: the same for the command line, for lines out of
//! a pipe, and for the prompt.

mod change;
mod get;
mod input;
mod put;
mod resume;
mod tally;
mod transfers;
mod trees;

use chrono::Local;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FolderPath, Refusal, RefusalCode, Request};

use crate::cli;
use crate::connection::Session;
use crate::failure::Failure;
use crate::output::{Face, Output, Rows, human, json};
use quiver_client::action::{self, Listed};

pub use change::{Removal, mkdir, mv};
pub use get::{NOBODY, Nobody, Order, Receipt};
pub use put::{StoredReceipt, Upload};
pub use resume::{Given, Resume};
pub use transfers::transfers;

/// Sends a message and prints the answer.
///
/// # Errors
/// [`Failure`].
pub async fn message(session: &Session, output: &Output, text: &str) -> Result<(), Failure> {
    let what = "cannot send the message";
    let length = Request::Message { text: text.to_owned() }.encode().len();
    let limit = session.welcome.limits.message;
    if length > limit {
        let why = format!("it has {length} bytes where at most {limit} are allowed");
        return Err(Failure::refused(what, Refusal::new(RefusalCode::TooLarge, why)));
    }
    let answer = action::message(&session.connection, text, session.patience).await;
    let answer = answer.map_err(|error| Failure::stream(what, error))?;
    let mut rows = Rows::of_the_server(output);
    rows.push(&display_safe(&answer)).await?;
    rows.finish().await
}

/// Prints who is and was here.
///
/// # Errors
/// [`Failure`].
pub async fn status(
    session: &Session,
    output: &Output,
    arguments: &cli::Status,
) -> Result<(), Failure> {
    let failed = |error| Failure::stream("cannot show who is here", error);
    let mut clients =
        action::status(&session.connection, session.patience).await.map_err(failed)?;
    let mut rows = rows(output, arguments.json);
    while let Some(row) = clients.next().await.map_err(failed)? {
        let line = if arguments.json { json::line(&row) } else { human::client(&row, &Local) };
        rows.push(&line).await?;
    }
    rows.finish().await
}

/// Prints what is in a folder.
///
/// # Errors
/// [`Failure`].
pub async fn list(
    session: &Session,
    output: &Output,
    arguments: &cli::List,
) -> Result<(), Failure> {
    let what = || match arguments.path.as_str() {
        "" => "cannot list the files".to_owned(),
        path => format!("cannot list {}", display_safe(path)),
    };
    let failed = |error| Failure::stream(what(), error);
    let folder = folder(&arguments.path).map_err(|refusal| Failure::refused(what(), refusal))?;
    let mut entries =
        action::list(&session.connection, folder, session.patience).await.map_err(failed)?;
    let mut rows = rows(output, arguments.json);
    loop {
        match entries.next().await.map_err(failed)? {
            Listed::Entry(entry) if arguments.json => rows.push(&json::line(&entry)).await?,
            Listed::Entry(entry) => rows.push(&human::entry(&entry)).await?,
            Listed::End(end) => {
                rows.finish().await?;
                if end.entries == 0 && output.face() == Face::Prompt && !arguments.json {
                    output.say("Server: nothing there").await;
                }
                if end.not_served > 0 {
                    output.say(human::not_served(end.not_served)).await;
                }
                return Ok(());
            }
        }
    }
}

/// A folder as people write it: the slash that `list` shows behind its name may stay.
pub(crate) fn folder(typed: &str) -> Result<FolderPath, Refusal> {
    Ok(FolderPath::parse(typed.strip_suffix('/').unwrap_or(typed))?)
}

fn rows(output: &Output, json: bool) -> Rows<'_> {
    if json { Rows::bare(output) } else { Rows::of_the_server(output) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_be_written_as_it_is_shown() {
        for (typed, meant) in [("", ""), ("/", ""), ("notes", "notes"), ("a/b/", "a/b")] {
            assert_eq!(folder(typed).unwrap().as_str(), meant);
        }
        for bad in ["//", "/etc", "..", "a//"] {
            assert_eq!(folder(bad).unwrap_err().code, RefusalCode::BadPath, "{bad}");
        }
    }
}
