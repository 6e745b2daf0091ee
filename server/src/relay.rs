//! Forwards packets between the streams of two clients. It sees lengths and ciphertext, and knows no introductions.
//!
//! A relay has two ends, one for each client. What one end sends waits in a bounded queue for the other end, which
//! drops what does not fit, as a network would.

mod forward;
mod queue;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use quiver_transport::{FrameWriter, StreamError};
use tokio_util::sync::CancellationToken;

pub use self::forward::{EndReason, forward};
use self::queue::PacketQueue;
pub use self::usage::{ClientUsage, RelayLimits, RelayUsages};

/// One end of a relay. Dropping it ends the relay.
#[derive(Debug)]
pub struct RelayEnd {
    outgoing: Arc<PacketQueue>,
    incoming: Arc<PacketQueue>,
    /// Bytes that this end has sent to the other one.
    sent: AtomicU64,
    relay: Arc<RelayState>,
}

/// What the two ends share.
#[derive(Debug, Default)]
struct RelayState {
    ended: CancellationToken,
    /// Whether the relay ended because a client has used up its budget.
    is_over_budget: AtomicBool,
}

impl RelayEnd {
    /// Creates both ends of a relay.
    #[must_use]
    pub fn pair() -> [Self; 2] {
        let (relay, [first, second]) = (Arc::default(), <[Arc<PacketQueue>; 2]>::default());
        let end = |outgoing: &Arc<PacketQueue>, incoming: &Arc<PacketQueue>| Self {
            outgoing: outgoing.clone(),
            incoming: incoming.clone(),
            sent: AtomicU64::new(0),
            relay: Arc::clone(&relay),
        };
        [end(&first, &second), end(&second, &first)]
    }

    /// Writes what waits for this end's client, and waits until QUIC has taken it.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn drain(&self, writer: &mut FrameWriter) -> Result<(), StreamError> {
        while let Some(block) = self.incoming.try_next() {
            writer.write_block(block).await?;
            self.incoming.written();
        }
        Ok(())
    }

    /// Bytes in the packets that this end has sent to the other one.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends the relay for both clients, because one of them has used up its budget.
    fn end_over_budget(&self) {
        self.relay.is_over_budget.store(true, Ordering::Relaxed);
        self.relay.ended.cancel();
    }

    /// Resolves when the other end has ended.
    async fn ended(&self) -> EndReason {
        self.relay.ended.cancelled().await;
        if self.relay.is_over_budget.load(Ordering::Relaxed) {
            EndReason::OverBudget
        } else {
            EndReason::Finished
        }
    }
}

impl Drop for RelayEnd {
    fn drop(&mut self) {
        self.relay.ended.cancel();
    }
}
