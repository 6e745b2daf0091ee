//! Which of several direct connections with a client is used. Knows only round-trip times.

use std::time::Duration;

/// A round trip has to be this much shorter for a connection to replace another one, so that two similar paths do not
/// replace each other all the time.
const MIN_GAIN: Duration = Duration::from_millis(5);

/// The longest pause between the first connection of a round and the choice.
const MAX_CHOICE_TIME: Duration = Duration::from_millis(100);

/// Whether a connection with the first round trip replaces one with the second.
pub(super) fn is_better(candidate: Duration, current: Duration) -> bool {
    candidate.checked_add(MIN_GAIN).is_some_and(|limit| limit <= current)
}

/// The index of the connection to use, of several in the order in which they were opened: the first one, unless a later
/// one is better.
pub(super) fn choose(round_trips: impl IntoIterator<Item = Duration>) -> Option<usize> {
    let mut best: Option<(usize, Duration)> = None;
    for (index, round_trip) in round_trips.into_iter().enumerate() {
        if best.is_none_or(|(_, best)| is_better(round_trip, best)) {
            best = Some((index, round_trip));
        }
    }
    best.map(|(index, _)| index)
}

/// How long to wait for other connections after the first one: both sides begin to dial at the same time, up to about
/// one round trip. A dial on a shorter path that begins later than that is rare.
pub(super) fn choice_time(first: Duration) -> Duration {
    first.min(MAX_CHOICE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds<const COUNT: usize>(times: [u64; COUNT]) -> [Duration; COUNT] {
        times.map(Duration::from_millis)
    }

    #[test]
    fn the_first_connection_is_used_unless_another_one_is_five_milliseconds_better() {
        for (times, chosen) in [
            ([20, 16, 30], 0),
            ([20, 15, 30], 1),
            ([20, 15, 11], 1),
            ([20, 15, 10], 2),
            ([20, 16, 15], 2),
            ([1, 1, 0], 0),
        ] {
            assert_eq!(choose(milliseconds(times)), Some(chosen), "{times:?}");
        }
        assert_eq!(choose([]), None);
    }

    #[test]
    fn the_choice_takes_one_round_trip_and_at_most_a_tenth_of_a_second() {
        let [short, long, limit] = milliseconds([3, 400, 100]);
        assert_eq!([choice_time(short), choice_time(long)], [short, limit]);
    }
}
