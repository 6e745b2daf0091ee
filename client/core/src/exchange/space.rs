//! `space`: asks how much this client can store on the server now.

use std::time::Duration;

use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::{FolderPath, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// Requests how much this client can store in a folder of the server.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn query_space(
    connection: &Channel,
    folder: FolderPath,
    timeout: Duration,
) -> Result<AvailableSpace, StreamError> {
    match ResponseReader::send_request(connection, &Request::Space { path: folder }, timeout)
        .await?
        .single_reply()
        .await?
    {
        Reply::Space(space) => Ok(space),
        _ => Err(unexpected_reply("expected the available space")),
    }
}
