//! A server's replies, and the objects that end a response.

use serde::{Deserialize, Serialize};

use crate::bottleneck::{Bottleneck, NetworkLimit};
use crate::command::{ContentPrefix, is_false};
use crate::frame::{self, FrameError};
use crate::hash::ContentHash;
use crate::introduction::{ClientRef, Introduction, ObservedAddresses};
use crate::limits;
use crate::name::ClientName;
use crate::path::FilePath;
use crate::time::Timestamp;

/// The payload of a Reply frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The reply to a `hello` request: the guest is now a member.
    Welcome(Welcome),
    /// The reply to a `message` request.
    Text {
        /// The server's text.
        text: String,
    },
    /// One row of the reply to a `status` request.
    Client(ClientRow),
    /// One entry of the reply to a `list` request.
    Entry(FolderEntry),
    /// The first reply to a `get` request, before the content.
    File(FileHeader),
    /// The reply to an `exit` request.
    Goodbye,
    /// The reply to a `put` request: the client may send the content, from this point.
    Ready(ResumePoint),
    /// The client's response to [`Ready`](Self::Ready), before the content of a put.
    Content {
        /// Offset in the file at which the content starts: the size of what the server has, or 0.
        offset: u64,
    },
    /// Sent from time to time while the server receives the content of a put.
    Progress {
        /// Bytes of the file that the server has received, including those before the offset.
        received: u64,
        /// Bytes of the file that the server has written to its disk, not yet verified.
        stored: u64,
    },
    /// The reply to a `space` request.
    Space(AvailableSpace),
    /// The reply to a `kept` request: where a put of this file would resume now.
    Kept(ResumePoint),
    /// The first reply to a `listen` request: this connection takes introductions now.
    Listening,
    /// A later reply to a `listen` request: another client wants a connection with this one.
    Introduction(Introduction),
    /// A later reply to a `listen` request: a client has connected.
    Joined(ClientRef),
    /// A later reply to a `listen` request: a client has disconnected.
    Left(ClientRef),
    /// The reply to an `introduce` request: the other client has answered.
    Introduced(Introduction),
    /// The reply to an `agreed` request: both sides have agreed.
    Addresses(ObservedAddresses),
    /// The reply to a `relay` request: the other side relays too, and packets may follow.
    Relaying,
}

/// What a new member learns about itself and the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The client's number, from 1, assigned in the order of hellos.
    pub client: u64,
    /// The client's name, in the form that its first connection used.
    pub name: ClientName,
    /// A welcome message for people.
    pub message: String,
    /// Clients that may be connected at once.
    pub max_clients: usize,
    /// The server's limits.
    pub limits: ServerLimits,
    /// Whether the client may store, remove and rename files.
    #[serde(default, skip_serializing_if = "is_false")]
    pub upload: bool,
}

/// The limits of a server. Payload sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerLimits {
    /// The payload of a message.
    pub message: usize,
    /// The payload of any other request.
    pub request: usize,
    /// Command streams that one connection may have open at once.
    pub streams: u32,
    /// Connections that one client may have.
    pub connections: usize,
}

impl ServerLimits {
    /// The limits of this protocol version.
    pub const CURRENT: Self = Self {
        message: limits::MESSAGE,
        request: limits::REQUEST,
        streams: limits::STREAMS,
        connections: limits::CONNECTIONS_PER_CLIENT,
    };
}

/// A client that is or was connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// The client's number.
    pub number: u64,
    /// Its name.
    pub name: ClientName,
    /// When the server welcomed it.
    pub start: Timestamp,
    /// When its last connection ended; `null` while it is connected.
    pub end: Option<Timestamp>,
    /// Whether one of its connections takes introductions.
    #[serde(default, skip_serializing_if = "is_false")]
    pub reachable: bool,
    /// Whether it only runs or ran one command.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_shot: bool,
}

/// A file or folder on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// The path, relative to the server's root.
    pub path: FilePath,
    /// File or folder.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
    /// When its content was last modified.
    pub modified: Timestamp,
}

/// The kind of a folder's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// Describes a file, before its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHeader {
    /// The requested path.
    pub path: FilePath,
    /// Bytes of the whole file when the server opened it.
    pub size: u64,
    /// When its content was last modified.
    pub modified: Timestamp,
    /// Offset in the file at which the content starts: the size of the prefix that the client has,
    /// if the file still starts with it, or 0.
    pub offset: u64,
    /// Whether the file is executable.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
}

/// Where a put can resume: the beginning of the file that the server has already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// The path of the put.
    pub path: FilePath,
    /// The content that the server has kept from an earlier attempt; the client checks the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<ContentPrefix>,
}

/// How much a client may still store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvailableSpace {
    /// Bytes that this client may still store in all files together.
    pub available: u64,
    /// Bytes that one file may have.
    pub max_file_size: u64,
    /// Bytes of the disk that are free too, but that the operator keeps free; `None` if something
    /// else limits what may be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_free: Option<u64>,
}

impl Reply {
    /// The payload of its Reply frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of a Reply frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        frame::from_json("reply", payload)
    }
}

/// The JSON object in an Eof or Received frame.
pub trait EofPayload: Serialize + for<'de> Deserialize<'de> {
    /// The object's name in errors.
    const WHAT: &'static str;

    /// The frame's payload.
    fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the frame's payload.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        frame::from_json(Self::WHAT, payload)
    }
}

/// The Eof of a response that has no further data: `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainEnd {}

/// The Eof of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEnd {
    /// Entries that the server listed.
    pub entries: u64,
    /// Names in the folder that the server does not list, because a get of them would be refused.
    pub not_served: u64,
    /// Those of them that the server may not read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// Up to [`limits::LEFT_OUT_NAMES`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutName>,
}

/// A name that a list leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutName {
    /// The name, which may break every rule for names. What is not UTF-8 is replaced.
    pub name: String,
    /// Why it is left out.
    pub why: LeftOutReason,
}

/// Why a list leaves out a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutReason {
    /// It is a symbolic link.
    SymbolicLink,
    /// It is a named pipe.
    Pipe,
    /// It is a socket.
    Socket,
    /// It is a device, or something else that is neither a file nor a folder.
    Device,
    /// The server may not read it.
    Unreadable,
    /// The name breaks the rules for paths.
    BadName,
    /// A reason that this version does not know. Never sent.
    #[serde(other)]
    Unknown,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The Eof of a make_folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeFolderEnd {
    /// Whether the folder was created; `false` if it existed already.
    pub created: bool,
}

/// The Eof of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentEnd {
    /// Bytes of the whole file.
    pub size: u64,
    /// The hash of the whole file.
    pub blake3: ContentHash,
    /// What limited the sender; absent if it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed_by: Option<Bottleneck>,
    /// What held back the sender's data, if it waited for the network or the receiver; absent if it
    /// cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkLimit>,
}

/// The receiver's acknowledgement: it has verified, flushed and renamed the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The hash of the received file.
    pub blake3: ContentHash,
    /// What limited the receiver; absent if it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed_by: Option<Bottleneck>,
}

impl EofPayload for PlainEnd {
    const WHAT: &'static str = "eof";
}

impl EofPayload for ListEnd {
    const WHAT: &'static str = "eof of a list";
}

impl EofPayload for MakeFolderEnd {
    const WHAT: &'static str = "eof of make_folder";
}

impl EofPayload for ContentEnd {
    const WHAT: &'static str = "eof of content";
}

impl EofPayload for Received {
    const WHAT: &'static str = "received";
}
