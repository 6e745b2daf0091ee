//! What a server answers, and the objects that end an answer.

use serde::{Deserialize, Serialize};

use crate::bottleneck::Bottleneck;
use crate::command::{ContentPrefix, is_false};
use crate::frame::{self, FrameError};
use crate::hash::ContentHash;
use crate::limits;
use crate::name::ClientName;
use crate::path::FilePath;
use crate::time::Timestamp;

/// The payload of a Reply frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The answer to a hello: the guest is a member now.
    Welcome(Welcome),
    /// The answer to a message.
    Text {
        /// What the server says.
        text: String,
    },
    /// One row of a status.
    Client(ClientRow),
    /// One entry of a list.
    Entry(FolderEntry),
    /// Before the content of a get.
    File(FileHead),
    /// The answer to an exit.
    Goodbye,
    /// The answer to a put: the content may come.
    Ready(Ready),
    /// The client's answer to a [`Ready`], before the content of a put.
    Content {
        /// Where the content that follows begins: what the server has, or 0.
        offset: u64,
    },
    /// Now and then, while the content of a put comes.
    Progress {
        /// Bytes of the file that have come, those before the offset too.
        received: u64,
        /// Bytes of the file that were written to the server's disk, not yet verified.
        stored: u64,
    },
    /// The answer to a space.
    Space(Space),
    /// The answer to a kept: what the client would be [`Ready`] with, if it put the file now.
    Kept(Ready),
}

/// What a new member is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The client's number, from 1, in the order of hellos.
    pub client: u64,
    /// The name it goes by: the form first used, where several connections are one client.
    pub name: ClientName,
    /// Words of welcome for people.
    pub message: String,
    /// How many clients may be connected at once.
    pub max_clients: usize,
    /// The server's limits.
    pub limits: Limits,
    /// Whether the client may store, remove and rename files.
    #[serde(default, skip_serializing_if = "is_false")]
    pub upload: bool,
}

/// What a server accepts; payload sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// A message's payload.
    pub message: usize,
    /// Any other request's payload.
    pub request: usize,
    /// Command streams of one connection at once.
    pub streams: u32,
    /// Connections that may be one client.
    pub connections: usize,
}

impl Limits {
    /// The limits of this version.
    pub const CURRENT: Self = Self {
        message: limits::MESSAGE,
        request: limits::REQUEST,
        streams: limits::STREAMS,
        connections: limits::CONNECTIONS_PER_CLIENT,
    };
}

/// Someone who is or was here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRow {
    /// The client's number.
    pub number: u64,
    /// Its name.
    pub name: ClientName,
    /// When it was welcomed.
    pub start: Timestamp,
    /// When its last connection ended; `null` while it is connected.
    pub end: Option<Timestamp>,
}

/// A file or folder on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderEntry {
    /// Relative to the server's root.
    pub path: FilePath,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
    /// When its content was last modified.
    pub modified: Timestamp,
}

/// What a list's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
}

/// What precedes a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    /// The path that was asked for.
    pub path: FilePath,
    /// Bytes of the whole file, fixed when it was opened.
    pub size: u64,
    /// When its content was last modified.
    pub modified: Timestamp,
    /// Where the content that follows begins: what the client has, where that is still so, or 0.
    pub offset: u64,
    /// Whether it is a program.
    #[serde(default, skip_serializing_if = "is_false")]
    pub executable: bool,
}

/// What precedes the content of a put, at the server's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// The path that was named.
    pub path: FilePath,
    /// What the server kept of an earlier attempt; the client checks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<ContentPrefix>,
}

/// What still fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes that this client may still store, all files together.
    pub available: u64,
    /// Bytes that one file may have.
    pub max_file_size: u64,
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

/// The object in an Eof frame, or in a Received.
pub trait EofPayload: Serialize + for<'de> Deserialize<'de> {
    /// What it is called in errors.
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

/// An Eof with nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainEnd {}

/// The Eof of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListEnd {
    /// Entries that were listed.
    pub entries: u64,
    /// Names in the folder that get would refuse, and that are therefore not listed.
    pub not_served: u64,
}

/// The Eof of a make_folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeFolder {
    /// Whether the folder is new.
    pub created: bool,
}

/// The Eof of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentEnd {
    /// Bytes of the whole file.
    pub size: u64,
    /// The hash of the whole file.
    pub blake3: ContentHash,
    /// What held the sender back; absent where it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed_by: Option<Bottleneck>,
}

/// The receiver's word: verified, flushed and under its final name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The hash of what was received.
    pub blake3: ContentHash,
    /// What held the receiver back; absent where it cannot tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed_by: Option<Bottleneck>,
}

impl EofPayload for PlainEnd {
    const WHAT: &'static str = "eof";
}

impl EofPayload for ListEnd {
    const WHAT: &'static str = "eof of a list";
}

impl EofPayload for MadeFolder {
    const WHAT: &'static str = "eof of make_folder";
}

impl EofPayload for ContentEnd {
    const WHAT: &'static str = "eof of content";
}

impl EofPayload for Received {
    const WHAT: &'static str = "received";
}
