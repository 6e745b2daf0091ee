//! The stable code of each failure, for JSON objects.

use std::borrow::Cow;

use quiver_client::ErrorCode;
use quiver_control::{Failure as SharedFailure, SteerError};

use super::{Failure, TrustListError};

impl Failure {
    /// The code: one of [`ErrorCode`], or one of the page's finer ones.
    #[must_use]
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Client(error) | Self::Offer { error, .. } => {
                SharedFailure::from(error.clone()).code
            }
            Self::MaybeMessage { failure, .. } | Self::AtLine { failure, .. } => failure.code(),
            Self::Steering(error) => match &**error {
                SteerError::Refused { failure, .. } => failure.code.clone(),
                SteerError::Unknown(_) => ErrorCode::NotFound.as_str().into(),
                SteerError::System(_) => ErrorCode::Other.as_str().into(),
            },
            failure => failure.own_code().as_str().into(),
        }
    }

    /// The code of a failure that is not the client's.
    fn own_code(&self) -> ErrorCode {
        match self {
            Self::Usage { .. } | Self::Config(_) => ErrorCode::InvalidRequest,
            Self::TrustList(error) => match **error {
                TrustListError::Unknown(_) => ErrorCode::NotFound,
                TrustListError::Folder(_) | TrustListError::File(_) => ErrorCode::LocalDisk,
            },
            Self::Interrupted(_)
            | Self::Cancelled(_)
            | Self::Continuable { .. }
            | Self::Terminated(_) => ErrorCode::Interrupted,
            Self::Output(_) | Self::File { .. } => ErrorCode::LocalDisk,
            Self::Client(_)
            | Self::Offer { .. }
            | Self::MaybeMessage { .. }
            | Self::AtLine { .. }
            | Self::Steering(_)
            | Self::System { .. } => ErrorCode::Other,
        }
    }
}
