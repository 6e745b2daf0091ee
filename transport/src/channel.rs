//! A connection with its role and the priority of its streams: control traffic is written before
//! the content of other streams. No commands in here.

use std::ops::Deref;

use quinn::Connection;

use crate::priority::StreamPriority;
use crate::role::Role;
use crate::stream::{CommandStream, StreamError};
use crate::windows::WindowPolicy;

/// A connection, its role, and the priority of its streams. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    connection: Connection,
    role: Role,
    priority: StreamPriority,
}

impl Channel {
    /// Creates the only channel of a connection whose windows stay as they are. It must have the limits of this role
    /// already.
    #[must_use]
    pub fn with_fixed_windows(connection: Connection, role: Role) -> Self {
        let priority = StreamPriority::new(connection.clone(), role);
        Self { connection, role, priority }
    }

    /// Creates the only channel of a connection, whose windows follow the path as the policy allows.
    #[must_use]
    pub fn with_windows(connection: Connection, role: Role, policy: &WindowPolicy) -> Self {
        let priority = StreamPriority::with_windows(connection.clone(), role, policy);
        Self { connection, role, priority }
    }

    /// The role of the connection on this side.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// Opens a stream to the other side. Waits while the other side allows no further stream.
    ///
    /// # Errors
    /// [`StreamError::Lost`].
    pub async fn open(&self) -> Result<CommandStream, StreamError> {
        Ok(CommandStream::open(&self.connection).await?.with_priority(self.priority.clone()))
    }

    /// Waits for the next stream that the other side opens.
    ///
    /// # Errors
    /// [`StreamError::Lost`].
    pub async fn accept(&self) -> Result<CommandStream, StreamError> {
        let pair = self.connection.accept_bi().await;
        let pair = pair.map_err(|error| StreamError::Lost(error.into()))?;
        Ok(CommandStream::from(pair).with_priority(self.priority.clone()))
    }
}

impl Deref for Channel {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
