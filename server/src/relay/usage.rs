//! How much each client may have relayed: a rate, and a budget for each day. Has no clock: the time is passed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use quiver_transfer::Rate;

use crate::quota_db::Owner;

/// Clients whose use of today is remembered: more have a connection only on a very large server, or make up keys,
/// which an operator prevents with accounts.
const MAX_CLIENTS: usize = 10_000;

/// What a client may send at once over the rate limit, if it has sent less before.
const BURST: Duration = Duration::from_millis(200);

/// The same in bytes for a low rate: some packets.
const MIN_BURST: u64 = 64 * 1024;

/// The limits for each client. `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayLimits {
    /// What the server relays for a client.
    pub rate: Option<Rate>,
    /// Bytes that the server relays for a client on one day (UTC).
    pub budget: Option<u64>,
}

/// What each client has had relayed today. Bytes count for the client that sends them.
#[derive(Debug)]
pub struct RelayUsages {
    limits: RelayLimits,
    clients: Mutex<HashMap<Owner, Arc<ClientUsage>>>,
}

/// What one client has had relayed, over all of its connections.
#[derive(Debug)]
pub struct ClientUsage {
    limits: RelayLimits,
    state: Mutex<UsageState>,
}

#[derive(Debug)]
struct UsageState {
    /// The day of `used`.
    day: u64,
    used: u64,
    /// Bytes that may be sent now.
    tokens: u64,
    /// When `tokens` was right.
    refilled: Option<Instant>,
}

/// Whether a packet is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is.
    Admitted,
    /// It is dropped.
    OverRate,
    /// It is dropped, and the relay ends.
    OverBudget,
}

impl RelayUsages {
    /// Nothing has been relayed yet.
    #[must_use]
    pub fn new(limits: RelayLimits) -> Self {
        Self { limits, clients: Mutex::default() }
    }

    /// The use of this client.
    pub fn of(&self, owner: &Owner, now: SystemTime) -> Arc<ClientUsage> {
        let new = || Arc::new(ClientUsage::new(self.limits));
        if self.limits == RelayLimits::default() {
            return new();
        }
        let mut clients = self.clients.lock();
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(owner) {
            make_room(&mut clients, day(now));
        }
        clients.entry(owner.clone()).or_insert_with(new).clone()
    }

    /// Whether this client has used up its budget of today.
    #[must_use]
    pub fn is_used_up(&self, owner: &Owner, now: SystemTime) -> bool {
        self.clients.lock().get(owner).is_some_and(|usage| usage.is_used_up(now))
    }
}

/// Removes the clients whose use no longer counts, or else the one with the least use.
fn make_room(clients: &mut HashMap<Owner, Arc<ClientUsage>>, today: u64) {
    clients.retain(|_, usage| Arc::strong_count(usage) > 1 || usage.used_on(today) > 0);
    if clients.len() < MAX_CLIENTS {
        return;
    }
    let unused = clients.iter().filter(|(_, usage)| Arc::strong_count(usage) == 1);
    if let Some((owner, _)) = unused.min_by_key(|(_, usage)| usage.used_on(today)) {
        let owner = owner.clone();
        clients.remove(&owner);
    }
}

impl ClientUsage {
    fn new(limits: RelayLimits) -> Self {
        let tokens = limits.rate.map_or(0, burst);
        let state = UsageState { day: 0, used: 0, tokens, refilled: None };
        Self { limits, state: Mutex::new(state) }
    }

    /// Whether the budget of the day is used up.
    #[must_use]
    pub fn is_used_up(&self, now: SystemTime) -> bool {
        self.limits.budget.is_some_and(|budget| self.used_on(day(now)) >= budget)
    }

    fn used_on(&self, day: u64) -> u64 {
        let state = self.state.lock();
        if state.day == day { state.used } else { 0 }
    }

    /// Counts a packet of `bytes`, if it is within the limits.
    pub(super) fn admit(&self, bytes: u64, now: Instant, time: SystemTime) -> Admission {
        let RelayLimits { rate, budget } = self.limits;
        let mut state = self.state.lock();
        if let Some(rate) = rate {
            state.refill(rate, now);
            if state.tokens < bytes {
                return Admission::OverRate;
            }
        }
        if let Some(budget) = budget {
            let today = day(time);
            if state.day != today {
                (state.day, state.used) = (today, 0);
            }
            if bytes > budget.saturating_sub(state.used) {
                // No smaller packet fits later: the relay ends here.
                state.used = budget;
                return Admission::OverBudget;
            }
            state.used += bytes;
        }
        state.tokens = state.tokens.saturating_sub(bytes);
        Admission::Admitted
    }
}

