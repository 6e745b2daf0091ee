//! Delays after failures, with the time as an argument.

use std::net::Ipv6Addr;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn who(source: &str, name: &str) -> AttemptOrigin {
    AttemptOrigin::new(source.parse().unwrap(), &ClientName::parse(name).unwrap())
}

/// An attempt from beginning to end.
fn attempt(
    throttle: &mut SignInThrottle,
    who: &AttemptOrigin,
    outcome: AttemptOutcome,
    now: Instant,
) {
    throttle.enter(who, now).unwrap();
    throttle.leave(who, outcome, now);
}

#[test]
fn the_delay_doubles_from_a_quarter_second_to_two() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), who("192.0.2.1", "Ron"), Instant::now());
    let mut delays = Vec::new();
    for _ in 0..7 {
        delays.push(throttle.delay(&ron, now).as_millis());
        attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    }
    assert_eq!(delays, [0, 250, 500, 1000, 2000, 2000, 2000]);
}

#[test]
fn the_delay_is_forgotten_a_minute_after_the_last_failure() {
    let (mut throttle, ron, start) =
        (SignInThrottle::default(), who("192.0.2.1", "Ron"), Instant::now());
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, start);
    let last = start + MEMORY / 2;
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, last);
    assert_eq!(throttle.delay(&ron, last + MEMORY - MILLISECOND), 2 * FIRST_DELAY);
    assert_eq!(throttle.delay(&ron, last + MEMORY), Duration::ZERO);
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, last + MEMORY);
    assert_eq!(throttle.delay(&ron, last + MEMORY), FIRST_DELAY);
}

#[test]
fn a_delay_is_one_sources_on_one_account_whatever_its_case() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    attempt(&mut throttle, &who("192.0.2.1", "Ron"), AttemptOutcome::Failure, now);
    assert_eq!(throttle.delay(&who("192.0.2.1", "rON"), now), FIRST_DELAY);
    assert_eq!(throttle.delay(&who("192.0.2.1", "Ben"), now), Duration::ZERO);
    assert_eq!(throttle.delay(&who("192.0.2.2", "Ron"), now), Duration::ZERO);
}

#[test]
fn a_success_ends_the_delay_but_not_the_sources_count() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), who("192.0.2.1", "Ron"), Instant::now());
    for _ in 0..FAILURES - 1 {
        attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    }
    attempt(&mut throttle, &ron, AttemptOutcome::Success, now);
    assert_eq!(throttle.delay(&ron, now), Duration::ZERO);
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    assert!(throttle.enter(&ron, now).is_err());
}

#[test]
fn the_sixty_first_failure_within_a_minute_is_not_let_in() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    for failure in 0..FAILURES as u32 {
        let name = who("192.0.2.1", &format!("name{failure}"));
        attempt(&mut throttle, &name, AttemptOutcome::Failure, start + failure * MILLISECOND);
    }
    let (next, now) = (who("192.0.2.1", "another"), start + MEMORY / 3);
    assert_eq!(throttle.enter(&next, now).unwrap_err(), MEMORY - MEMORY / 3);
    attempt(&mut throttle, &who("192.0.2.2", "another"), AttemptOutcome::Failure, now);

    // One leaves the window, one may come in.
    attempt(&mut throttle, &next, AttemptOutcome::Failure, start + MEMORY);
    assert!(throttle.enter(&next, start + MEMORY).is_err());
}

#[test]
fn attempts_under_way_count_until_they_are_judged() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), who("192.0.2.1", "Ron"), Instant::now());
    for _ in 0..FAILURES {
        throttle.enter(&ron, now).unwrap();
    }
    assert_eq!(throttle.enter(&ron, now).unwrap_err(), SOON);
    throttle.leave(&ron, AttemptOutcome::Unjudged, now);
    throttle.enter(&ron, now).unwrap();
}

#[test]
fn what_was_never_judged_leaves_no_trace() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), who("192.0.2.1", "Ron"), Instant::now());
    for outcome in [AttemptOutcome::Unjudged, AttemptOutcome::Success] {
        attempt(&mut throttle, &ron, outcome, now);
        assert!(throttle.sources.is_empty() && throttle.pairs.is_empty());
    }
}

#[test]
fn attempts_of_one_source_on_one_account_share_one_turn() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    let first = throttle.enter(&who("192.0.2.1", "Ron"), now).unwrap();
    let second = throttle.enter(&who("192.0.2.1", "ron"), now).unwrap();
    let other = throttle.enter(&who("192.0.2.1", "Ben"), now).unwrap();
    let _turn = first.try_acquire().unwrap();
    assert!(second.try_acquire().is_err());
    assert!(other.try_acquire().is_ok());
}

#[test]
fn an_ipv6_source_is_its_first_64_bits_and_a_mapped_ipv4_address_is_itself() {
    let source = |text: &str| AttemptSource::from(text.parse::<IpAddr>().unwrap());
    assert_eq!(source("2001:db8:0:1::1"), source("2001:db8:0:1:ffff::2"));
    assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
    assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
    assert_ne!(source("::ffff:192.0.2.1"), source("::ffff:192.0.2.2"));
}

#[test]
fn the_tables_stay_bounded_and_drop_what_is_oldest_and_idle() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    let from = |network: usize| {
        let address =
            Ipv6Addr::new(0x2001, 0xdb8, (network >> 16) as u16, network as u16, 0, 0, 0, 1);
        AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap())
    };
    throttle.enter(&from(0), start).unwrap();
    for network in 1..ENTRIES + 10 {
        let now = start + network as u32 * MILLISECOND;
        attempt(&mut throttle, &from(network), AttemptOutcome::Failure, now);
    }
    assert_eq!((throttle.sources.len(), throttle.pairs.len()), (ENTRIES, ENTRIES));

    let now = start + ENTRIES as u32 * 2 * MILLISECOND;
    assert!(throttle.pairs.contains_key(&from(0)), "it is under way");
    assert_eq!(throttle.delay(&from(10), now), Duration::ZERO, "it was driven out");
    assert_eq!(throttle.delay(&from(11), now), FIRST_DELAY, "it was not");
    assert_eq!(throttle.delay(&from(ENTRIES + 9), now), FIRST_DELAY);
}

#[test]
fn forgotten_entries_go_before_any_other() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    for host in 0..ENTRIES {
        let address = Ipv4Addr::from(0x0a00_0000 + host as u32);
        let who = AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap());
        attempt(&mut throttle, &who, AttemptOutcome::Failure, start);
    }
    attempt(&mut throttle, &who("192.0.2.1", "Ron"), AttemptOutcome::Failure, start + MEMORY);
    assert_eq!((throttle.sources.len(), throttle.pairs.len()), (1, 1));
}

#[test]
fn a_table_full_of_attempts_under_way_lets_nobody_else_in() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    for host in 0..ENTRIES {
        let address = Ipv4Addr::from(0x0a00_0000 + host as u32);
        let who = AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap());
        throttle.enter(&who, now).unwrap();
    }
    assert_eq!(throttle.enter(&who("192.0.2.1", "Ron"), now).unwrap_err(), SOON);
    assert_eq!(throttle.sources.len(), ENTRIES);
}
