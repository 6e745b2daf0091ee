//! `remove`, `rename` and `make_folder`: changes of names on the server.

use std::time::Duration;

use quiver_protocol::{FilePath, MakeFolderEnd, PlainEnd, Request, Timestamp};
use quiver_transport::{Channel, StreamError};

use super::{ResponsePart, ResponseReader, unexpected_reply};

/// A connection that is lost is noticed long before.
const RENAME_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Removes a file or an empty folder.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn remove(
    connection: &Channel,
    path: FilePath,
    timeout: Duration,
) -> Result<(), StreamError> {
    request_end::<PlainEnd>(connection, &Request::Remove { path }, timeout).await.map(drop)
}

/// Renames a file or folder; with `replace`, it replaces a file at `to`. Waits as long as the
/// connection lives: the server copies what moves to another of its disks.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn rename(
    connection: &Channel,
    path: FilePath,
    to: FilePath,
    replace: bool,
) -> Result<(), StreamError> {
    let request = Request::Rename { path, to, replace };
    request_end::<PlainEnd>(connection, &request, RENAME_TIMEOUT).await.map(drop)
}

/// Creates a folder with its parents, sets its modification time, and returns whether the folder is new.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn make_folder(
    connection: &Channel,
    path: FilePath,
    modified: Option<Timestamp>,
    timeout: Duration,
) -> Result<bool, StreamError> {
    let request = Request::MakeFolder { path, modified };
    let made: MakeFolderEnd = request_end(connection, &request, timeout).await?;
    Ok(made.created)
}

/// Sends a request whose response is an end alone, and returns that end.
async fn request_end<E: quiver_protocol::EofPayload>(
    connection: &Channel,
    request: &Request,
    timeout: Duration,
) -> Result<E, StreamError> {
    match ResponseReader::send_request(connection, request, timeout).await?.next().await? {
        ResponsePart::End(end) => Ok(end),
        ResponsePart::Reply(_) => Err(unexpected_reply("expected an end, not a reply")),
    }
}
