//! `kept`: what of a put that broke off the server has.

use std::time::Duration;

use quiver_protocol::{ContentPrefix, FilePath, RefusalCode, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// What a put to this path would go on with, where this side has the same. A server that does not know the
/// question tells with the put.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn kept(
    connection: &Channel,
    path: &FilePath,
    patience: Duration,
) -> Result<Option<ContentPrefix>, StreamError> {
    let request = Request::Kept { path: path.clone() };
    match ResponseReader::send_request(connection, &request, patience).await?.single_reply().await {
        Ok(Reply::Kept(kept)) if kept.path == *path => Ok(kept.have),
        Ok(_) => Err(unexpected_reply("something else than what it kept")),
        Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::UnknownCommand => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
