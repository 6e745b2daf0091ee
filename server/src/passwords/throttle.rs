//! How often passwords may be tried: a growing delay for one account, a limit for one source.
//!
//! Only decides. Knows no clock (the time is an argument), waits for nothing, and knows nothing of
//! passwords or of which accounts exist: a name that is unknown is slowed down like any other.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quiver_protocol::ClientName;
use tokio::sync::Semaphore;

/// The delay after one failure; every further failure doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Where the doubling ends.
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// How long a failure is remembered.
const MEMORY: Duration = Duration::from_secs(60);

/// How many failures a source may have within [`MEMORY`].
pub(crate) const FAILURES: usize = 60;

/// What a source is told to wait where no better answer is known.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// How many sources, and how many pairs of source and account, are remembered. At their fullest
/// the two tables take about 6 MiB.
const ENTRIES: usize = 4096;

/// From where an attempt comes, as far as addresses tell people apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptSource {
    /// One address.
    V4(Ipv4Addr),
    /// The first 64 bits: what is handed out to one network, whose every host can take any number
    /// of the addresses in it.
    V6([u16; 4]),
}

impl From<IpAddr> for AttemptSource {
    fn from(address: IpAddr) -> Self {
        // A dual-stack socket shows IPv4 as ::ffff:a.b.c.d, all of it in one /64.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Who tries: a source, and the account it asks for (as [`ClientName::key`], known or not).
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

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// The password was right.
    Success,
    /// It was not, or nobody waited for the answer.
    Failure,
    /// It was never looked at.
    Unjudged,
}

/// The memory of failed attempts.
///
/// 1. [`enter`](Self::enter) lets an attempt in, or not.
/// 2. Its turn: attempts of one source on one account go one after the other, else many at once
///    would all be done before the first of them has failed.
/// 3. [`delay`](Self::delay) says how long it waits then.
/// 4. [`leave`](Self::leave) notes what came of it. Every attempt that entered must leave.
#[derive(Debug, Default)]
pub(crate) struct SignInThrottle {
    sources: HashMap<AttemptSource, SourceFailures>,
    pairs: HashMap<AttemptOrigin, Streak>,
}

/// A source's failures of the last minute, oldest first, and its attempts under way.
#[derive(Debug, Default)]
struct SourceFailures {
    times: VecDeque<Instant>,
    under_way: usize,
}

/// A source's failures on one account.
#[derive(Debug)]
struct Streak {
    length: u32,
    last: Option<Instant>,
    under_way: usize,
    turn: Arc<Semaphore>,
}

impl SignInThrottle {
    /// Lets an attempt in and gives the semaphore whose only permit is its turn.
    ///
    /// # Errors
    /// How long to wait before the next try, where the source has [`FAILURES`] within a minute.
    /// An attempt under way counts as one until its outcome is known.
    pub(crate) fn enter(
        &mut self,
        who: &AttemptOrigin,
        now: Instant,
    ) -> Result<Arc<Semaphore>, Duration> {
        let free = make_room(&mut self.sources, &who.source, |failures| failures.idle_since(now))
            && make_room(&mut self.pairs, who, |streak| streak.idle_since(now));
        if !free {
            return Err(SOON);
        }
        let failures = self.sources.entry(who.source).or_default();
        failures.forget(now);
        if failures.times.len() + failures.under_way >= FAILURES {
            let next = failures.times.front().map(|&oldest| oldest + MEMORY - now);
            return Err(next.unwrap_or(SOON).max(SOON));
        }
        failures.under_way += 1;
        let streak = self.pairs.entry(who.clone()).or_insert_with(Streak::new);
        streak.under_way += 1;
        Ok(Arc::clone(&streak.turn))
    }

    /// How long an attempt whose turn has come waits before its password is looked at.
    pub(crate) fn delay(&self, who: &AttemptOrigin, now: Instant) -> Duration {
        match self.pairs.get(who).map_or(0, |streak| streak.length(now)) {
            0 => Duration::ZERO,
            length => {
                let doubled = 1_u32.checked_shl(length - 1).unwrap_or(u32::MAX);
                FIRST_DELAY.saturating_mul(doubled).min(LONGEST_DELAY)
            }
        }
    }

    /// Notes what came of an attempt. A success ends the account's delay, for whoever knows the
    /// password need not be slowed down; the source's failures stay.
    pub(crate) fn leave(&mut self, who: &AttemptOrigin, outcome: AttemptOutcome, now: Instant) {
        if let Some(streak) = self.pairs.get_mut(who) {
            streak.under_way = streak.under_way.saturating_sub(1);
            match outcome {
                AttemptOutcome::Success => (streak.length, streak.last) = (0, None),
                AttemptOutcome::Failure => {
                    streak.length = streak.length(now).saturating_add(1);
                    streak.last = Some(now);
                }
                AttemptOutcome::Unjudged => {}
            }
            if streak.under_way == 0 && streak.last.is_none() {
                self.pairs.remove(who);
            }
        }
        if let Some(failures) = self.sources.get_mut(&who.source) {
            failures.under_way = failures.under_way.saturating_sub(1);
            failures.forget(now);
            if outcome == AttemptOutcome::Failure {
                failures.times.push_back(now);
            }
            if failures.under_way == 0 && failures.times.is_empty() {
                self.sources.remove(&who.source);
            }
        }
    }
}

impl SourceFailures {
    fn forget(&mut self, now: Instant) {
        while self.times.front().is_some_and(|&time| is_forgotten(time, now)) {
            self.times.pop_front();
        }
    }

    fn idle_since(&self, now: Instant) -> IsIdle {
        IsIdle::since(self.under_way, self.times.back().copied(), now)
    }
}

impl Streak {
    fn new() -> Self {
        Self { length: 0, last: None, under_way: 0, turn: Arc::new(Semaphore::new(1)) }
    }

    /// The failures that still count.
    fn length(&self, now: Instant) -> u32 {
        if self.last.is_some_and(|last| !is_forgotten(last, now)) { self.length } else { 0 }
    }

    fn idle_since(&self, now: Instant) -> IsIdle {
        IsIdle::since(self.under_way, self.last, now)
    }
}

fn is_forgotten(failure: Instant, now: Instant) -> bool {
    now.saturating_duration_since(failure) >= MEMORY
}

/// Whether an entry may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum IsIdle {
    /// It says nothing any more.
    Forgotten,
    /// Nothing is under way; the last failure was then.
    Since(Instant),
    /// It must stay.
    Not,
}

impl IsIdle {
    fn since(under_way: usize, last: Option<Instant>, now: Instant) -> Self {
        match last {
            _ if under_way > 0 => Self::Not,
            Some(last) if !is_forgotten(last, now) => Self::Since(last),
            _ => Self::Forgotten,
        }
    }
}

/// Makes room for `key` in a full table: forgotten entries go, and where there is none, the one
/// whose last failure is the oldest. An attacker with many addresses drives out his own first.
/// Says whether there is room.
fn make_room<K: Hash + Eq + Clone, V>(
    table: &mut HashMap<K, V>,
    key: &K,
    idle: impl Fn(&V) -> IsIdle,
) -> bool {
    if table.len() < ENTRIES || table.contains_key(key) {
        return true;
    }
    table.retain(|_, entry| idle(entry) != IsIdle::Forgotten);
    if table.len() >= ENTRIES
        && let Some((oldest, entry)) = table.iter().min_by_key(|(_, entry)| idle(entry))
        && idle(entry) != IsIdle::Not
    {
        let oldest = oldest.clone();
        table.remove(&oldest);
    }
    table.len() < ENTRIES
}

#[cfg(test)]
mod tests;
