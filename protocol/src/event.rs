//! Events of a server: a Reply and an Eof on a bidirectional stream that the server opens.

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};

/// The payload of an event's Reply frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server is stopping: it starts no new command. Running commands have a grace period.
    Stopping {
        /// Seconds until connections are closed.
        grace_seconds: u64,
    },
    /// The server checks whether this connection is alive. QUIC's acknowledgement is enough.
    StillThere,
    /// An event that only newer servers send. Clients ignore it.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// The payload of its Reply frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of an event's Reply frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        frame::from_json("event", payload)
    }
}
