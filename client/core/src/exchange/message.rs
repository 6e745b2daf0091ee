//! `message`: a text for the server, and its answer.

use std::time::Duration;

use quiver_protocol::{Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{Answer, misfit};

/// Sends a text; what the server says to it.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn message(
    connection: &Channel,
    text: &str,
    patience: Duration,
) -> Result<String, StreamError> {
    let request = Request::Message { text: text.to_owned() };
    match Answer::to(connection, &request, patience).await?.only().await? {
        Reply::Text { text } => Ok(text),
        _ => Err(misfit("something else than a text")),
    }
}
