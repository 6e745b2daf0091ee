//! What held a transfer back, as one of its ends sees it. Knows nothing of how that is found out.

use serde::{Deserialize, Serialize};

/// What one end of a transfer mostly waited for, in snake_case on the wire. The list grows at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bottleneck {
    /// Its disk.
    Disk,
    /// Its processor.
    Processor,
    /// The pipe that the content comes from, or goes to.
    Pipe,
    /// It was told to be no faster.
    Limit,
    /// The other end, or what lies between the two.
    Network,
    /// A word this program does not know, from a newer one.
    #[serde(other)]
    Unknown,
}
