//! Verifies prefixes that the other end claims: where they are hashed, and how many at once.

use std::io;

use quiver_protocol::ContentPrefix;
use tokio::sync::Semaphore;

use crate::background::Lane;
use crate::{HashedPrefix, Source};

/// Where prefixes are hashed, and how many at once. By default on blocking threads, without a
/// limit.
#[derive(Debug, Clone, Default)]
pub struct ProofLimits<'a> {
    /// Hashes at low priority, in turns with other lanes.
    pub lane: Option<Lane>,
    /// A permit for each file that may be hashed at once. Must not be closed.
    pub permits: Option<&'a Semaphore>,
}

impl ProofLimits<'_> {
    /// The prefix of `source` if it matches `claim`, else the empty prefix. Waits for a permit.
    pub(crate) async fn verify_prefix(
        &self,
        source: &Source,
        claim: ContentPrefix,
    ) -> io::Result<HashedPrefix> {
        let _permit = match self.permits {
            Some(permits) => permits.acquire().await.ok(),
            None => None,
        };
        Ok(source.verify_prefix(claim, self.lane.as_ref()).await?.unwrap_or_default())
    }
}
