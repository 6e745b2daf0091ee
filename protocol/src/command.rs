//! A client's requests: one JSON object in one Request frame, the first frame of a stream.

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};
use crate::hash::{ContentHash, IntroductionId};
use crate::limits;
use crate::name::ClientName;
use crate::path::{BadPath, FilePath, FolderPath};
use crate::refusal::{Refusal, RefusalCode};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::version::VERSION;

/// A valid request. Each variant documents its conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// 1. client -> Hello  2. server -> [`Welcome`](crate::Reply::Welcome), Eof
    Hello(Hello),
    /// 1. client -> Message  2. server -> [`Text`](crate::Reply::Text), Eof
    Message {
        /// Any text; may be empty.
        text: String,
    },
    /// 1. client -> Status  2. server -> [`Client`](crate::Reply::Client)*, Eof
    Status,
    /// 1. client -> List  2. server -> [`Entry`](crate::Reply::Entry)*, Eof [`ListEnd`](crate::ListEnd)
    List {
        /// The folder to list.
        path: FolderPath,
    },
    /// 1. client -> Get  2. server -> [`File`](crate::Reply::File), Data*, Eof
    ///    [`ContentEnd`](crate::ContentEnd)  3. client -> [`Received`](crate::Received)
    Get {
        /// The file to send.
        path: FilePath,
        /// The part of its beginning that the client has already; the server checks the hash.
        #[serde(skip_serializing_if = "Option::is_none")]
        have: Option<ContentPrefix>,
    },
    /// 1. client -> Exit  2. server -> [`Goodbye`](crate::Reply::Goodbye), Eof  3. either closes
    Exit,
    /// 1. client -> Put  2. server -> [`Ready`](crate::Reply::Ready)  3. client ->
    ///    [`Content`](crate::Reply::Content), Data*, Eof [`ContentEnd`](crate::ContentEnd), meanwhile
    ///    server -> [`Progress`](crate::Reply::Progress)*  4. server ->
    ///    [`Received`](crate::Received), Eof
    Put(PutRequest),
    /// 1. client -> Remove  2. server -> Eof
    Remove {
        /// A file or an empty folder.
        path: FilePath,
    },
    /// 1. client -> Rename  2. server -> Eof
    Rename {
        /// A file or a folder.
        path: FilePath,
        /// The new path. Its folder must exist.
        to: FilePath,
        /// Whether to replace an existing file at the new path.
        #[serde(skip_serializing_if = "is_false")]
        replace: bool,
    },
    /// 1. client -> MakeFolder  2. server -> Eof [`MakeFolderEnd`](crate::MakeFolderEnd)
    MakeFolder {
        /// The folder to create. Missing parent folders are created too.
        path: FilePath,
        /// The modification time to set; `None` leaves the time unchanged.
        #[serde(skip_serializing_if = "Option::is_none")]
        modified: Option<Timestamp>,
    },
    /// 1. client -> Space  2. server -> [`Space`](crate::Reply::Space), Eof
    Space {
        /// The folder to store in, which may be on another disk than the top folder. It need not
        /// exist yet.
        #[serde(skip_serializing_if = "FolderPath::is_root")]
        path: FolderPath,
    },
    /// Asks how much of an interrupted put the server has kept.
    /// 1. client -> Kept  2. server -> [`Kept`](crate::Reply::Kept), Eof
    Kept {
        /// The path of the put that the client would resume.
        path: FilePath,
    },
    /// Takes introductions on this connection until the stream ends.
    /// 1. client -> Listen  2. server -> [`Listening`](crate::Reply::Listening), then
    ///    [`Introduction`](crate::Reply::Introduction), [`Joined`](crate::Reply::Joined) and
    ///    [`Left`](crate::Reply::Left) as they occur, Eof when the server stops
    Listen,
    /// Asks for a connection with another client.
    /// 1. client -> Introduce  2. server -> [`Introduced`](crate::Reply::Introduced), Eof
    Introduce {
        /// The other client's name.
        name: ClientName,
        /// Whether this client wants the server to relay.
        #[serde(skip_serializing_if = "is_true")]
        relay: bool,
        /// An open introduction whose two connections are introduced again, with a new id; no other
        /// connection is asked.
        #[serde(skip_serializing_if = "Option::is_none")]
        again: Option<IntroductionId>,
    },
    /// Answers an introduction, within 2 seconds. 1. client -> Answer  2. server -> Eof
    Answer {
        /// The introduction.
        id: IntroductionId,
        /// Whether this client takes it.
        accept: bool,
    },
    /// Agrees that each side learns the other's address, once both have agreed.
    /// 1. client -> Agreed  2. server -> [`Addresses`](crate::Reply::Addresses), Eof
    Agreed {
        /// The introduction.
        id: IntroductionId,
    },
    /// Relays packets to the other side of an introduction.
    /// 1. client -> Relay  2. server -> [`Relaying`](crate::Reply::Relaying)  3. both ->
    ///    Packet*, until either ends the stream
    Relay {
        /// The introduction.
        id: IntroductionId,
    },
}

