//! Why a conversation on a stream failed: invalid frames, the other side, or QUIC.

use std::time::Duration;

use quinn::{ReadError, WriteError};
use quiver_protocol::{FrameError, Refusal};
use thiserror::Error;

use crate::close::ConnectionEnd;

/// Why a conversation on a stream failed.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The other side violated the rules for frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side refused the request with an Error frame.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The other side sent nothing for this long.
    #[error("no answer for {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The other side reset the stream.
    #[error("the other side abandoned the stream")]
    Reset,
    /// The other side stopped reading.
    #[error("the other side stopped reading")]
    Stopped,
    /// The other side read nothing for this long, so this side reset the stream.
    #[error("nothing was read for {} seconds", .0.as_secs())]
    WriteTimedOut(Duration),
    /// The connection ended.
    #[error("connection lost: {0}")]
    Lost(ConnectionEnd),
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(_) => Self::Reset,
            ReadError::ConnectionLost(reason) => Self::Lost(reason.into()),
            // This side stopped reading before. Quiver uses neither unordered reads nor 0-RTT.
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Reset,
        }
    }
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                Self::Stopped
            }
            WriteError::ConnectionLost(reason) => Self::Lost(reason.into()),
        }
    }
}
