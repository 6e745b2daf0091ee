//! `status`: who is here and who was.

use std::time::Duration;

use quiver_protocol::reply::ClientRow;
use quiver_protocol::{PlainEnd, Reply, Request};
use quiver_transport::{Channel, StreamError};

use super::{Answer, Part, misfit};

/// The clients, by number, one after the other as they come.
#[derive(Debug)]
pub(crate) struct Clients(Answer);

/// Asks who is here.
///
/// # Errors
/// [`StreamError`].
pub(crate) async fn status(
    connection: &Channel,
    patience: Duration,
) -> Result<Clients, StreamError> {
    Ok(Clients(Answer::to(connection, &Request::Status, patience).await?))
}

impl Clients {
    /// The next client, or `None` after the last.
    ///
    /// # Errors
    /// [`StreamError`].
    pub(crate) async fn next(&mut self) -> Result<Option<ClientRow>, StreamError> {
        match self.0.next::<PlainEnd>().await? {
            Part::Reply(Reply::Client(row)) => Ok(Some(row)),
            Part::Reply(_) => Err(misfit("something else than a client")),
            Part::End(_) => Ok(None),
        }
    }
}
