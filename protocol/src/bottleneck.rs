//! What limited a transfer's speed, as its ends report it. No measurement in here.

use serde::{Deserialize, Serialize};

/// What one end of a transfer mostly waited for, in snake_case on the wire. New variants are added
/// at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// The disk of this end.
    Disk,
    /// The processor of this end.
    Processor,
    /// The pipe that the content is read from or written to.
    Pipe,
    /// A configured rate limit.
    Limit,
    /// The other end, or the network between both ends.
    Network,
    /// A value that this program does not know, sent by a newer program.
    #[serde(other)]
    Unknown,
}

/// What held back the data of a sender that did not wait for its disk or processor, in snake_case on
/// the wire. New variants are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkLimit {
    /// The path: data was ready, and congestion control let no more of it into the network.
    Path,
    /// The receiver's flow control: its windows were full (RFC 9000, 4).
    ReceiveWindow,
    /// The sender's own limit for data that is not acknowledged yet.
    SendWindow,
    /// A value that this program does not know, sent by a newer program.
    #[serde(other)]
    Unknown,
}
