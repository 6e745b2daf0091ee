//! Why a conversation on a stream broke off, whatever broke it: frames, the other end, QUIC.

use std::time::Duration;

use quinn::{ReadError, WriteError};
use quiver_protocol::{FrameError, Refusal};
use thiserror::Error;

use crate::close::ConnectionEnd;

/// Why a conversation on a stream broke off.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The other side broke the rules for frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The other side refused, in an Error frame.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The other side said nothing for this long.
    #[error("no answer for {} seconds", .0.as_secs())]
    TimedOut(Duration),
    /// The other side abandoned what it was sending.
    #[error("the other side abandoned the stream")]
    Reset,
    /// The other side does not want what is being sent.
    #[error("the other side stopped reading")]
    Stopped,
    /// The other side did not read for this long, and what was being sent was given up.
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
            // This side stopped reading, or asked for what no stream of ours has.
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
