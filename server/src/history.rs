//! Who was here, and when: what status tells. Knows nothing of connections.

use std::collections::BTreeMap;
use std::ops::Bound;

use chrono::{DateTime, SubsecRound as _, Utc};
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::reply::ClientRow;
use quiver_protocol::{ClientName, Timestamp};

/// Everyone since the start of the server, up to a number; beyond it those who left first are
/// forgotten first, in the order of their numbers. Those who are still here never are.
#[derive(Debug)]
pub struct History {
    rows: Mutex<BTreeMap<u64, ClientRow>>,
    capacity: usize,
}

impl History {
    /// Remembers `capacity` clients.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { rows: Mutex::default(), capacity }
    }

    /// A client came.
    pub fn begin(&self, number: u64, name: ClientName, at: DateTime<Utc>) {
        let mut rows = self.lock();
        rows.insert(number, ClientRow { number, name, start: moment(at), end: None });
        while rows.len() > self.capacity {
            let Some(oldest) = rows.values().find(|row| row.end.is_some()) else { break };
            let oldest = oldest.number;
            rows.remove(&oldest);
        }
    }

    /// A client's last connection ended.
    pub fn end(&self, number: u64, at: DateTime<Utc>) {
        if let Some(row) = self.lock().get_mut(&number) {
            row.end = Some(moment(at));
        }
    }

    /// Up to `most` clients with numbers after `number`, by number.
    #[must_use]
    pub fn rows_after(&self, number: u64, most: usize) -> Vec<ClientRow> {
        let rows = self.lock();
        let after = (Bound::Excluded(number), Bound::Unbounded);
        rows.range(after).take(most).map(|(_, row)| row.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, ClientRow>> {
        self.rows.lock()
    }
}

/// Comings and goings are told to the millisecond.
fn moment(at: DateTime<Utc>) -> Timestamp {
    Timestamp(at.trunc_subsecs(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn come(history: &History, number: u64) {
        history.begin(number, ClientName::parse("Ron").unwrap(), Utc::now());
    }

    fn numbers(history: &History) -> Vec<u64> {
        history.rows_after(0, 100).iter().map(|row| row.number).collect()
    }

    #[test]
    fn rows_come_by_number_with_start_and_end() {
        let history = History::new(10);
        come(&history, 2);
        come(&history, 1);
        history.end(1, Utc::now());
        let rows = history.rows_after(0, 10);
        assert_eq!(numbers(&history), [1, 2]);
        assert!(rows[0].end.unwrap() >= rows[0].start);
        assert_eq!(rows[1].end, None);
    }

    #[test]
    fn rows_are_had_a_few_at_a_time() {
        let history = History::new(10);
        for number in [1, 2, 5, 6] {
            come(&history, number);
        }
        let numbers = |after, most| -> Vec<u64> {
            history.rows_after(after, most).iter().map(|row| row.number).collect()
        };
        assert_eq!(numbers(0, 2), [1, 2]);
        assert_eq!(numbers(2, 2), [5, 6]);
        assert_eq!(numbers(3, 1), [5]);
        assert!(numbers(6, 2).is_empty());
        assert!(numbers(u64::MAX, 2).is_empty());
    }

    #[test]
    fn the_first_who_left_are_forgotten_and_those_here_never() {
        let history = History::new(2);
        for number in 1..=3 {
            come(&history, number);
        }
        assert_eq!(numbers(&history), [1, 2, 3]);
        history.end(2, Utc::now());
        come(&history, 4);
        assert_eq!(numbers(&history), [1, 3, 4]);
    }
}
