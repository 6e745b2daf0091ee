//! JSON objects for events about other clients, one a line.

use std::path::Path;

use quiver_client::ErrorCode;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_store::{IncomingOffer, OfferNumber, OutgoingOffer};
use quiver_protocol::{ClientName, Fingerprint, OfferId, OfferedEntry};
use serde::Serialize;

use super::DownloadedLine;
use super::peers::{incoming_state, outgoing_state, path_kind};

/// An event of `send`, `receive` or `tell`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are described in docs/json.md")]
pub enum EventLine<'a> {
    /// Other clients can reach this one.
    Listening,
    /// Another client offers files.
    Offer {
        number: u64,
        id: OfferId,
        from: &'a ClientName,
        key: Fingerprint,
        entries: &'a [OfferedEntry],
        count: u64,
        files: u64,
        bytes: Option<u64>,
    },
    /// An offer of another client breaks a rule.
    OfferRefused { from: &'a ClientName, why: &'a str },
    /// An offer of another client was settled, but not by this process.
    OfferSettled { number: u64, from: &'a ClientName, state: &'static str },
    /// This client offers files.
    Offering {
        number: u64,
        id: OfferId,
        to: &'a ClientName,
        count: u64,
        files: u64,
        bytes: Option<u64>,
    },
    /// The recipient of an offer cannot be reached at present.
    Waiting { number: u64, to: &'a ClientName, error: ErrorCode, why: String },
    /// The recipient of an offer is asked.
    Pending { number: u64, to: &'a ClientName },
    /// An offer is accepted: by its recipient `to`, or by this client, `from` its sender.
    Accepted {
        number: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a ClientName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a ClientName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        folder: Option<String>,
    },
    /// All files of an offer are stored.
    Stored {
        number: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<&'a ClientName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<&'a ClientName>,
        files: u64,
        bytes: Option<u64>,
    },
    /// An offer of this person has ended in another way.
    Ended { number: u64, to: &'a ClientName, state: &'static str },
    /// This person has declined an offer.
    Declined { number: u64, from: &'a ClientName },
    /// An accepted offer could not be stored.
    Failed { number: u64, from: &'a ClientName, error: ErrorCode, why: String },
    /// An offer of this person is withdrawn.
    Withdrawn { number: u64 },
    /// The server lets other clients reach this one no longer.
    NotReachable { error: ErrorCode, why: String },
    /// Another client has sent a message.
    Message { from: &'a ClientName, text: &'a str },
    /// A message of this person: `delivered`, `not_delivered` or `unknown`.
    Told {
        to: &'a ClientName,
        outcome: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A client has shown another key than its name had.
    KeyRefused { name: &'a ClientName, presented: Fingerprint, known: &'a [Fingerprint] },
    /// A comparison of keys that another person has asked for is over.
    Compared { name: &'a ClientName, verified: bool },
    /// The path of a connection has changed.
    Path { name: &'a ClientName, path: &'static str },
    /// The connection with the server is lost.
    ConnectionLost { why: &'a str },
    /// The connection with the server is restored.
    Reconnected,
}

impl<'a> EventLine<'a> {
    /// The line of an event; `None` for clients that connect and disconnect.
    #[must_use]
    pub fn of(event: &'a PeerEvent) -> Option<Self> {
        Some(match event {
            PeerEvent::Joined(_) | PeerEvent::Left(_) => return None,
            PeerEvent::ListenRefused(error) => {
                Self::NotReachable { error: error.code(), why: error.to_string() }
            }
            PeerEvent::Message { from, text, .. } => Self::Message { from, text },
            PeerEvent::OfferReceived(offer) => Self::Offer {
                number: offer.number.0,
                id: offer.id,
                from: &offer.sender,
                key: offer.key,
                entries: &offer.entries,
                count: offer.counts.count,
                files: offer.counts.files,
                bytes: offer.counts.bytes,
            },
            PeerEvent::OfferRefused { from, why } => Self::OfferRefused { from, why },
            PeerEvent::OfferSettled(offer) => Self::OfferSettled {
                number: offer.number.0,
                from: &offer.sender,
                state: incoming_state(&offer.state),
            },
            PeerEvent::OfferPending { number, to } => Self::Pending { number: number.0, to },
            PeerEvent::OfferAccepted { number, to } => {
                Self::Accepted { number: number.0, to: Some(to), from: None, folder: None }
            }
            PeerEvent::OfferWaiting { number, to, why } => {
                Self::Waiting { number: number.0, to, error: why.code(), why: why.to_string() }
            }
            PeerEvent::OfferEnded { number, to, state } => {
                Self::Ended { number: number.0, to, state: outgoing_state(state) }
            }
            PeerEvent::KeyRefused { name, presented, known } => {
                Self::KeyRefused { name, presented: *presented, known }
            }
            PeerEvent::Compared { name, is_verified } => {
                Self::Compared { name, verified: *is_verified }
            }
            PeerEvent::PathChanged { name, path } => Self::Path { name, path: path_kind(path) },
        })
    }

    /// The line of an offer that this client has made.
    #[must_use]
    pub fn offering(offer: &'a OutgoingOffer) -> Self {
        let counts = offer.counts;
        Self::Offering {
            number: offer.number.0,
            id: offer.id,
            to: &offer.recipient,
            count: counts.count,
            files: counts.files,
            bytes: counts.bytes,
        }
    }

    /// The line of an offer that this client accepts.
    #[must_use]
    pub fn accepting(offer: &'a IncomingOffer, folder: &Path) -> Self {
        let (number, from) = (offer.number.0, Some(&offer.sender));
        Self::Accepted { number, to: None, from, folder: Some(folder.display().to_string()) }
    }
}

/// A received file of an offer.
#[derive(Debug, Serialize)]
pub struct FileLine<'a> {
    event: &'static str,
    number: u64,
    #[serde(flatten)]
    file: DownloadedLine<'a>,
}

impl<'a> FileLine<'a> {
    /// For a file of the offer `number`.
    #[must_use]
    pub fn new(number: OfferNumber, file: DownloadedLine<'a>) -> Self {
        Self { event: "file", number: number.0, file }
    }
}

#[cfg(test)]
mod tests;
