//! The bytes on the wire, pinned by the files in `tests/golden`, and their description in the docs.
//!
//! If a line changes or is removed, older and newer programs no longer understand each other: that
//! needs a new ALPN (`quiver/2`). New lines for new commands, replies, events, fields or codes
//! extend `quiver/1`. A failing test prints the content that the file would need; CONTRIBUTING.md
//! says when to copy it.
//!
//! | files | content |
//! |---|---|
//! | `requests`, `replies`, `ends`, `events`, `refusals` | payloads, encoded and decoded |
//! | `foreign-*` | other encodings of the same values, which other programs may send; decoded |
//! | `peer-*` | the same for `quiver-peer/1` |
//! | `refused` | requests that are refused, and the codes |
//! | `frames`, `get` | frames and a whole conversation, in hex, encoded and decoded |
//! | `numbers` | ALPN, version, frame kinds, close codes, limits |

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failure fails the test")]

mod document;
mod ends;
mod events;
mod frames;
mod golden;
mod payloads;
mod peer;
mod refusals;
