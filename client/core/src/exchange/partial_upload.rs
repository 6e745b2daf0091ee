//! `kept`: asks which partial file of an interrupted upload the server has.

use std::time::Duration;

use quiver_protocol::{ContentPrefix, FilePath, RefusalCode, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// Requests the length and hash of the partial upload to a path; `None` if there is none. An upload can resume after
/// that prefix if the local file begins with it. Returns `None` also for a server that does not know this request;
/// such a server reports the partial file when the upload starts.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn query_partial_upload(
    connection: &Channel,
    path: &FilePath,
    timeout: Duration,
) -> Result<Option<ContentPrefix>, StreamError> {
    let request = Request::Kept { path: path.clone() };
    match ResponseReader::send_request(connection, &request, timeout).await?.single_reply().await {
        Ok(Reply::Kept(kept)) if kept.path == *path => Ok(kept.have),
        Ok(_) => Err(unexpected_reply("expected a partial upload")),
        Err(StreamError::Refused(refusal)) if refusal.code == RefusalCode::UnknownCommand => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
