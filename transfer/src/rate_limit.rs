//! A limit in bytes per second, as given by `--limit` and shared by all files of a command.

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

/// Unused capacity is kept for at most this long.
const BURST: Duration = Duration::from_millis(100);

/// Blocks per second of a low limit; a high limit uses full blocks.
const BLOCKS_PER_SECOND: u64 = 8;

/// A rate of at least one byte per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(NonZeroU64);

/// The text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected a rate as 10MB/s, 500K or 1.5MiB/s")]
pub struct InvalidRate;

impl FromStr for Rate {
    type Err = InvalidRate;

    /// Parses `10MB/s`: K, M and G are powers of 1000, Ki, Mi and Gi of 1024; `B` and `/s` are
    /// optional.
    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let size = text.trim().strip_suffix("/s").unwrap_or(text.trim());
        let size: ByteSize = size.parse().map_err(|_| InvalidRate)?;
        NonZeroU64::new(size.as_u64()).map(Self).ok_or(InvalidRate)
    }
}

impl Rate {
    /// The rate in bytes per second.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.0.get()
    }
}

/// A token bucket: says when the next bytes may be transferred. Has no clock.
#[derive(Debug)]
struct TokenBucket {
    rate: Rate,
    /// When all transferred bytes are paid for.
    paid: Option<Instant>,
}

impl TokenBucket {
    /// Takes tokens for `bytes` at the time `now`, and returns when more may be taken.
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
    /// Creates a limit with a token bucket of its own.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, bucket: Arc::new(Mutex::new(TokenBucket { rate, paid: None })) }
    }

    /// The rate.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How many bytes to transfer in one block, so that the rate is even.
    #[must_use]
    pub fn block_size(&self) -> usize {
        usize::try_from(self.rate.bytes() / BLOCKS_PER_SECOND).unwrap_or(BLOCK).clamp(CHUNK, BLOCK)
    }

    /// Counts `bytes` as transferred, and returns when more may be.
    #[must_use]
    pub fn take(&self, bytes: u64) -> Instant {
        self.bucket.lock().take(bytes, Instant::now())
    }
}

/// Pauses a transfer between two blocks until its rate limit allows the next one.
#[derive(Debug, Default)]
pub struct TransferThrottle(Mutex<ThrottleState>);

#[derive(Debug, Default)]
struct ThrottleState {
    /// The end of the current pause.
    paused_until: Option<Instant>,
    /// Total duration of all pauses so far.
    total_pause: Duration,
}

impl TransferThrottle {
    /// Pauses the work until `moment`.
    pub fn pause_until(&self, moment: Instant) {
        self.lock().paused_until = Some(moment);
    }

    /// [`Bottleneck::Limit`] if pauses took at least a tenth of the `elapsed` time.
    #[must_use]
    pub fn bottleneck(&self, elapsed: Duration) -> Option<Bottleneck> {
        // A transfer that is rarely paused runs at its own rate.
        let total_pause = self.lock().total_pause;
        (total_pause > Duration::ZERO && total_pause >= elapsed / 10).then_some(Bottleneck::Limit)
    }

    /// Runs the work, but does not poll it during a pause. Waits at the end until the last bytes
    /// are paid for.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        let mut work = pin!(work);
        let mut pause = pin!(sleep_until(Instant::now()));
        let mut pause_started = None;
        let output = poll_fn(move |context| {
            if let Some(until) = self.paused_until().filter(|until| *until > Instant::now()) {
                if pause.deadline() != until {
                    pause.as_mut().reset(until);
                }
                if pause.as_mut().poll(context).is_pending() {
                    pause_started.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
            if let Some(pause_started) = pause_started.take() {
                self.lock().total_pause += Instant::elapsed(&pause_started);
            }
            work.as_mut().poll(context)
        })
        .await;
        if let Some(until) = self.paused_until() {
            self.lock().total_pause += until.saturating_duration_since(Instant::now());
            sleep_until(until).await;
        }
        output
    }

    fn paused_until(&self) -> Option<Instant> {
        self.lock().paused_until
    }

    fn lock(&self) -> MutexGuard<'_, ThrottleState> {
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
    fn rates_are_parsed_with_decimal_and_binary_units() {
        assert_eq!(rate("10MB/s"), 10_000_000);
        assert_eq!(rate("10M"), 10_000_000);
        assert_eq!(rate("500 kB/s"), 500_000);
        assert_eq!(rate("1.5MiB/s"), 1_572_864);
        assert_eq!(rate("2GiB"), 2_147_483_648);
        assert_eq!(rate("7"), 7);
        for bad in ["", "0", "-1", "fast", "10 apples", "/s", "0MB/s", "1e400"] {
            assert_eq!(bad.parse::<Rate>(), Err(InvalidRate), "{bad}");
        }
    }

    #[test]
    fn a_bucket_passes_bytes_at_its_rate() {
        let mut bucket = TokenBucket { rate: "1kB/s".parse().unwrap(), paid: None };
        let start = Instant::now();
        assert_eq!(bucket.take(500, start), start + Duration::from_millis(500));
        assert_eq!(bucket.take(500, start), start + Duration::from_secs(1));
        // After a long idle time the burst is small.
        let later = start + Duration::from_secs(100);
        assert_eq!(bucket.take(100, later), later);
        assert_eq!(bucket.take(1000, later), later + Duration::from_secs(1));
    }

    #[test]
    fn a_huge_amount_does_not_overflow() {
        let mut bucket = TokenBucket { rate: "1".parse().unwrap(), paid: None };
        let start = Instant::now();
        assert!(bucket.take(u64::MAX, start) >= start);
        assert!(bucket.take(u64::MAX, start) >= start);
    }

    #[test]
    fn a_low_limit_uses_small_blocks() {
        assert_eq!(RateLimit::new("100".parse().unwrap()).block_size(), CHUNK);
        assert_eq!(RateLimit::new("1GB".parse().unwrap()).block_size(), BLOCK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_bytes_are_paid_for() {
        let throttle = TransferThrottle::default();
        let start = Instant::now();
        throttle.run(async { throttle.pause_until(start + Duration::from_secs(60)) }).await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        assert_eq!(throttle.bottleneck(start.elapsed()), Some(Bottleneck::Limit));
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_throttle_delays_work_and_resumes() {
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
