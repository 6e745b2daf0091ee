//! The clients that are or were connected, with start and end: the rows of `status`. Knows no connections.

use std::collections::BTreeMap;
use std::ops::Bound;

use chrono::{DateTime, SubsecRound as _, Utc};
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, Timestamp};

/// The clients since the start of the server. Beyond the capacity, the disconnected client with the lowest number is
/// removed first; connected clients are never removed.
#[derive(Debug)]
pub struct History {
    rows: Mutex<BTreeMap<u64, ClientRow>>,
    capacity: usize,
}

impl History {
    /// Creates a history of `capacity` clients.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { rows: Mutex::default(), capacity }
    }

    /// Records that a client has connected.
    pub fn record_start(&self, number: u64, name: ClientName, at: DateTime<Utc>) {
        let mut rows = self.lock();
        rows.insert(
            number,
            ClientRow { number, name, start: timestamp(at), end: None, reachable: false },
        );
        while rows.len() > self.capacity {
            let Some(oldest) = rows.values().find(|row| row.end.is_some()) else { break };
            let oldest = oldest.number;
            rows.remove(&oldest);
        }
    }

    /// Records that a client's last connection has ended.
    pub fn record_end(&self, number: u64, at: DateTime<Utc>) {
        if let Some(row) = self.lock().get_mut(&number) {
            row.end = Some(timestamp(at));
        }
    }

    /// Up to `limit` clients with numbers after `number`, by number.
    #[must_use]
    pub fn rows_after(&self, number: u64, limit: usize) -> Vec<ClientRow> {
        let rows = self.lock();
        let after = (Bound::Excluded(number), Bound::Unbounded);
        rows.range(after).take(limit).map(|(_, row)| row.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, ClientRow>> {
        self.rows.lock()
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
        history.record_start(number, ClientName::parse("Ron").unwrap(), Utc::now());
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
        history.record_start(1, ClientName::parse("Ben").unwrap(), start);
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
}
