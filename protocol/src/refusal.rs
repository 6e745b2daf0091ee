//! Why something was refused: a code for programs, a message for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::{self, FrameError};
use crate::text::display_remark;

/// The codes of `quiver/1`, in snake_case on the wire. The list grows at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// A malformed frame, JSON of the wrong shape, or a command that is not allowed here.
    BadRequest,
    /// No command has this name.
    UnknownCommand,
    /// The hello names a version this server does not speak.
    UnsupportedVersion,
    /// All slots are taken.
    Busy,
    /// Another client has this name.
    NameTaken,
    /// The name breaks the rules for names.
    BadName,
    /// Wrong password or unknown name; the answer does not say which.
    SignInFailed,
    /// This server wants a password.
    SignInRequired,
    /// Nothing is there under this path.
    NotFound,
    /// The path is not a regular file that is served.
    NotAFile,
    /// The path is not a folder.
    NotAFolder,
    /// The path breaks the rules for paths.
    BadPath,
    /// The server may not read it, or this client may not do it.
    Forbidden,
    /// The file changed while it was sent.
    Changed,
    /// The request is longer than its limit.
    TooLarge,
    /// The server's disk is full.
    NoSpace,
    /// Too many attempts: later.
    RateLimited,
    /// No connected client has this name.
    NoSuchClient,
    /// The other client declined.
    Declined,
    /// The server is stopping and begins nothing new.
    ShuttingDown,
    /// The server failed; its log has the details under the id in the message.
    Internal,
    /// Something is there already, and was not to be replaced.
    Exists,
    /// A folder has something in it.
    NotEmpty,
    /// A code this program does not know, from a newer server.
    #[serde(other)]
    Unknown,
}

/// The payload of an Error frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people. From another machine: show it as [`Display`](fmt::Display) does, escaped and not at any length.
    pub message: String,
}

impl Refusal {
    /// A refusal with its words.
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
