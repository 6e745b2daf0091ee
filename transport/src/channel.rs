//! A connection whose streams know of each other: what is said on one goes before the content of others.
//! Knows nothing of commands.

use std::ops::Deref;

use quinn::Connection;

use crate::precedence::Precedence;
use crate::stream::{CommandStream, StreamError};

/// A connection, and the precedence among the streams that this side opens on it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    connection: Connection,
    precedence: Precedence,
}

impl Channel {
    /// Over a connection of which there is no other channel.
    #[must_use]
    pub fn on(connection: Connection) -> Self {
        let precedence = Precedence::on(connection.clone());
        Self { connection, precedence }
    }

    /// Opens a stream to the other side; waits where as many are open as it allows.
    ///
    /// # Errors
    /// [`StreamError::Lost`].
    pub async fn open(&self) -> Result<CommandStream, StreamError> {
        Ok(CommandStream::open(&self.connection).await?.with(self.precedence.clone()))
    }
}

impl Deref for Channel {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
