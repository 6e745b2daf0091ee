//! `put`: one file, which counts as stored once the receiver has verified it. Knows nothing of
//! permissions.
//!
//! 1. sender -> Put {path, size}
//! 2. receiver -> Ready {have}
//! 3. sender -> Content {offset}, Data*, Eof {size, blake3}; meanwhile receiver -> Progress*
//! 4. receiver -> Received {blake3}, Eof
//!
//! Either end may end the conversation with an Error instead of its next frame.

mod accept;
mod offer;
mod send_progress;
mod staging;

pub use self::accept::{AcceptError, AcceptLimits, StoreError, VerifiedUpload, accept};
pub use self::offer::{
    OutgoingFile, PutError, PutOffer, ReceiverProgress, SentBytes, StoredReceipt, offer,
};
pub use self::staging::Staging;