/// The beginning of a file, identified by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentPrefix {
    /// Its length in bytes.
    pub size: u64,
    /// The hash of these bytes.
    pub blake3: ContentHash,
}

/// A request to store a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PutRequest {
    /// The path to store it under. Its folder must exist.
    pub path: FilePath,
    /// Bytes of the whole file; `None` if the client does not know yet, as for a pipe.
    pub size: Option<u64>,
    /// When its content was last modified; `None` leaves the time at which the server stored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Whether the file is executable.
    #[serde(skip_serializing_if = "is_false")]
    pub executable: bool,
    /// Whether to replace an existing file.
    #[serde(skip_serializing_if = "is_false")]
    pub replace: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

/// Names the client, and signs it in. The only request that a guest may send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hello {
    /// The protocol version: [`VERSION`].
    pub version: u32,
    /// The name that the client asks for.
    pub name: ClientName,
    /// Only if the server requires one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether the client only runs one command, so that the server need not list each of its runs.
    #[serde(skip_serializing_if = "is_false")]
    pub one_shot: bool,
}

impl Hello {
    /// Creates a hello of this protocol version, of a client that is not one-shot.
    #[must_use]
    pub fn new(name: ClientName, password: Option<Secret>) -> Self {
        Self { version: VERSION, name, password, one_shot: false }
    }
}

impl Request {
    /// The payload of its Request frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of a Request frame, and checks what does not depend on the server's state:
    /// shape, size, version, name, path.
    ///
    /// # Errors
    /// The [`Refusal`] to send to the client.
    pub fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        let command = decode_command(payload, |command| match command {
            "hello" => limits::HELLO,
            "message" => limits::MESSAGE,
            _ => limits::REQUEST,
        })?;
        Ok(match command.as_str() {
            "hello" => Self::Hello(Hello::decode(payload)?),
            "message" => {
                let MessageFields { text } = from_json(payload)?;
                Self::Message { text }
            }
            "status" => Self::Status,
            "list" => {
                let PathField { path } = from_json(payload)?;
                Self::List { path: FolderPath::parse(&path)? }
            }
            "get" => {
                let GetFields { path, have } = from_json(payload)?;
                Self::Get { path: FilePath::parse(&path)?, have }
            }
            "exit" => Self::Exit,
            "put" => Self::Put(PutRequest::decode(payload)?),
            "remove" => {
                let PathField { path } = from_json(payload)?;
                Self::Remove { path: FilePath::parse(&path)? }
            }
            "rename" => {
                let RenameFields { path, to, replace } = from_json(payload)?;
                Self::Rename { path: FilePath::parse(&path)?, to: FilePath::parse(&to)?, replace }
            }
            "make_folder" => {
                let MakeFolderFields { path, modified } = from_json(payload)?;
                Self::MakeFolder { path: FilePath::parse(&path)?, modified }
            }
            "space" => {
                let SpaceFields { path } = from_json(payload)?;
                Self::Space { path: FolderPath::parse(&path)? }
            }
            "kept" => {
                let PathField { path } = from_json(payload)?;
                Self::Kept { path: FilePath::parse(&path)? }
            }
            "listen" => Self::Listen,
            "introduce" => {
                let IntroduceFields { name, relay, again } = from_json(payload)?;
                let name = ClientName::parse(&name)
                    .map_err(|rule| Refusal::new(RefusalCode::BadName, rule.to_string()))?;
                Self::Introduce { name, relay, again }
            }
            "answer" => {
                let AnswerFields { id, accept } = from_json(payload)?;
                Self::Answer { id, accept }
            }
            "agreed" => {
                let IdField { id } = from_json(payload)?;
                Self::Agreed { id }
            }
            "relay" => {
                let IdField { id } = from_json(payload)?;
                Self::Relay { id }
            }
            _ => return Err(Refusal::new(RefusalCode::UnknownCommand, "no command has this name")),
        })
    }
}

