//! How many addresses this client dials at once, over all links, so that it sends at most 60 packets a second to
//! addresses that other clients list. Dials nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Addresses that are dialled at once, over all links. Each gets six packets in the first second, and one more when
/// the dial ends.
const CONCURRENT_DIALS: usize = 8;

/// The shortest time between the beginnings of two dials with one slot, also if the first one ends at once. With it, a
/// slot sends at most seven packets in any second.
const MIN_SLOT_TIME: Duration = Duration::from_millis(1250);

/// The slots for direct dials of this client.
#[derive(Debug, Default)]
pub(super) struct DialBudget {
    state: Mutex<BudgetState>,
    /// Notified when a slot may be free, and when a round does not wait any more.
    changed: Notify,
}

/// A round, for the fair share of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoundNumber(u64);

/// The permission for one dial. Dropped when the dial has ended.
#[derive(Debug)]
pub(super) struct DialSlot {
    number: u64,
    budget: Arc<DialBudget>,
}

#[derive(Debug, Default)]
struct BudgetState {
    slots: Vec<SlotState>,
    waiting: BTreeSet<RoundNumber>,
    rounds: u64,
    dials: u64,
}

#[derive(Debug)]
struct SlotState {
    number: u64,
    round: RoundNumber,
    started: Instant,
    has_ended: bool,
}

impl DialBudget {
    /// A number for one more round.
    pub(super) fn add_round(&self) -> RoundNumber {
        let mut state = self.state.lock();
        state.rounds += 1;
        RoundNumber(state.rounds)
    }

    /// Waits until a round may dial one more address. A round gives way to those that have fewer slots.
    pub(super) async fn slot(self: &Arc<Self>, round: RoundNumber) -> DialSlot {
        let waiting = WaitingRound { round, budget: self };
        self.state.lock().waiting.insert(round);
        let number = loop {
            let changed = self.changed.notified();
            let next_release = {
                let (mut state, now) = (self.state.lock(), Instant::now());
                if let Some(number) = state.start(round, now) {
                    break number;
                }
                state.next_release(now)
            };
            match next_release {
                Some(release) => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(release) => {}
                    }
                }
                None => changed.await,
            }
        };
        drop(waiting);
        DialSlot { number, budget: self.clone() }
    }
}

impl Drop for DialSlot {
    fn drop(&mut self) {
        self.budget.state.lock().end(self.number);
        self.budget.changed.notify_waiters();
    }
}

/// Removes a round from those that wait when dropped.
struct WaitingRound<'a> {
    round: RoundNumber,
    budget: &'a DialBudget,
}

impl Drop for WaitingRound<'_> {
    fn drop(&mut self) {
        self.budget.state.lock().waiting.remove(&self.round);
        self.budget.changed.notify_waiters();
    }
}

impl BudgetState {
    /// Starts a dial, if a slot is free and no round that waits has fewer of them. Returns its number.
    fn start(&mut self, round: RoundNumber, now: Instant) -> Option<u64> {
        self.slots.retain(|slot| !slot.has_ended || slot.earliest_end() > now);
        let count = |round| self.slots.iter().filter(|slot| slot.round == round).count();
        let gives_way = self.waiting.iter().any(|other| count(*other) < count(round));
        if self.slots.len() >= CONCURRENT_DIALS || gives_way {
            return None;
        }
        self.dials += 1;
        let number = self.dials;
        self.slots.push(SlotState { number, round, started: now, has_ended: false });
        Some(number)
    }

    fn end(&mut self, number: u64) {
        for slot in self.slots.iter_mut().filter(|slot| slot.number == number) {
            slot.has_ended = true;
        }
    }

    /// When the next slot of a dial that has ended is free.
    fn next_release(&self, now: Instant) -> Option<Instant> {
        let ended = self.slots.iter().filter(|slot| slot.has_ended);
        ended.map(SlotState::earliest_end).filter(|end| *end > now).min()
    }
}

impl SlotState {
    fn earliest_end(&self) -> Instant {
        self.started + MIN_SLOT_TIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: RoundNumber = RoundNumber(1);
    const SECOND: RoundNumber = RoundNumber(2);

    /// When a dial sends packets, and how many, in milliseconds after its beginning (docs/protocol.md, 21).
    fn packets(dial_ended_after: u64) -> Vec<u64> {
        let sent = [0, 0, 300, 300, 900, 900, 2100, 2100];
        let mut sent: Vec<u64> = sent.into_iter().filter(|at| *at < dial_ended_after).collect();
        sent.push(dial_ended_after);
        sent
    }

    #[tokio::test(start_paused = true)]
    async fn any_number_of_rounds_sends_at_most_60_packets_a_second() {
        for dial_ended_after in [1, 250, 900, 1000, 1249, 1251, 4000] {
            let budget = Arc::new(DialBudget::default());
            let start = Instant::now();
            let sent = Mutex::new(Vec::new());
            let dial_many = async || {
                let round = budget.add_round();
                for _ in 0..12 {
                    let slot = budget.slot(round).await;
                    let at = u64::try_from(start.elapsed().as_millis()).unwrap();
                    sent.lock().extend(packets(dial_ended_after).iter().map(|after| at + after));
                    tokio::time::sleep(Duration::from_millis(dial_ended_after)).await;
                    drop(slot);
                }
            };
            tokio::join!(
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many(),
                dial_many()
            );
            let sent = sent.into_inner();
            for from in &sent {
                let count = sent.iter().filter(|at| (*from..from + 1000).contains(at)).count();
                assert!(count <= 60, "{count} packets from {from} ms, {dial_ended_after} ms each");
            }
        }
    }

    #[test]
    fn a_round_with_many_addresses_gives_way_to_another_one() {
        let (mut state, now) = (BudgetState::default(), Instant::now());
        let numbers: Vec<u64> = (0..8).filter_map(|_| state.start(FIRST, now)).collect();
        assert_eq!(numbers.len(), CONCURRENT_DIALS);
        state.waiting.extend([FIRST, SECOND]);
        assert_eq!(state.start(SECOND, now), None);
        state.end(numbers[0]);
        // A slot is not used again at once, although its dial has ended.
        assert_eq!(state.start(SECOND, now), None);
        let release = state.next_release(now).unwrap();
        assert_eq!(release, now + MIN_SLOT_TIME);
        assert_eq!(state.start(FIRST, release), None);
        assert!(state.start(SECOND, release).is_some());
        state.waiting.remove(&SECOND);
        state.end(numbers[1]);
        assert!(state.start(FIRST, release).is_some());
    }
}