impl UsageState {
    fn refill(&mut self, rate: Rate, now: Instant) {
        let elapsed = now.saturating_duration_since(*self.refilled.get_or_insert(now));
        let earned = u128::from(rate.bytes()) * elapsed.as_nanos() / 1_000_000_000;
        // A fraction of a byte is earned later.
        if earned > 0 {
            self.refilled = Some(now);
            let earned = u64::try_from(earned).unwrap_or(u64::MAX);
            self.tokens = self.tokens.saturating_add(earned).min(burst(rate));
        }
    }
}

/// The most bytes that may be sent at once.
fn burst(rate: Rate) -> u64 {
    let bytes = u128::from(rate.bytes()) * BURST.as_millis() / 1000;
    u64::try_from(bytes).unwrap_or(u64::MAX).max(MIN_BURST)
}

/// The number of the day (UTC) since 1970.
fn day(time: SystemTime) -> u64 {
    const SECONDS_PER_DAY: u64 = 24 * 3600;
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / SECONDS_PER_DAY
}

#[cfg(test)]
mod tests {
    use quiver_protocol::Fingerprint;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn limits(rate: Option<&str>, budget: Option<u64>) -> RelayLimits {
        RelayLimits { rate: rate.map(|rate| rate.parse().unwrap()), budget }
    }

    fn owner(number: u32) -> Owner {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        Owner::key(Fingerprint(key))
    }

    #[test]
    fn a_budget_is_for_one_day_and_all_connections_of_a_client() {
        let usages = RelayUsages::new(limits(None, Some(1000)));
        let (now, today) = (Instant::now(), UNIX_EPOCH + 100 * DAY);
        let usage = usages.of(&owner(1), today);
        assert_eq!(usage.admit(600, now, today), Admission::Admitted);
        assert!(!usages.is_used_up(&owner(1), today));
        let again = usages.of(&owner(1), today);
        assert_eq!(again.admit(600, now, today), Admission::OverBudget);
        assert!(usages.is_used_up(&owner(1), today));
        assert!(!usages.is_used_up(&owner(2), today));
        assert_eq!(usage.admit(1, now, today + DAY / 2), Admission::OverBudget);
        assert_eq!(usage.admit(600, now, today + DAY), Admission::Admitted);
        assert!(!usages.is_used_up(&owner(1), today + DAY));
    }

    #[test]
    fn packets_over_the_rate_are_dropped_and_cost_no_budget() {
        let usages = RelayUsages::new(limits(Some("1MB/s"), Some(400_000)));
        let (start, today) = (Instant::now(), UNIX_EPOCH);
        let usage = usages.of(&owner(1), today);
        let admitted = |now| {
            let admit = |_: &i32| usage.admit(1000, now, today) == Admission::Admitted;
            (0..1000).filter(admit).count()
        };
        // 200 ms of the rate at once, and then no more than the rate.
        assert_eq!(admitted(start), 200);
        assert_eq!(admitted(start + Duration::from_millis(50)), 50);
        let later = start + Duration::from_millis(100);
        assert_eq!(admitted(later), 50);
        let used = usage.used_on(0);
        assert_eq!(used, 300_000);
    }

    #[test]
    fn a_low_rate_admits_whole_packets() {
        let usage = ClientUsage::new(limits(Some("1kB/s"), None));
        let (start, time) = (Instant::now(), UNIX_EPOCH);
        while usage.admit(1200, start, time) == Admission::Admitted {}
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(usage.admit(1200, after(400), time), Admission::OverRate);
        assert_eq!(usage.admit(1200, after(500), time), Admission::Admitted);
    }

    #[test]
    fn nothing_is_remembered_without_limits() {
        let usages = RelayUsages::new(limits(None, None));
        let usage = usages.of(&owner(1), UNIX_EPOCH);
        assert_eq!(usage.admit(u64::MAX, Instant::now(), UNIX_EPOCH), Admission::Admitted);
        assert!(usages.clients.lock().is_empty());
    }

    #[test]
    fn the_clients_that_use_least_are_forgotten_first() {
        let usages = RelayUsages::new(limits(None, Some(1000)));
        let today = UNIX_EPOCH + DAY;
        let used = usages.of(&owner(0), today);
        assert_eq!(used.admit(1000, Instant::now(), today), Admission::Admitted);
        drop(used);
        let running = usages.of(&owner(1), today);
        for number in 2..MAX_CLIENTS as u32 + 500 {
            usages.of(&owner(number), today).admit(1, Instant::now(), today);
        }
        assert_eq!(usages.clients.lock().len(), MAX_CLIENTS);
        assert!(usages.is_used_up(&owner(0), today));
        assert!(Arc::ptr_eq(&running, &usages.of(&owner(1), today)));
        usages.of(&owner(u32::MAX), today + DAY);
        assert_eq!(usages.clients.lock().len(), 2, "the use of yesterday does not count");
    }
}
