//! What a server says unasked: a Reply and an Eof on a bidirectional stream that the server opens.

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};

/// The payload of an event's Reply frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server stops: nothing new begins, what runs may end within the grace.
    Stopping {
        /// Seconds until connections are closed.
        grace_seconds: u64,
    },
    /// The server wants to hear from this connection: that QUIC acknowledges this is all it takes.
    StillThere,
    /// An event of a newer server, to be ignored.
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
