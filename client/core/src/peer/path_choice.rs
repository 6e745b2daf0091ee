//! Which of several direct connections with a client is used. Knows only round-trip times.

use std::time::Duration;

/// A round trip has to be this much shorter for a connection to replace another one, so that two similar paths do not
/// replace each other all the time.
const MIN_GAIN: Duration = Duration::from_millis(5);

/// How often the round trips of connections are compared again with that of the path that they may replace. The first
/// round trips of a connection include the handshake's work, on a busy machine tens of milliseconds. Those of the packets
/// that look for the path's MTU do not.
pub(super) const COMPARISON_INTERVAL: Duration = Duration::from_millis(100);

/// The longest pause between the first connection of a round and the choice.
const MAX_CHOICE_TIME: Duration = Duration::from_millis(100);

/// Whether a connection with the first round trip replaces one with the second.
fn is_better(candidate: Duration, current: Duration) -> bool {
    candidate.checked_add(MIN_GAIN).is_some_and(|limit| limit <= current)
}

/// The index of the connection to use, of several in the order in which they were opened, with their lowest round trips:
/// the first one, unless a later one is better. Only those count that are better than a connection with the round trip
/// `current`, if there is one.
pub(super) fn choose(
    round_trips: impl IntoIterator<Item = Duration>,
    current: Option<Duration>,
) -> Option<usize> {
    let mut best: Option<(usize, Duration)> = None;
    for (index, round_trip) in round_trips.into_iter().enumerate() {
        let limit = best.map(|(_, best)| best).or(current);
        if limit.is_none_or(|limit| is_better(round_trip, limit)) {
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
            assert_eq!(choose(milliseconds(times), None), Some(chosen), "{times:?}");
        }
        assert_eq!(choose([], None), None);
    }

    #[test]
    fn a_connection_that_replaces_another_one_is_five_milliseconds_better() {
        for (times, chosen) in [
            ([20, 16, 30], None),
            ([20, 15, 30], Some(1)),
            ([20, 15, 11], Some(1)),
            ([20, 15, 10], Some(2)),
            ([14, 15, 16], Some(0)),
        ] {
            let current = Some(Duration::from_millis(20));
            assert_eq!(choose(milliseconds(times), current), chosen, "{times:?}");
        }
    }

    #[test]
    fn the_choice_takes_one_round_trip_and_at_most_a_tenth_of_a_second() {
        let [short, long, limit] = milliseconds([3, 400, 100]);
        assert_eq!([choice_time(short), choice_time(long)], [short, limit]);
    }
}
