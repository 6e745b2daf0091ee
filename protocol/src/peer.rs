//! `quiver-peer/1`: the requests and replies between two clients. Either side may send requests.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::command::{ContentPrefix, GetFields, PathField, decode_command, from_json};
use crate::frame::{self, FrameError};
use crate::hash::{Commitment, IntroductionId, MessageId, Nonce, OfferId};
use crate::limits;
use crate::path::{FilePath, FolderPath};
use crate::refusal::{Refusal, RefusalCode};
use crate::reply::{EntryKind, EofPayload};

/// A valid request between clients. Each variant documents its conversation. `list` and `get` are
/// those of `quiver/1`: the requests and replies are the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum PeerRequest {
    /// Offers files. Repeated with the same id on every new connection, until it is settled.
    /// 1. sender -> Offer  2. receiver -> [`Pending`](PeerReply::Pending) while a person is asked,
    ///    [`Accepted`](PeerReply::Accepted)  3. receiver -> Eof [`OfferEnd`] once it has stored
    ///    everything. Meanwhile the receiver sends `list` and `get` for paths below the offer's id.
    Offer(Offer),
    /// Takes an offer back. 1. sender -> Withdraw  2. receiver -> Eof
    Withdraw {
        /// The offer.
        offer: OfferId,
    },
    /// Sends a message. 1. sender -> Tell  2. receiver -> Eof, once it has recorded the id
    Tell {
        /// Sent again with the same id, a message is shown once.
        id: MessageId,
        /// Any text; may be empty.
        text: String,
    },
    /// Compares the keys of both sides.
    /// 1. requester -> Verify  2. responder -> [`Nonce`](PeerReply::Nonce)  3. requester ->
    ///    [`Nonce`](PeerReply::Nonce)  4. both -> Eof [`VerifyEnd`], once their person has compared
    ///    the digits
    Verify {
        /// The commitment to the requester's nonce.
        commitment: Commitment,
    },
    /// Tries direct connections, on both sides at once.
    /// 1. requester -> Dial  2. responder -> [`Addresses`](PeerReply::Addresses)  3. requester ->
    ///    [`Start`](PeerReply::Start)  4. responder -> Eof
    Dial(DialRequest),
    /// Makes this connection the one that both sides use; sent by the side with the smaller
    /// fingerprint. 1. client -> Nominate  2. other -> Eof
    Nominate {
        /// The introduction that led to this connection.
        introduction: IntroductionId,
    },
    /// As in `quiver/1`.
    List {
        /// The folder to list.
        path: FolderPath,
    },
    /// As in `quiver/1`.
    Get {
        /// The file to send.
        path: FilePath,
        /// The part of its beginning that the receiver has already.
        #[serde(skip_serializing_if = "Option::is_none")]
        have: Option<ContentPrefix>,
    },
    /// Ends the connection. 1. either -> Exit  2. other -> Eof  3. either closes
    Exit,
}

/// An offer of files and folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// The offer's id.
    pub offer: OfferId,
    /// The first top-level files and folders, at most [`limits::OFFERED_NAMES`].
    pub entries: Vec<OfferedEntry>,
    /// Number of all top-level files and folders.
    pub count: u64,
    /// Number of all files.
    pub files: u64,
    /// Bytes of all files; `None` if the sender does not know yet, as for a pipe.
    pub bytes: Option<u64>,
}

/// A top-level file or folder of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedEntry {
    /// The name, a path of one part.
    pub name: FilePath,
    /// File or folder.
    pub kind: EntryKind,
    /// Bytes of the file, or of all files in the folder; `None` if the sender does not know yet.
    pub size: Option<u64>,
}

/// A round of attempts to connect directly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialRequest {
    /// The introduction from which both sides derive the connection ids of their dials.
    pub introduction: IntroductionId,
    /// The round's number, from 0.
    pub round: u32,
    /// The requester's own addresses, at most [`limits::ADDRESSES`].
    pub addresses: Vec<SocketAddr>,
}

/// The payload of a Reply frame between clients, except those of `list` and `get`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum PeerReply {
    /// The receiver of an offer asks its person.
    Pending,
    /// The receiver of an offer takes it.
    Accepted,
    /// A nonce for the comparison of keys.
    Nonce {
        /// The nonce.
        nonce: Nonce,
    },
    /// The responder's own addresses.
    Addresses {
        /// At most [`limits::ADDRESSES`].
        addresses: Vec<SocketAddr>,
    },
    /// The requester of a dial starts after half a round trip, the responder now.
    Start,
}

