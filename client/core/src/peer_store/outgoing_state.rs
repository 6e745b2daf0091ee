//! The state of an outgoing offer, its number in the database, and its words in errors.

use super::offers;

/// The state of an outgoing offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingState {
    /// The recipient has not answered yet.
    Open,
    /// The recipient has accepted, and does not have everything yet.
    Accepted,
    /// The recipient has everything.
    Delivered,
    /// The recipient does not want it.
    Declined,
    /// This person has withdrawn it.
    Withdrawn,
    /// It cannot be delivered, for this reason.
    Failed(String),
    /// It was not delivered within 7 days.
    Expired,
}

impl OutgoingState {
    /// Whether the offer has ended.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Open | Self::Accepted)
    }

    /// The state as the end of a sentence about the offer, for a change that it does not allow.
    pub(super) fn as_outcome(&self) -> &'static str {
        match self {
            Self::Open => "is not answered yet",
            Self::Accepted => "was accepted already",
            Self::Delivered => "was stored by its recipient already",
            Self::Declined => "was declined already",
            Self::Withdrawn => "was withdrawn already",
            Self::Failed(_) => "has failed",
            Self::Expired => "has expired",
        }
    }

    /// The state's number in the database.
    pub(super) fn number(&self) -> i64 {
        match self {
            Self::Open => offers::OPEN,
            Self::Accepted => offers::ACCEPTED,
            Self::Delivered => offers::COMPLETE,
            Self::Declined => offers::DECLINED,
            Self::Withdrawn => offers::WITHDRAWN,
            Self::Failed(_) => offers::FAILED,
            Self::Expired => offers::EXPIRED,
        }
    }
}