impl Hello {
    /// Checks the version before the other fields, because another version may have other fields.
    fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct HelloFields {
            name: String,
            #[serde(default)]
            password: Option<Secret>,
            #[serde(default)]
            one_shot: bool,
        }
        let VersionField { version } = from_json(payload)?;
        if version != VERSION {
            let message = format!("this server speaks version {VERSION}, not {version}");
            return Err(Refusal::new(RefusalCode::UnsupportedVersion, message));
        }
        let HelloFields { name, password, one_shot } = from_json(payload)?;
        let name = ClientName::parse(&name)
            .map_err(|rule| Refusal::new(RefusalCode::BadName, rule.to_string()))?;
        if password.as_ref().is_some_and(|secret| secret.expose().len() > limits::PASSWORD) {
            let limit = limits::PASSWORD;
            let message = format!("a password has at most {limit} bytes");
            return Err(Refusal::new(RefusalCode::TooLarge, message));
        }
        Ok(Self { version, name, password, one_shot })
    }
}

impl PutRequest {
    fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct PutFields {
            path: String,
            size: Option<u64>,
            modified: Option<Timestamp>,
            #[serde(default)]
            executable: bool,
            #[serde(default)]
            replace: bool,
        }
        let PutFields { path, size, modified, executable, replace } = from_json(payload)?;
        Ok(Self { path: FilePath::parse(&path)?, size, modified, executable, replace })
    }
}

/// Reads which command a request is, and checks that the payload is not longer than this command allows.
pub(crate) fn decode_command(payload: &[u8], limit: fn(&str) -> usize) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct CommandField {
        command: String,
    }
    let CommandField { command } = from_json(payload)?;
    let limit = limit(&command);
    if payload.len() > limit {
        return Err(FrameError::TooLong { length: payload.len(), limit }.into());
    }
    Ok(command)
}

#[derive(Deserialize)]
struct VersionField {
    version: u32,
}

#[derive(Deserialize)]
struct MessageFields {
    text: String,
}

#[derive(Deserialize)]
pub(crate) struct PathField {
    pub(crate) path: String,
}

#[derive(Deserialize)]
pub(crate) struct GetFields {
    pub(crate) path: String,
    pub(crate) have: Option<ContentPrefix>,
}

#[derive(Deserialize)]
struct RenameFields {
    path: String,
    to: String,
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize)]
struct MakeFolderFields {
    path: String,
    modified: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SpaceFields {
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
struct IntroduceFields {
    name: String,
    #[serde(default = "yes")]
    relay: bool,
    again: Option<IntroductionId>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct IdField {
    id: IntroductionId,
}

#[derive(Deserialize)]
struct AnswerFields {
    id: IntroductionId,
    accept: bool,
}

/// Reads the fields of a request.
pub(crate) fn from_json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Refusal> {
    frame::from_json("request", payload).map_err(Refusal::from)
}

impl From<BadPath> for Refusal {
    fn from(rule: BadPath) -> Self {
        Self::new(RefusalCode::BadPath, rule.to_string())
    }
}

#[cfg(test)]
mod tests;
