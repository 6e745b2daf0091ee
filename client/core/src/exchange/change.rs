//! `remove`, `rename`, `make_folder`: changes of what is called what on the server.

use std::time::Duration;

use quiver_protocol::{FilePath, MadeFolder, PlainEnd, Request, Timestamp};
use quiver_transport::{Channel, StreamError};

use super::{ResponsePart, ResponseReader, unexpected_reply};

/// Removes a file, or a folder with nothing in it.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn remove(
    connection: &Channel,
    path: FilePath,
    patience: Duration,
) -> Result<(), StreamError> {
    ask::<PlainEnd>(connection, &Request::Remove { path }, patience).await.map(drop)
}

/// Gives a file or folder another path; with `replace`, a file that is called so gives way.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn rename(
    connection: &Channel,
    path: FilePath,
    to: FilePath,
    replace: bool,
    patience: Duration,
) -> Result<(), StreamError> {
    let request = Request::Rename { path, to, replace };
    ask::<PlainEnd>(connection, &request, patience).await.map(drop)
}

/// Makes a folder, and those it lies in, and gives it a time; whether it is new.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn make_folder(
    connection: &Channel,
    path: FilePath,
    modified: Option<Timestamp>,
    patience: Duration,
) -> Result<bool, StreamError> {
    let request = Request::MakeFolder { path, modified };
    let made: MadeFolder = ask(connection, &request, patience).await?;
    Ok(made.created)
}

/// A command whose whole answer is its end.
async fn ask<E: quiver_protocol::EofPayload>(
    connection: &Channel,
    request: &Request,
    patience: Duration,
) -> Result<E, StreamError> {
    match ResponseReader::send_request(connection, request, patience).await?.next().await? {
        ResponsePart::End(end) => Ok(end),
        ResponsePart::Reply(_) => Err(unexpected_reply("a reply where an end was due")),
    }
}
