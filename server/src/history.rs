//! The clients that are or were connected, with start and end: the rows of `status`. Knows no connections.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use chrono::{DateTime, SubsecRound as _, Utc};
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, Timestamp};

/// The clients since the start of the server. Of the ended one-shot clients of a name, only the latest is kept. Beyond
/// the capacity, the disconnected client with the lowest number is removed first; connected clients are never removed.
#[derive(Debug)]
pub struct History {
    state: Mutex<HistoryState>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct HistoryState {
    rows: BTreeMap<u64, ClientRow>,
    /// The number of the latest one-shot client that has ended, by [`ClientName::key`].
    ended_one_shots: HashMap<String, u64>,
}

impl History {
    /// Creates a history of `capacity` clients.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { state: Mutex::default(), capacity }
    }

    /// Records that a client has connected.
    pub fn record_start(&self, number: u64, name: ClientName, one_shot: bool, at: DateTime<Utc>) {
        let mut state = self.lock();
        let start = timestamp(at);
        let row = ClientRow { number, name, start, end: None, reachable: false, one_shot };
        state.rows.insert(number, row);
        while state.rows.len() > self.capacity {
            let Some(oldest) = state.rows.values().find(|row| row.end.is_some()) else { break };
            let (oldest, key) = (oldest.number, oldest.name.key());
            state.rows.remove(&oldest);
            if state.ended_one_shots.get(&key) == Some(&oldest) {
                state.ended_one_shots.remove(&key);
            }
        }
    }

    /// Records that a connected client is not, or no longer, one-shot.
    pub fn record_session(&self, number: u64) {
        if let Some(row) = self.lock().rows.get_mut(&number) {
            row.one_shot = false;
        }
    }

    /// Records that a client's last connection has ended.
    pub fn record_end(&self, number: u64, at: DateTime<Utc>) {
        let mut state = self.lock();
        let Some(row) = state.rows.get_mut(&number) else { return };
        row.end = Some(timestamp(at));
        if !row.one_shot {
            return;
        }
        let key = row.name.key();
        if let Some(earlier) = state.ended_one_shots.insert(key, number) {
            state.rows.remove(&earlier);
        }
    }

    /// Up to `limit` clients with numbers after `number`, by number.
    #[must_use]
    pub fn rows_after(&self, number: u64, limit: usize) -> Vec<ClientRow> {
        let state = self.lock();
        let after = (Bound::Excluded(number), Bound::Unbounded);
        state.rows.range(after).take(limit).map(|(_, row)| row.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HistoryState> {
        self.state.lock()
    }
}

/// The wire shows times with milliseconds.
fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp(at.trunc_subsecs(3))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn connect(history: &History, number: u64) {
        history.record_start(number, ClientName::parse("Ron").unwrap(), false, Utc::now());
    }

    fn numbers(history: &History) -> Vec<u64> {
        history.rows_after(0, 100).iter().map(|row| row.number).collect()
    }

    #[test]
    fn rows_are_sorted_by_number_and_have_start_and_end() {
        let history = History::new(10);
        let start = DateTime::UNIX_EPOCH;
        let end = start + Duration::from_millis(1500);
        connect(&history, 2);
        history.record_start(1, ClientName::parse("Ben").unwrap(), false, start);
        history.record_end(1, end);
        let rows = history.rows_after(0, 10);
        assert_eq!(numbers(&history), [1, 2]);
        assert_eq!((rows[0].start, rows[0].end), (Timestamp(start), Some(Timestamp(end))));
        assert_eq!(rows[1].end, None);
    }

    #[test]
    fn rows_are_read_in_pages() {
        let history = History::new(10);
        for number in [1, 2, 5, 6] {
            connect(&history, number);
        }
        let numbers = |after, limit| -> Vec<u64> {
            history.rows_after(after, limit).iter().map(|row| row.number).collect()
        };
        assert_eq!(numbers(0, 2), [1, 2]);
        assert_eq!(numbers(2, 2), [5, 6]);
        assert_eq!(numbers(3, 1), [5]);
        assert!(numbers(6, 2).is_empty());
        assert!(numbers(u64::MAX, 2).is_empty());
    }

    #[test]
    fn a_full_history_removes_disconnected_clients_and_keeps_connected_ones() {
        let history = History::new(2);
        for number in 1..=3 {
            connect(&history, number);
        }
        assert_eq!(numbers(&history), [1, 2, 3]);
        history.record_end(2, Utc::now());
        connect(&history, 4);
        assert_eq!(numbers(&history), [1, 3, 4]);
    }

    fn run_command(history: &History, number: u64, name: &str) {
        history.record_start(number, ClientName::parse(name).unwrap(), true, Utc::now());
        history.record_end(number, Utc::now());
    }

    #[test]
    fn of_ended_one_shot_clients_the_latest_of_each_name_is_kept() {
        let history = History::new(100);
        connect(&history, 1);
        history.record_end(1, Utc::now());
        for (number, name) in [(2, "Ron"), (3, "Ben"), (4, "ron"), (5, "Ben")] {
            run_command(&history, number, name);
        }
        history.record_start(6, ClientName::parse("Ben").unwrap(), true, Utc::now());
        assert_eq!(numbers(&history), [1, 4, 5, 6], "a session and connected clients stay");
        history.record_end(6, Utc::now());
        assert_eq!(numbers(&history), [1, 4, 6]);
        let kinds: Vec<_> = history.rows_after(0, 100).iter().map(|row| row.one_shot).collect();
        assert_eq!(kinds, [false, true, true]);
    }

    #[test]
    fn a_command_whose_client_also_had_a_session_stays() {
        let history = History::new(100);
        history.record_start(1, ClientName::parse("Ron").unwrap(), true, Utc::now());
        history.record_session(1);
        history.record_end(1, Utc::now());
        run_command(&history, 2, "Ron");
        run_command(&history, 3, "Ron");
        assert_eq!(numbers(&history), [1, 3]);
    }

    #[test]
    fn a_full_history_forgets_the_commands_that_it_removes() {
        let history = History::new(1);
        run_command(&history, 1, "Ron");
        run_command(&history, 2, "Ben");
        assert_eq!(numbers(&history), [2]);
        assert_eq!(history.lock().ended_one_shots.len(), 1);
        run_command(&history, 3, "Ron");
        assert_eq!(numbers(&history), [3]);
    }
}
