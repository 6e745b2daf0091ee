//! Quiver's wire protocol: the types of its messages, and how they are encoded.
//!
//! Untrusted bytes are parsed into typed values here, once; the other crates pass only typed
//! values. No QUIC, sockets, clocks, files or environment in here. `docs/protocol.md`
//! describes the protocol.
//!
//! | module | content |
//! |---|---|
//! | [`version`] | the protocol's name in the TLS handshake, and its version number |
//! | [`limits`] | every size on the wire, with its reason |
//! | [`frame`] | kind, length, payload |
//! | [`frame_cutter`] | finding the frames in received bytes |
//! | [`chunk`] | a file's content as Data frames |
//! | [`command`] | a client's requests |
//! | [`reply`] | a server's replies, and the objects that end a response |
//! | [`event`] | events that a server reports |
//! | [`introduction`] | how a server introduces two clients to each other |
//! | [`peer`] | requests and replies between two clients |
//! | [`refusal`] | why a request was refused |
//! | [`bottleneck`] | what limited a transfer's speed |
//! | [`close`] | why a connection was closed |
//! | [`name`], [`path`], [`hash`], [`time`], [`secret`] | the field types of these messages |
//! | [`text`] | escaping of received text before it is shown |
//! | [`units`] | sizes, rates and durations as people read them |

pub mod bottleneck;
pub mod chunk;
pub mod close;
pub mod command;
pub mod event;
pub mod frame;
pub mod frame_cutter;
pub mod hash;
pub mod introduction;
pub mod json_line;
pub mod limits;
pub mod name;
pub mod path;
pub mod peer;
pub mod refusal;
pub mod reply;
pub mod secret;
pub mod text;
pub mod time;
pub mod units;
pub mod version;

pub use bottleneck::{Bottleneck, NetworkLimit};
pub use close::CloseCode;
pub use command::{ContentPrefix, PutRequest, Request};
pub use event::Event;
pub use frame::{FrameError, FrameHeader, FrameKind};
pub use frame_cutter::FrameCutter;
pub use hash::{Commitment, ContentHash, Fingerprint, IntroductionId, MessageId, Nonce, OfferId};
pub use introduction::{ClientRef, Introduction, ObservedAddresses};
pub use json_line::json_line;
pub use name::ClientName;
pub use path::{FilePath, FolderPath};
pub use peer::{DialRequest, Offer, OfferEnd, OfferedEntry, PeerReply, PeerRequest, VerifyEnd};
pub use refusal::{Refusal, RefusalCode};
pub use reply::{ContentEnd, EofPayload, ListEnd, MakeFolderEnd, PlainEnd, Received, Reply};
pub use secret::Secret;
pub use time::Timestamp;
