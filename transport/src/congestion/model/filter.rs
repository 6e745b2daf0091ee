//! The highest value of the last rounds.

use std::collections::VecDeque;

/// The maximum over a sliding window of rounds. A round is about one round trip.
#[derive(Debug, Clone)]
pub(super) struct RoundMax {
    rounds: u64,
    /// Rounds ascend and values descend, so the first is the maximum.
    values: VecDeque<(u64, f64)>,
}

impl RoundMax {
    /// An empty window of `rounds` rounds.
    pub(super) fn new(rounds: u64) -> Self {
        Self { rounds, values: VecDeque::new() }
    }

    /// The maximum, 0 without values.
    pub(super) fn get(&self) -> f64 {
        self.values.front().map_or(0.0, |(_, value)| *value)
    }

    /// Adds a value of `round`, and forgets those that are older than the window.
    pub(super) fn insert(&mut self, round: u64, value: f64) {
        while self.values.back().is_some_and(|(_, last)| *last <= value) {
            self.values.pop_back();
        }
        // A lower value of the same round is forgotten with the higher one, so it is never the maximum.
        if self.values.back().is_none_or(|(last, _)| *last != round) {
            self.values.push_back((round, value));
        }
        while self.values.front().is_some_and(|(oldest, _)| *oldest + self.rounds <= round) {
            self.values.pop_front();
        }
    }

    /// Forgets all values but `value` of `round`.
    pub(super) fn reset(&mut self, round: u64, value: f64) {
        self.values.clear();
        self.values.push_back((round, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_is_that_of_the_last_rounds() {
        let mut filter = RoundMax::new(3);
        let maxima: Vec<f64> = [5.0, 3.0, 4.0, 1.0, 2.0, 1.0, 0.5]
            .into_iter()
            .zip(0..)
            .map(|(value, round)| {
                filter.insert(round, value);
                filter.get()
            })
            .collect();
        assert_eq!(maxima, [5.0, 5.0, 5.0, 4.0, 4.0, 2.0, 2.0]);
    }

    #[test]
    fn a_round_has_one_value() {
        let mut filter = RoundMax::new(3);
        for value in (0..1000).rev() {
            filter.insert(1, f64::from(value));
        }
        assert_eq!(filter.values, [(1, 999.0)]);
    }
}
