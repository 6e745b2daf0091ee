//! `exit`: leaving so that the server need not wait for a silence.

use std::time::Duration;

use quiver_protocol::{CloseCode, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{ResponseReader, unexpected_reply};

/// Says goodbye, hears it, and closes the connection. Closed it is in any case.
///
/// # Errors
/// [`StreamError`], where the server did not answer in kind; nobody need care.
pub(crate) async fn goodbye(connection: &Channel, patience: Duration) -> Result<(), StreamError> {
    let said = async {
        match ResponseReader::send_request(connection, &Request::Exit, patience)
            .await?
            .single_reply()
            .await?
        {
            Reply::Goodbye => Ok(()),
            _ => Err(unexpected_reply("something else than a goodbye")),
        }
    };
    let result = said.await;
    quiver_transport::close(connection, CloseCode::Goodbye);
    result
}
