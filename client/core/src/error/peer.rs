//! Errors between this client and another one.

use quiver_protocol::text::{display_remark, display_safe};
use quiver_protocol::{ClientName, Fingerprint, Refusal};
use quiver_transport::StreamError;
use thiserror::Error;

use super::ErrorCode;
use crate::peer_store::{OfferNumber, PeerStoreError};

/// Why something between two clients failed.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The records about other clients cannot be used.
    #[error(transparent)]
    Store(#[from] PeerStoreError),
    /// The client shows a key that its name did not have before.
    #[error("{name} has another key than before: {presented}, known {}", list(known))]
    KeyChanged {
        /// The name.
        name: ClientName,
        /// The key that it shows.
        presented: Fingerprint,
        /// The known keys of the name.
        known: Vec<Fingerprint>,
    },
    /// The client shows a new key of an account, and no person has confirmed it.
    #[error("{name} uses a key that is not known: {presented}, known {}", list(known))]
    UnknownMachine {
        /// The name of the account.
        name: ClientName,
        /// The key that it shows.
        presented: Fingerprint,
        /// The known keys of the account.
        known: Vec<Fingerprint>,
    },
    /// The contact is blocked.
    #[error("{0} is blocked")]
    Blocked(ClientName),
    /// No contact has the name.
    #[error("there is no contact called {0}")]
    UnknownContact(ClientName),
    /// The keys of the contact were not compared.
    #[error("the key of {0} is not verified")]
    NotVerified(ClientName),
    /// There is no path to the client.
    #[error("cannot reach {name}: {}", display_remark(why))]
    NoPath {
        /// The client.
        name: ClientName,
        /// Why.
        why: String,
    },
    /// The connection with the client failed.
    #[error("connection with {name}: {source}")]
    Stream {
        /// The client.
        name: ClientName,
        /// Why.
        source: StreamError,
    },
    /// A message was not delivered.
    #[error("the message was not delivered to {name}: {source}")]
    NotDelivered {
        /// The recipient.
        name: ClientName,
        /// Why.
        source: StreamError,
    },
    /// It is not known whether a message was delivered.
    #[error("the connection with {name} ended before it confirmed the message")]
    MessageUnknown {
        /// The recipient.
        name: ClientName,
    },
    /// The recipient declined an offer.
    #[error("{0} declined")]
    Declined(ClientName),
    /// The recipient of an offer failed to store it.
    #[error("{name} could not store the files: {refusal}")]
    NotStored {
        /// The recipient.
        name: ClientName,
        /// Why.
        refusal: Refusal,
    },
    /// The offer was withdrawn, by this client or the other one.
    #[error("offer {0} was withdrawn")]
    Withdrawn(OfferNumber),
    /// The offer is older than offers last.
    #[error("offer {0} has expired")]
    Expired(OfferNumber),
    /// There is no such offer.
    #[error("there is no offer {0}")]
    UnknownOffer(OfferNumber),
    /// Another transfer, of this or another process, fetches the offer.
    #[error("offer {0} was accepted already, and its files are being received")]
    OfferInProgress(OfferNumber),
    /// The sender lists more than it has offered.
    #[error("{from} sends more than it has offered")]
    MoreThanOffered {
        /// The sender.
        from: ClientName,
    },
    /// The sender lists fewer files than it has offered: some were removed since.
    #[error("{from} lists {found} of the {offered} offered files")]
    LessThanOffered {
        /// The sender.
        from: ClientName,
        /// Files that were offered.
        offered: u64,
        /// Files that the sender has now, at the most.
        found: u64,
    },
    /// An offer of this person has failed for good.
    #[error("offer {number} has failed: {}", display_remark(why))]
    OfferFailed {
        /// The offer.
        number: OfferNumber,
        /// Why.
        why: String,
    },
    /// Files cannot be offered.
    #[error("cannot offer {}: {}", display_safe(name), display_remark(why))]
    NotOfferable {
        /// The path as the user typed it.
        name: String,
        /// Why.
        why: String,
    },
    /// Files cannot be offered under their name.
    #[error("cannot offer {}: {}", display_safe(name), display_remark(why))]
    BadOfferName {
        /// The path as the user typed it, or the name.
        name: String,
        /// Which rule the name breaks.
        why: String,
    },
    /// The digits of both sides differ: something is between the two clients.
    #[error("the digits differ: someone may be between you and {0}")]
    DigitsDiffer(ClientName),
}

impl PeerError {
    /// The error's stable code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Store(PeerStoreError::UnknownOffer { .. }) => ErrorCode::NotFound,
            Self::Store(
                PeerStoreError::IncomingSettled { .. }
                | PeerStoreError::OutgoingSettled { .. }
                | PeerStoreError::TooManyOffers { .. }
                | PeerStoreError::TooManyContacts { .. }
                | PeerStoreError::NotAdmitted { .. },
            ) => ErrorCode::Other,
            Self::Store(_) => ErrorCode::LocalDisk,
            Self::KeyChanged { .. } | Self::UnknownMachine { .. } | Self::DigitsDiffer(_) => {
                ErrorCode::Untrusted
            }
            Self::NotVerified(_) => ErrorCode::Untrusted,
            Self::UnknownContact(_) | Self::UnknownOffer(_) => ErrorCode::NotFound,
            Self::NoPath { .. } | Self::Stream { .. } => ErrorCode::Connection,
            Self::Declined(_) => ErrorCode::Declined,
            Self::NotDelivered { source, .. } => super::code::stream_code(source),
            Self::LessThanOffered { .. } => ErrorCode::Partial,
            Self::NotOfferable { .. } => ErrorCode::LocalDisk,
            Self::BadOfferName { .. } => ErrorCode::InvalidRequest,
            Self::Blocked(_)
            | Self::MessageUnknown { .. }
            | Self::NotStored { .. }
            | Self::Withdrawn(_)
            | Self::Expired(_)
            | Self::OfferInProgress(_)
            | Self::OfferFailed { .. }
            | Self::MoreThanOffered { .. } => ErrorCode::Other,
        }
    }
}

fn list(keys: &[Fingerprint]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
