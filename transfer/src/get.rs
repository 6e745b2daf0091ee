//! `get`: transfers one file. The receiver verifies it and stores it under its final name before it
//! confirms. Knows nothing of permissions.
//!
//! 1. receiver -> Get {path, have}
//! 2. sender -> File {size, offset}, Data*, Eof {size, blake3}
//! 3. receiver -> Received {blake3}
//!
//! Either end may end the conversation early: the sender sends an Error instead of its next frame,
//! the receiver stops reading.

mod fetch;
mod serve;

pub use self::fetch::{GetError, IncomingFile, ReceivedFile, StoreOutcome, VerifiedContent, fetch};
pub use self::serve::{SentFile, ServeError, ServedFile, serve};
