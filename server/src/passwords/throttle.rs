//! The throttle for sign-in attempts: a growing delay for one account, a limit for one source.
//!
//! Only decides, and never waits: the time is an argument. Knows no passwords, and does not know which
//! accounts exist: an unknown name is delayed like any other.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quiver_protocol::ClientName;
use tokio::sync::Semaphore;

/// The delay after the first failure. Every further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(2);

/// How long a failure counts.
const FAILURE_WINDOW: Duration = Duration::from_secs(60);

/// The most failures of one source within [`FAILURE_WINDOW`].
pub(crate) const MAX_FAILURES: usize = 60;

/// The `retry_after` where no better value is known.
pub(crate) const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The most entries in each of the two tables: sources, and pairs of source and account. Full, both
/// tables take about 6 MiB.
const MAX_ENTRIES: usize = 4096;

/// The source of an attempt: the part of its address that identifies a host or its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptSource {
    /// The whole address.
    V4(Ipv4Addr),
    /// The first 64 bits: the prefix of one network, in which a host can take any number of
    /// addresses.
    V6([u16; 4]),
}

impl From<IpAddr> for AttemptSource {
    fn from(address: IpAddr) -> Self {
        // A dual-stack socket shows all IPv4 addresses as ::ffff:a.b.c.d, which is one /64.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// The origin of an attempt: its source, and the requested account as [`ClientName::key`], existing or
/// not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AttemptOrigin {
    source: AttemptSource,
    account: String,
}

impl AttemptOrigin {
    pub(crate) fn new(source: IpAddr, name: &ClientName) -> Self {
        Self { source: source.into(), account: name.key() }
    }
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// The password was right.
    Success,
    /// The password was wrong, or the caller stopped waiting during the check.
    Failure,
    /// The password was not checked.
    Unverified,
}

/// Counts failed attempts.
///
/// 1. [`admit`](Self::admit) admits an attempt or rejects it.
/// 2. The attempt waits for its turn. Attempts of one source on one account run one at a time:
///    concurrent ones would all finish before the first failure delays them.
/// 3. [`delay`](Self::delay) tells how long the attempt waits then.
/// 4. [`record`](Self::record) records the outcome. It must be called for every admitted attempt.
#[derive(Debug, Default)]
pub(crate) struct SignInThrottle {
    sources: HashMap<AttemptSource, SourceFailures>,
    streaks: HashMap<AttemptOrigin, FailureStreak>,
}

/// A source's failures within the last minute, oldest first, and its number of running attempts.
#[derive(Debug, Default)]
struct SourceFailures {
    times: VecDeque<Instant>,
    running: usize,
}

/// A source's consecutive failures on one account.
#[derive(Debug)]
struct FailureStreak {
    length: u32,
    last_failure: Option<Instant>,
    running: usize,
    turn: Arc<Semaphore>,
}

impl SignInThrottle {
    /// Admits an attempt, and returns the semaphore whose single permit is its turn.
    ///
    /// # Errors
    /// The time until the next attempt may be made, where the source has [`MAX_FAILURES`] within a
    /// minute. A running attempt counts as a failure until its outcome is known.
    pub(crate) fn admit(
        &mut self,
        origin: &AttemptOrigin,
        now: Instant,
    ) -> Result<Arc<Semaphore>, Duration> {
        let has_space =
            ensure_space(&mut self.sources, &origin.source, |failures| failures.state(now))
                && ensure_space(&mut self.streaks, origin, |streak| streak.state(now));
        if !has_space {
            return Err(DEFAULT_RETRY_AFTER);
        }
        let failures = self.sources.entry(origin.source).or_default();
        failures.remove_expired(now);
        if failures.times.len() + failures.running >= MAX_FAILURES {
            let next = failures.times.front().map(|&oldest| oldest + FAILURE_WINDOW - now);
            return Err(next.unwrap_or(DEFAULT_RETRY_AFTER).max(DEFAULT_RETRY_AFTER));
        }
        failures.running += 1;
        let streak = self.streaks.entry(origin.clone()).or_insert_with(FailureStreak::new);
        streak.running += 1;
        Ok(Arc::clone(&streak.turn))
    }

