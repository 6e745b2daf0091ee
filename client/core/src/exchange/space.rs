//! `space`: what would fit on the server now.

use std::time::Duration;

use quiver_protocol::reply::AvailableSpace;
use quiver_protocol::{Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{AnswerReader, misfit};

/// Asks what would fit.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn space(connection: &Channel, patience: Duration) -> Result<AvailableSpace, StreamError> {
    match AnswerReader::to(connection, &Request::Space, patience).await?.only().await? {
        Reply::Space(space) => Ok(space),
        _ => Err(misfit("something else than what would fit")),
    }
}
