//! What a client asks: one JSON object in one Request frame, the first frame of a stream.

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};
use crate::hash::ContentHash;
use crate::limits;
use crate::name::ClientName;
use crate::path::{BadPath, FilePath, FolderPath};
use crate::refusal::{Refusal, RefusalCode};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::version::VERSION;

/// A checked request. Each variant documents its conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// 1. client -> Hello  2. server -> [`Welcome`](crate::Reply::Welcome), Eof
    Hello(Hello),
    /// 1. client -> Message  2. server -> [`Text`](crate::Reply::Text), Eof
    Message {
        /// Any text, empty too.
        text: String,
    },
    /// 1. client -> Status  2. server -> [`Client`](crate::Reply::Client)*, Eof
    Status,
    /// 1. client -> List  2. server -> [`Entry`](crate::Reply::Entry)*, Eof [`ListEnd`](crate::ListEnd)
    List {
        /// The folder whose entries are wanted.
        path: FolderPath,
    },
    /// 1. client -> Get  2. server -> [`File`](crate::Reply::File), Data*, Eof
    ///    [`ContentEnd`](crate::ContentEnd)  3. client -> [`Received`](crate::Received)
    Get {
        /// The file that is wanted.
        path: FilePath,
        /// What the client has of it already; the server checks it.
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
        /// A file, or a folder with nothing in it.
        path: FilePath,
    },
    /// 1. client -> Rename  2. server -> Eof
    Rename {
        /// A file or a folder.
        path: FilePath,
        /// What it will be called; its folder is there.
        to: FilePath,
        /// Whether a file that is called so already gives way.
        #[serde(skip_serializing_if = "is_false")]
        replace: bool,
    },
    /// 1. client -> MakeFolder  2. server -> Eof [`MadeFolder`](crate::MadeFolder)
    MakeFolder {
        /// The folder. Those it lies in are made too.
        path: FilePath,
        /// When something in it was last added or removed; `None` leaves the time that it has.
        #[serde(skip_serializing_if = "Option::is_none")]
        modified: Option<Timestamp>,
    },
    /// 1. client -> Space  2. server -> [`Space`](crate::Reply::Space), Eof
    Space,
    /// 1. client -> Kept  2. server -> [`Kept`](crate::Reply::Kept), Eof
    Kept {
        /// Where a put of the client's would go on.
        path: FilePath,
    },
}

/// The beginning of a file, known by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentPrefix {
    /// How many bytes.
    pub size: u64,
    /// The hash of them.
    pub blake3: ContentHash,
}

/// A file that the client wants to store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PutRequest {
    /// Where. Its folder is there.
    pub path: FilePath,
    /// Bytes of the whole file; `None` where nobody knows yet, as of a pipe.
    pub size: Option<u64>,
    /// When its content was last modified; `None` leaves the server's own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
    /// Whether it is a program.
    #[serde(skip_serializing_if = "is_false")]
    pub executable: bool,
    /// Whether a file that is there already gives way.
    #[serde(skip_serializing_if = "is_false")]
    pub replace: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}

/// Who is there. The only request a guest may make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hello {
    /// The protocol's version: [`VERSION`].
    pub version: u32,
    /// The name the client wants.
    pub name: ClientName,
    /// Only where the server asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

impl Hello {
    /// A hello of this version.
    #[must_use]
    pub fn new(name: ClientName, password: Option<Secret>) -> Self {
        Self { version: VERSION, name, password }
    }
}

impl Request {
    /// The payload of its Request frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of a Request frame, and judges everything in it that needs no knowledge of
    /// the server: shape, size, version, name, path.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        let Head { command } = from_json(payload)?;
        let limit = match command.as_str() {
            "hello" => limits::HELLO,
            "message" => limits::MESSAGE,
            _ => limits::REQUEST,
        };
        if payload.len() > limit {
            return Err(FrameError::TooLong { length: payload.len(), limit }.into());
        }
        Ok(match command.as_str() {
            "hello" => Self::Hello(Hello::decode(payload)?),
            "message" => {
                let Text { text } = from_json(payload)?;
                Self::Message { text }
            }
            "status" => Self::Status,
            "list" => {
                let Path { path } = from_json(payload)?;
                Self::List { path: FolderPath::parse(&path)? }
            }
            "get" => {
                let Get { path, have } = from_json(payload)?;
                Self::Get { path: FilePath::parse(&path)?, have }
            }
            "exit" => Self::Exit,
            "put" => Self::Put(PutRequest::decode(payload)?),
            "remove" => {
                let Path { path } = from_json(payload)?;
                Self::Remove { path: FilePath::parse(&path)? }
            }
            "rename" => {
                let Rename { path, to, replace } = from_json(payload)?;
                Self::Rename { path: FilePath::parse(&path)?, to: FilePath::parse(&to)?, replace }
            }
            "make_folder" => {
                let MakeFolder { path, modified } = from_json(payload)?;
                Self::MakeFolder { path: FilePath::parse(&path)?, modified }
            }
            "space" => Self::Space,
            "kept" => {
                let Path { path } = from_json(payload)?;
                Self::Kept { path: FilePath::parse(&path)? }
            }
            _ => return Err(Refusal::new(RefusalCode::UnknownCommand, "no command has this name")),
        })
    }
}

impl Hello {
    /// The version is judged before the rest: another version may have other fields.
    fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Fields {
            name: String,
            #[serde(default)]
            password: Option<Secret>,
        }
        let Version { version } = from_json(payload)?;
        if version != VERSION {
            let message = format!("this server speaks version {VERSION}, not {version}");
            return Err(Refusal::new(RefusalCode::UnsupportedVersion, message));
        }
        let Fields { name, password } = from_json(payload)?;
        let name = ClientName::parse(&name)
            .map_err(|rule| Refusal::new(RefusalCode::BadName, rule.to_string()))?;
        if password.as_ref().is_some_and(|secret| secret.expose().len() > limits::PASSWORD) {
            let limit = limits::PASSWORD;
            let message = format!("a password has at most {limit} bytes");
            return Err(Refusal::new(RefusalCode::TooLarge, message));
        }
        Ok(Self { version, name, password })
    }
}

impl PutRequest {
    fn decode(payload: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Fields {
            path: String,
            size: Option<u64>,
            modified: Option<Timestamp>,
            #[serde(default)]
            executable: bool,
            #[serde(default)]
            replace: bool,
        }
        let Fields { path, size, modified, executable, replace } = from_json(payload)?;
        Ok(Self { path: FilePath::parse(&path)?, size, modified, executable, replace })
    }
}

#[derive(Deserialize)]
struct Head {
    command: String,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
struct Path {
    path: String,
}

#[derive(Deserialize)]
struct Get {
    path: String,
    have: Option<ContentPrefix>,
}

#[derive(Deserialize)]
struct Rename {
    path: String,
    to: String,
    #[serde(default)]
    replace: bool,
}

#[derive(Deserialize)]
struct MakeFolder {
    path: String,
    modified: Option<Timestamp>,
}

fn from_json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Refusal> {
    frame::from_json("request", payload).map_err(Refusal::from)
}

impl From<BadPath> for Refusal {
    fn from(rule: BadPath) -> Self {
        Self::new(RefusalCode::BadPath, rule.to_string())
    }
}

#[cfg(test)]
mod tests;
