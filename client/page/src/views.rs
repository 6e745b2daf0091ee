//! What the page shows, as `web/messages.d.ts` describes it. Only data: texts of other machines are not escaped.

use quiver_control::Failure;
use quiver_control::view::PathKind;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{ClientName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::peer_name::PeerName;

/// Bytes of a message's text, at most: so much fits into a message of the page, whose quotes and line breaks take two
/// bytes each, whatever the server allows.
pub(crate) const MAX_TEXT: usize = 30 * 1024;

/// The state of the connection with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkState {
    SignedOut,
    Connecting,
    SigningIn,
    Connected,
    Reconnecting,
    Stopping,
}

/// The connection with the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConnectionView {
    pub(crate) state: LinkState,
    pub(crate) server: Option<String>,
    pub(crate) name: Option<ClientName>,
    pub(crate) number: Option<u64>,
    pub(crate) fingerprint: Option<String>,
    pub(crate) upload: bool,
    pub(crate) listening: bool,
    pub(crate) not_listening_why: Option<String>,
    pub(crate) failure: Option<Failure>,
    pub(crate) message_limit: usize,
}

impl ConnectionView {
    /// No connection.
    pub(crate) fn signed_out(failure: Option<Failure>) -> Self {
        Self {
            state: LinkState::SignedOut,
            server: None,
            name: None,
            number: None,
            fingerprint: None,
            upload: false,
            listening: false,
            not_listening_why: None,
            failure,
            message_limit: MAX_TEXT,
        }
    }
}

/// A server of an earlier sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecentServer {
    pub(crate) server: String,
    pub(crate) name: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) used: Timestamp,
}

/// How the keys of a name compare to what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum KeyKnowledge {
    Verified,
    Known,
    New,
    Changed,
}

/// A client of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Person {
    pub(crate) number: u64,
    pub(crate) name: ClientName,
    pub(crate) here: bool,
    pub(crate) is_self: bool,
    pub(crate) since: Timestamp,
    pub(crate) until: Option<Timestamp>,
    pub(crate) reachable: bool,
    pub(crate) is_account: bool,
    pub(crate) key: Option<KeyKnowledge>,
    pub(crate) blocked: bool,
    pub(crate) path: Option<PathKind>,
    pub(crate) path_why: Option<String>,
    pub(crate) always_accept: Option<String>,
}

/// The connection with another client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PathDetail {
    pub(crate) path: PathKind,
    pub(crate) why: Option<String>,
    pub(crate) before: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) round_trip_ms: Option<f64>,
    pub(crate) relayed_bytes: u64,
    pub(crate) direct_bytes: u64,
}

/// What became of a message of this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MessageState {
    Sending,
    Acknowledged,
    Delivered,
    NotDelivered,
    Unknown,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MessageView {
    pub(crate) with: PeerName,
    pub(crate) number: u64,
    pub(crate) mine: bool,
    pub(crate) text: String,
    pub(crate) at: Timestamp,
    pub(crate) state: Option<MessageState>,
    pub(crate) answer: Option<String>,
    pub(crate) why: Option<String>,
}

/// The end of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConversationView {
    pub(crate) with: PeerName,
    pub(crate) unread: u64,
    pub(crate) last: Option<MessageView>,
}

/// A file or folder of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct EntryView {
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) kind: EntryKind,
    pub(crate) size: u64,
    pub(crate) modified: Timestamp,
}

/// A file or folder of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OfferedName {
    pub(crate) name: String,
    pub(crate) kind: EntryKind,
}

/// The state of an offer, in either direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OfferState {
    Open,
    Waiting,
    Accepted,
    Stored,
    Delivered,
    Declined,
    Withdrawn,
    Failed,
    Expired,
}

/// An offer of another client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct IncomingOfferView {
    pub(crate) number: u64,
    pub(crate) from: ClientName,
    pub(crate) verified: bool,
    pub(crate) names: Vec<OfferedName>,
    pub(crate) more_names: u64,
    pub(crate) files: Option<u64>,
    pub(crate) folders: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) at: Timestamp,
    pub(crate) state: OfferState,
    pub(crate) why: Option<String>,
    pub(crate) folder: Option<String>,
    pub(crate) transfer: Option<String>,
}

/// An offer of this person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OutgoingOfferView {
    pub(crate) number: u64,
    pub(crate) to: ClientName,
    pub(crate) names: Vec<OfferedName>,
    pub(crate) more_names: u64,
    pub(crate) files: Option<u64>,
    pub(crate) folders: Option<u64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) sent: u64,
    pub(crate) at: Timestamp,
    pub(crate) state: OfferState,
    pub(crate) why: Option<String>,
}

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QuestionView {
    pub(crate) question: u64,
    #[serde(flatten)]
    pub(crate) content: QuestionContent,
}

/// What a question asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum QuestionContent {
    Trust { server: String, fingerprint: String, not_remembered: Option<String> },
    Name,
    Password,
    Replace { path: String, on_server: bool },
    Conflict { path: String },
    OtherMachine { name: ClientName, presented: String, known: Vec<String> },
    CompareDigits { name: ClientName, digits: String },
    MoreThanOffered { from: ClientName, offered: u64, found: u64 },
    ConnectDirectly { name: ClientName, key: String },
}

/// The settings that the page changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PageSettings {
    /// Where received and fetched files go.
    pub(crate) folder: String,
    /// Whether conversations are kept on this computer.
    pub(crate) history: bool,
    /// Whether the page announces clients that connect and disconnect.
    pub(crate) announce: bool,
    /// Whether a sign-in waits until a slot of a busy server is free.
    pub(crate) wait_for_slot: bool,
}
