//! Refusals of requests: a code for programs, and a message for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};
use crate::text::display_remark;

/// Why a request was refused, in snake_case on the wire. New codes are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// A malformed frame, JSON of the wrong shape, or a command that is not allowed at this point.
    BadRequest,
    /// No command has this name.
    UnknownCommand,
    /// The hello has a protocol version that this server does not support.
    UnsupportedVersion,
    /// All slots are taken.
    Busy,
    /// Another client has this name.
    NameTaken,
    /// The name breaks the rules for names.
    BadName,
    /// Wrong password or unknown name; the refusal does not say which.
    SignInFailed,
    /// This server requires a password.
    SignInRequired,
    /// No file or folder has this path.
    NotFound,
    /// The path is not a regular file that the server serves.
    NotAFile,
    /// The path is not a folder.
    NotAFolder,
    /// The path breaks the rules for paths.
    BadPath,
    /// The server cannot read the file, or the client lacks the permission.
    Forbidden,
    /// The file changed while the server sent it.
    Changed,
    /// The request is longer than its limit.
    TooLarge,
    /// The server's disk is full.
    NoSpace,
    /// Too many attempts: the client must wait.
    RateLimited,
    /// No connected client has this name.
    NoSuchClient,
    /// The other client declined.
    Declined,
    /// The server is stopping and starts no new command.
    ShuttingDown,
    /// The server failed. The message has an id under which the server's log has the details.
    Internal,
    /// A file or folder has this path already, and the request does not allow replacing it.
    Exists,
    /// The folder is not empty.
    NotEmpty,
    /// The client of this name is connected, and none of its connections takes introductions.
    NotReachable,
    /// The server relays nothing, or the client's budget for relayed data is used up.
    NoRelay,
    /// A code that this program does not know, sent by a newer server.
    #[serde(other)]
    Unknown,
}

/// The payload of an Error frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people. It is text from another machine: show it as [`Display`](fmt::Display) does,
    /// escaped and cut.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The payload of its Error frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        frame::to_json(self)
    }

    /// Reads the payload of an Error frame.
    ///
    /// # Errors
    /// [`FrameError::Malformed`].
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        frame::from_json("error", payload)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&display_remark(&self.message))
    }
}

impl std::error::Error for Refusal {}

impl From<FrameError> for Refusal {
    fn from(error: FrameError) -> Self {
        let code = match error {
            FrameError::TooLong { .. } => RefusalCode::TooLarge,
            _ => RefusalCode::BadRequest,
        };
        Self::new(code, error.to_string())
    }
}