/// The Eof of an offer: everything is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferEnd {
    /// Files that the receiver has now.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The Eof of a comparison of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyEnd {
    /// Whether the person at this side says that both see the same digits.
    pub same: bool,
}

impl EofPayload for OfferEnd {
    const WHAT: &'static str = "eof of an offer";
}

impl EofPayload for VerifyEnd {
    const WHAT: &'static str = "eof of verify";
}

impl PeerRequest {
    /// The payload of its Request frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of a Request frame, and checks what does not depend on this client's
    /// state: shape, size, names, paths.
    ///
    /// # Errors
    /// The [`Refusal`] to send to the other client.
    pub fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        let command = decode_command(payload, |command| match command {
            "tell" => limits::MESSAGE,
            "offer" => limits::OFFER,
            _ => limits::REQUEST,
        })?;
        Ok(match command.as_str() {
            "offer" => Self::Offer(Offer::decode(payload)?),
            "withdraw" => {
                let WithdrawFields { offer } = from_json(payload)?;
                Self::Withdraw { offer }
            }
            "tell" => {
                let TellFields { id, text } = from_json(payload)?;
                Self::Tell { id, text }
            }
            "verify" => {
                let VerifyFields { commitment } = from_json(payload)?;
                Self::Verify { commitment }
            }
            "dial" => {
                let dial: DialRequest = from_json(payload)?;
                check_count("addresses", dial.addresses.len(), limits::ADDRESSES)?;
                Self::Dial(dial)
            }
            "nominate" => {
                let NominateFields { introduction } = from_json(payload)?;
                Self::Nominate { introduction }
            }
            "list" => {
                let PathField { path } = from_json(payload)?;
                Self::List { path: FolderPath::parse(&path)? }
            }
            "get" => {
                let GetFields { path, have } = from_json(payload)?;
                Self::Get { path: FilePath::parse(&path)?, have }
            }
            "exit" => Self::Exit,
            _ => return Err(Refusal::new(RefusalCode::UnknownCommand, "no command has this name")),
        })
    }
}

impl Offer {
    fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct OfferFields {
            offer: OfferId,
            entries: Vec<EntryFields>,
            count: u64,
            files: u64,
            bytes: Option<u64>,
        }
        #[derive(Deserialize)]
        struct EntryFields {
            name: String,
            kind: EntryKind,
            size: Option<u64>,
        }
        let OfferFields { offer, entries, count, files, bytes } = from_json(payload)?;
        check_count("entries", entries.len(), limits::OFFERED_NAMES)?;
        let entries = entries
            .into_iter()
            .map(|EntryFields { name, kind, size }| {
                let name = FilePath::parse(&name)?;
                if name.parts().count() != 1 {
                    let what = "an offered name has one part";
                    return Err(Refusal::new(RefusalCode::BadPath, what));
                }
                Ok(OfferedEntry { name, kind, size })
            })
            .collect::<Result<Vec<_>, Refusal>>()?;
        if entries.is_empty() || (entries.len() as u64) > count {
            return Err(Refusal::new(RefusalCode::BadRequest, "an offer counts its entries"));
        }
        Ok(Self { offer, entries, count, files, bytes })
    }
}

impl PeerReply {
    /// The payload of its Reply frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of a Reply frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`], [`FrameError::TooLong`] for too many addresses.
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let reply = frame::from_json("reply", payload)?;
        if let Self::Addresses { addresses } = &reply
            && addresses.len() > limits::ADDRESSES
        {
            return Err(FrameError::TooLong { length: addresses.len(), limit: limits::ADDRESSES });
        }
        Ok(reply)
    }
}

fn check_count(what: &str, count: usize, limit: usize) -> Result<(), Refusal> {
    if count > limit {
        let message = format!("{count} {what} where at most {limit} are allowed");
        return Err(Refusal::new(RefusalCode::TooLarge, message));
    }
    Ok(())
}

#[derive(Deserialize)]
struct WithdrawFields {
    offer: OfferId,
}

#[derive(Deserialize)]
struct TellFields {
    id: MessageId,
    text: String,
}

#[derive(Deserialize)]
struct VerifyFields {
    commitment: Commitment,
}

#[derive(Deserialize)]
struct NominateFields {
    introduction: IntroductionId,
}
