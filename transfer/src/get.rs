//! `get`: one file, verified and stored under its final name before the sender is told. Knows
//! nothing of permissions.
//!
//! 1. receiver -> Get {path, have}
//! 2. sender -> File {size, offset}, Data*, Eof {size, blake3}
//! 3. receiver -> Received {blake3}
//!
//! Either end may end the conversation: the sender with an Error instead of its next frame, the
//! receiver by not reading further.

mod fetch;
mod serve;

pub use self::fetch::{GetError, IncomingFile, ReceivedFile, VerifiedContent, fetch};
pub use self::serve::{SentFile, ServeError, ServedFile, serve};
