//! What other clients do, as events for interfaces. No texts for people, no connections.

use std::sync::Arc;

use quiver_protocol::{ClientName, ClientRef, Fingerprint, Timestamp};

use crate::error::ClientError;
use crate::peer_path::PeerPath;
use crate::peer_store::{IncomingOffer, OfferNumber, OutgoingState};

/// An event about other clients.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// A client has connected to the server.
    Joined(ClientRef),
    /// A client has disconnected from the server.
    Left(ClientRef),
    /// The server refuses on a later connection what it has accepted before: other clients cannot reach this one any
    /// more.
    ListenRefused(Arc<ClientError>),
    /// A message from another client.
    Message {
        /// The sender.
        from: ClientName,
        /// The text, as the sender typed it.
        text: String,
        /// When it was received.
        at: Timestamp,
        /// Its number in the conversation; `None` if conversations are not kept.
        number: Option<u64>,
    },
    /// Another client offers files. Published once in a process, also for an offer that an earlier process has
    /// received. The offer is open, or was accepted by itself just now.
    OfferReceived(Arc<IncomingOffer>),
    /// An offer of another client was refused because it breaks a rule.
    OfferRefused {
        /// The sender.
        from: ClientName,
        /// Which rule. May quote text of the sender.
        why: String,
    },
    /// An offer of another client is settled: withdrawn by its sender, or accepted or declined by another process.
    OfferSettled(Arc<IncomingOffer>),
    /// The recipient of an offer of this process is asked.
    OfferPending {
        /// The offer.
        number: OfferNumber,
        /// The recipient.
        to: ClientName,
    },
    /// The recipient has accepted an offer of this process.
    OfferAccepted {
        /// The offer.
        number: OfferNumber,
        /// The recipient.
        to: ClientName,
    },
    /// The recipient of an offer of this process cannot be reached at present; the client tries again.
    OfferWaiting {
        /// The offer.
        number: OfferNumber,
        /// The recipient.
        to: ClientName,
        /// Why.
        why: Arc<ClientError>,
    },
    /// An offer of this person has ended.
    OfferEnded {
        /// The offer.
        number: OfferNumber,
        /// The recipient.
        to: ClientName,
        /// How.
        state: OutgoingState,
    },
    /// A comparison of keys that another person has asked for is over.
    Compared {
        /// The other client.
        name: ClientName,
        /// Whether both people say that they see the same digits. The key is then verified.
        is_verified: bool,
    },
    /// A client has shown another key than its name had, and was refused.
    KeyRefused {
        /// The name.
        name: ClientName,
        /// The key that it has shown.
        presented: Fingerprint,
        /// The known keys of the name.
        known: Vec<Fingerprint>,
    },
    /// The path of a connection with another client has changed.
    PathChanged {
        /// The other client.
        name: ClientName,
        /// The path from now on.
        path: PeerPath,
    },
}
