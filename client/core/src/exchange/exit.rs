//! `exit`: leaves the server, so that it releases the slot at once and not after an idle timeout.

use std::time::Duration;

use quiver_protocol::{CloseCode, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// Sends an exit request, waits for the response, and closes the connection, even if the request fails.
///
/// # Errors
/// [`StreamError`] if the request fails. Callers may ignore it: the connection is closed.
pub(crate) async fn exit(connection: &Channel, timeout: Duration) -> Result<(), StreamError> {
    let request = async {
        match ResponseReader::send_request(connection, &Request::Exit, timeout)
            .await?
            .single_reply()
            .await?
        {
            Reply::Goodbye => Ok(()),
            _ => Err(unexpected_reply("expected a goodbye")),
        }
    };
    let result = request.await;
    quiver_transport::close_now(connection, CloseCode::Goodbye).await;
    result
}
