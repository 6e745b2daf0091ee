//! Maps the errors of a failed transfer to the refusal that tells the client.

use quiver_protocol::{FrameError, PutRequest, Refusal, RefusalCode};
use quiver_transfer::get::ServeError;
use quiver_transfer::list::ListError;
use quiver_transfer::put::{AcceptError, StoreError};
use quiver_transfer::served_folder::ServedPathError;
use quiver_transfer::{ReceiveError, SendError};
use quiver_transport::StreamError;

use crate::command::error::CommandError;
use crate::files::FilesError;
use crate::internal_failure;
use crate::metrics::Metrics;

impl CommandError {
    /// The error of a file that could not be sent.
    pub(in crate::command) fn from_get(metrics: &Metrics, error: ServeError) -> Self {
        match error {
            ServeError::NoSize => Self::from_files(metrics, FilesError::NotAFile),
            ServeError::Send(error @ (SendError::Changed | SendError::WrongSize)) => {
                Self::Refused(Refusal::new(RefusalCode::Changed, error.to_string()))
            }
            ServeError::Send(SendError::Disk(reason)) => {
                Self::Refused(internal_failure::report(metrics, "reading a file", &reason))
            }
            ServeError::Send(SendError::Stream(error)) => Self::from_interruption(error),
        }
    }

    /// The error of an upload that could not be received.
    pub(in crate::command) fn from_put(
        metrics: &Metrics,
        request: &PutRequest,
        error: AcceptError<FilesError>,
    ) -> Self {
        match error {
            AcceptError::Interrupted(error) => Self::from_interruption(error),
            AcceptError::Ready(error) => Self::Stream(error),
            AcceptError::Partial(error) | AcceptError::Sink(error) => {
                Self::from_files(metrics, error)
            }
            AcceptError::Content(ReceiveError::Disk(error)) => {
                Self::from_files(metrics, FilesError::from_sink(error))
            }
            AcceptError::Content(
                error @ (ReceiveError::Mismatch | ReceiveError::Length { .. }),
            ) => Self::Refused(Refusal::new(RefusalCode::BadRequest, error.to_string())),
            AcceptError::Content(ReceiveError::Stream(StreamError::Frame(
                FrameError::TooMuchContent { announced: limit },
            ))) if request.size.is_none() => {
                Self::from_files(metrics, FilesError::TooLarge { limit })
            }
            AcceptError::Content(ReceiveError::Stream(error)) => Self::from_content(error),
        }
    }

    /// The error of content that did not arrive completely.
    fn from_content(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            StreamError::Refused(refusal) => {
                let reason = format!("the client cancelled ({:?})", refusal.code);
                Self::Refused(Refusal::new(RefusalCode::Changed, reason))
            }
            StreamError::TimedOut(timeout) => {
                let reason = format!("no content for {} seconds", timeout.as_secs());
                Self::Refused(Refusal::new(RefusalCode::BadRequest, reason))
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

impl From<ListError<ServedPathError>> for CommandError {
    fn from(error: ListError<ServedPathError>) -> Self {
        match error {
            ListError::Listing(error) => Self::Files(error.into()),
            ListError::Stream(error) => Self::Stream(error),
        }
    }
}
