//! `space`: what would fit on the server now.

use std::time::Duration;

use quiver_protocol::reply::Space;
use quiver_protocol::{Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// Asks what would fit.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn space(connection: &Channel, patience: Duration) -> Result<Space, StreamError> {
    match ResponseReader::send_request(connection, &Request::Space, patience)
        .await?
        .single_reply()
        .await?
    {
        Reply::Space(space) => Ok(space),
        _ => Err(unexpected_reply("something else than what would fit")),
    }
}
