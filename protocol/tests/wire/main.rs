//! The wire's bytes, pinned by the files in `tests/golden`, and the document that describes them.
//!
//! A line that changes or goes away means that yesterday's programs and today's no longer understand
//! each other: that is a new ALPN (`quiver/2`), not an edit. A new line for a new command, reply, event,
//! field or code is how `quiver/1` grows. When a test here fails it prints what the file would have to
//! hold; CONTRIBUTING.md says when to copy it.
//!
//! | files | what they hold |
//! |---|---|
//! | `requests`, `replies`, `ends`, `events`, `refusals` | payloads, written and read |
//! | `foreign-*` | other spellings of the same values, which other programs may send; read |
//! | `refused` | requests that are refused, and the code |
//! | `frames`, `get` | frames and a whole conversation, in hex, written and read |
//! | `numbers` | ALPN, version, frame kinds, close codes, limits |

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what fails here fails a test")]

mod document;
mod frames;
mod lines;
mod payloads;
