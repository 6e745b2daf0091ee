//! What limited a transfer's speed, as one of its ends reports it. No measurement in here.

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