    /// How long an attempt waits, once it has its turn, before its password is checked.
    pub(crate) fn delay(&self, origin: &AttemptOrigin, now: Instant) -> Duration {
        match self.streaks.get(origin).map_or(0, |streak| streak.current_length(now)) {
            0 => Duration::ZERO,
            length => {
                let doubled = 1_u32.checked_shl(length - 1).unwrap_or(u32::MAX);
                FIRST_DELAY.saturating_mul(doubled).min(MAX_DELAY)
            }
        }
    }

    /// Records the outcome of an attempt. A success ends the delay for this account, because a client
    /// that knows the password need not be delayed. It does not change the source's failures.
    pub(crate) fn record(&mut self, origin: &AttemptOrigin, outcome: AttemptOutcome, now: Instant) {
        if let Some(streak) = self.streaks.get_mut(origin) {
            streak.running = streak.running.saturating_sub(1);
            match outcome {
                AttemptOutcome::Success => (streak.length, streak.last_failure) = (0, None),
                AttemptOutcome::Failure => {
                    streak.length = streak.current_length(now).saturating_add(1);
                    streak.last_failure = Some(now);
                }
                AttemptOutcome::Unverified => {}
            }
            if streak.running == 0 && streak.last_failure.is_none() {
                self.streaks.remove(origin);
            }
        }
        if let Some(failures) = self.sources.get_mut(&origin.source) {
            failures.running = failures.running.saturating_sub(1);
            failures.remove_expired(now);
            if outcome == AttemptOutcome::Failure {
                failures.times.push_back(now);
            }
            if failures.running == 0 && failures.times.is_empty() {
                self.sources.remove(&origin.source);
            }
        }
    }
}

impl SourceFailures {
    fn remove_expired(&mut self, now: Instant) {
        while self.times.front().is_some_and(|&time| is_expired(time, now)) {
            self.times.pop_front();
        }
    }

    fn state(&self, now: Instant) -> EntryState {
        EntryState::new(self.running, self.times.back().copied(), now)
    }
}

impl FailureStreak {
    fn new() -> Self {
        Self { length: 0, last_failure: None, running: 0, turn: Arc::new(Semaphore::new(1)) }
    }

    /// The number of failures that still count.
    fn current_length(&self, now: Instant) -> u32 {
        if self.last_failure.is_some_and(|last_failure| !is_expired(last_failure, now)) {
            self.length
        } else {
            0
        }
    }

    fn state(&self, now: Instant) -> EntryState {
        EntryState::new(self.running, self.last_failure, now)
    }
}

fn is_expired(failure: Instant, now: Instant) -> bool {
    now.saturating_duration_since(failure) >= FAILURE_WINDOW
}

/// Whether an entry can be evicted. The least entry is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EntryState {
    /// It has no effect any more.
    Expired,
    /// No attempt is running; the last failure was at this time.
    Idle(Instant),
    /// An attempt is running: the entry must not be evicted.
    Active,
}

impl EntryState {
    fn new(running: usize, last_failure: Option<Instant>, now: Instant) -> Self {
        match last_failure {
            _ if running > 0 => Self::Active,
            Some(last_failure) if !is_expired(last_failure, now) => Self::Idle(last_failure),
            _ => Self::Expired,
        }
    }
}

/// Makes space for `key` in a full table: evicts expired entries, or else the entry whose last
/// failure is the oldest. An attacker with many addresses evicts mostly its own entries. Returns
/// whether the table has space.
fn ensure_space<K: Hash + Eq + Clone, V>(
    table: &mut HashMap<K, V>,
    key: &K,
    state: impl Fn(&V) -> EntryState,
) -> bool {
    if table.len() < MAX_ENTRIES || table.contains_key(key) {
        return true;
    }
    table.retain(|_, entry| state(entry) != EntryState::Expired);
    if table.len() >= MAX_ENTRIES
        && let Some((oldest, entry)) = table.iter().min_by_key(|(_, entry)| state(entry))
        && state(entry) != EntryState::Active
    {
        let oldest = oldest.clone();
        table.remove(&oldest);
    }
    table.len() < MAX_ENTRIES
}

#[cfg(test)]
mod tests;
