//! No more than so many bytes a second: what `--limit` means, all files of a command together.

use std::future::poll_fn;
use std::num::NonZeroU64;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytesize::ByteSize;
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::Bottleneck;
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::limits::CHUNK;
use thiserror::Error;
use tokio::time::{Instant, sleep_until};

/// What was not used may be used later, up to what goes in this time.
const BURST: Duration = Duration::from_millis(100);

/// How many blocks a second a limit is made of, where it is that low.
const BLOCKS: u64 = 8;

/// Bytes a second, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(NonZeroU64);

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected a rate as 10MB/s, 500K or 1.5MiB/s")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    /// Reads `10MB/s`: K, M and G are powers of 1000, Ki, Mi and Gi of 1024; `B` and `/s` may be left
    /// out.
    fn from_str(text: &str) -> Result<Self, BadRate> {
        let size = text.trim().strip_suffix("/s").unwrap_or(text.trim());
        let size: ByteSize = size.parse().map_err(|_| BadRate)?;
        NonZeroU64::new(size.as_u64()).map(Self).ok_or(BadRate)
    }
}

impl Rate {
    /// Bytes a second.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.get()
    }
}

/// A bucket of tokens: says when the next bytes may go. Knows no clock.
#[derive(Debug)]
struct TokenBucket {
    rate: Rate,
    /// When all that went has been paid for.
    paid: Option<Instant>,
}

impl TokenBucket {
    /// Takes so many bytes at a moment; from when on more may be taken.
    fn take(&mut self, bytes: u64, now: Instant) -> Instant {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = self.paid.map_or(now, |paid| paid.max(earliest));
        let cost = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate.bytes());
        let cost = Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX));
        let paid = from.checked_add(cost).unwrap_or(from);
        self.paid = Some(paid);
        paid
    }
}

/// A rate that all transfers of a command share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RateLimit {
    rate: Rate,
    bucket: Arc<Mutex<TokenBucket>>,
}

impl RateLimit {
    /// A limit of its own.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: Arc::new(Mutex::new(TokenBucket { rate, paid: None })) }
    }

    /// The rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How many bytes to move at once, so that they move evenly.
    #[must_use]
    pub fn block(&self) -> usize {
        usize::try_from(self.rate.bytes() / BLOCKS).unwrap_or(BLOCK).clamp(CHUNK, BLOCK)
    }

    /// So many bytes have moved; from when on more may.
    #[must_use]
    pub fn take(&self, bytes: u64) -> Instant {
        self.bucket.lock().take(bytes, Instant::now())
    }
}

/// Holds work up that moves bytes: between two blocks, while it waits for its turn.
#[derive(Debug, Default)]
pub struct TransferThrottle(Mutex<GateState>);

#[derive(Debug, Default)]
struct GateState {
    /// When it opens.
    until: Option<Instant>,
    /// How long it has held up work.
    paused: Duration,
}

impl TransferThrottle {
    /// Nothing passes before this moment.
    pub fn pause_until(&self, moment: Instant) {
        self.held().until = Some(moment);
    }

    /// That it held work up that took so long, where it did.
    #[must_use]
    pub fn bottleneck(&self, took: Duration) -> Option<Bottleneck> {
        // Whoever comes to it now and then goes at its rate.
        let paused = self.held().paused;
        (paused > Duration::ZERO && paused >= took / 10).then_some(Bottleneck::Limit)
    }

    /// Does the work, with a pause wherever the throttle is closed and the work gives way, and one at the end until
    /// the last bytes have been paid for.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut pause = pin!(sleep_until(Instant::now()));
        let mut since = None;
        let output = poll_fn(move |context| {
            if let Some(until) = self.closed().filter(|until| *until > Instant::now()) {
                if pause.deadline() != until {
                    pause.as_mut().reset(until);
                }
                if pause.as_mut().poll(context).is_pending() {
                    since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
            if let Some(since) = since.take() {
                self.held().paused += Instant::elapsed(&since);
            }
            work.as_mut().poll(context)
        })
        .await;
        if let Some(until) = self.closed() {
            self.held().paused += until.saturating_duration_since(Instant::now());
            sleep_until(until).await;
        }
        output
    }

    fn closed(&self) -> Option<Instant> {
        self.held().until
    }

    fn held(&self) -> MutexGuard<'_, GateState> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> u64 {
        text.parse::<Rate>().unwrap().bytes()
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(rate("10MB/s"), 10_000_000);
        assert_eq!(rate("10M"), 10_000_000);
        assert_eq!(rate("500 kB/s"), 500_000);
        assert_eq!(rate("1.5MiB/s"), 1_572_864);
        assert_eq!(rate("2GiB"), 2_147_483_648);
        assert_eq!(rate("7"), 7);
        for bad in ["", "0", "-1", "fast", "10 apples", "/s", "0MB/s", "1e400"] {
            assert_eq!(bad.parse::<Rate>(), Err(BadRate), "{bad}");
        }
    }

    #[test]
    fn a_second_takes_what_the_rate_says() {
        let mut bucket = TokenBucket { rate: "1kB/s".parse().unwrap(), paid: None };
        let start = Instant::now();
        assert_eq!(bucket.take(500, start), start + Duration::from_millis(500));
        assert_eq!(bucket.take(500, start), start + Duration::from_secs(1));
        // After a long rest only a little goes at once.
        let later = start + Duration::from_secs(100);
        assert_eq!(bucket.take(100, later), later);
        assert_eq!(bucket.take(1000, later), later + Duration::from_secs(1));
    }

    #[test]
    fn far_too_much_is_late_and_no_overflow() {
        let mut bucket = TokenBucket { rate: "1".parse().unwrap(), paid: None };
        let start = Instant::now();
        assert!(bucket.take(u64::MAX, start) >= start);
        assert!(bucket.take(u64::MAX, start) >= start);
    }

    #[test]
    fn a_low_limit_has_small_blocks() {
        assert_eq!(RateLimit::new("100".parse().unwrap()).block(), CHUNK);
        assert_eq!(RateLimit::new("1GB".parse().unwrap()).block(), BLOCK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_bytes_are_paid_for_too() {
        let throttle = TransferThrottle::default();
        let start = Instant::now();
        throttle.run(async { throttle.pause_until(start + Duration::from_secs(60)) }).await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert_eq!(throttle.bottleneck(start.elapsed()), Some(Bottleneck::Limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_holds_up_and_opens_by_itself() {
        let throttle = TransferThrottle::default();
        let start = Instant::now();
        let work = async {
            throttle.pause_until(start + Duration::from_secs(60));
            tokio::task::yield_now().await;
            start.elapsed()
        };
        assert_eq!(throttle.bottleneck(Duration::ZERO), None);
        assert_eq!(throttle.run(work).await, Duration::from_secs(60));
        assert_eq!(throttle.bottleneck(Duration::from_secs(600)), Some(Bottleneck::Limit));
        assert_eq!(throttle.bottleneck(Duration::from_secs(601)), None);
    }
}
