//! What the client is told where a transfer of its failed.

use quiver_protocol::{FrameError, PutRequest, Refusal, RefusalCode};
use quiver_transfer::get::ServeError;
use quiver_transfer::list::ListError;
use quiver_transfer::put::{AcceptError, StoreError};
use quiver_transfer::{ReceiveError, SendError};
use quiver_transport::StreamError;

use crate::command::error::CommandError;
use crate::files::FilesError;
use crate::internal_failure;
use crate::metrics::Metrics;

impl CommandError {
    /// Of a file that was not sent.
    pub(in crate::command) fn of_get(metrics: &Metrics, error: ServeError) -> Self {
        match error {
            ServeError::NoSize => Self::of_files(metrics, FilesError::NotAFile),
            ServeError::Send(error @ (SendError::Changed | SendError::WrongSize)) => {
                Self::Refused(Refusal::new(RefusalCode::Changed, error.to_string()))
            }
            ServeError::Send(SendError::Disk(reason)) => {
                Self::Refused(internal_failure::report(metrics, "reading a file", &reason))
            }
            ServeError::Send(SendError::Stream(error)) => Self::out_of_turn(error),
        }
    }

    /// Of an upload that was not received.
    pub(in crate::command) fn of_put(
        metrics: &Metrics,
        put: &PutRequest,
        error: AcceptError<FilesError>,
    ) -> Self {
        match error {
            AcceptError::Interrupted(error) => Self::out_of_turn(error),
            AcceptError::Ready(error) => Self::Stream(error),
            AcceptError::Partial(error) | AcceptError::Sink(error) => {
                Self::of_files(metrics, error)
            }
            AcceptError::Content(ReceiveError::Disk(error)) => {
                Self::of_files(metrics, FilesError::of_write(error))
            }
            AcceptError::Content(
                error @ (ReceiveError::Mismatch | ReceiveError::Length { .. }),
            ) => Self::Refused(Refusal::new(RefusalCode::BadRequest, error.to_string())),
            AcceptError::Content(ReceiveError::Stream(StreamError::Frame(
                FrameError::TooMuchContent { announced: limit },
            ))) if put.size.is_none() => Self::of_files(metrics, FilesError::TooLarge { limit }),
            AcceptError::Content(ReceiveError::Stream(error)) => Self::of_content(error),
        }
    }

    /// Of content that broke off.
    fn of_content(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            StreamError::Refused(refusal) => {
                let words = format!("the client gave up ({:?})", refusal.code);
                Self::Refused(Refusal::new(RefusalCode::Changed, words))
            }
            StreamError::TimedOut(patience) => {
                let words = format!("no content for {} seconds", patience.as_secs());
                Self::Refused(Refusal::new(RefusalCode::BadRequest, words))
            }
            error => Self::Stream(error),
        }
    }
}

impl From<StoreError<FilesError>> for CommandError {
    fn from(error: StoreError<FilesError>) -> Self {
        match error {
            StoreError::Staging(error) => Self::Files(error),
            StoreError::Stream(error) => Self::Stream(error),
        }
    }
}

impl From<ListError<FilesError>> for CommandError {
    fn from(error: ListError<FilesError>) -> Self {
        match error {
            ListError::Listing(error) => Self::Files(error),
            ListError::Stream(error) => Self::Stream(error),
        }
    }
}
