//! Delays and limits after failed attempts, with the time as an argument.

use std::net::Ipv6Addr;

use super::*;

const MILLISECOND: Duration = Duration::from_millis(1);

fn origin(source: &str, name: &str) -> AttemptOrigin {
    AttemptOrigin::new(source.parse().unwrap(), &ClientName::parse(name).unwrap())
}

/// Makes one attempt and records its outcome.
fn attempt(
    throttle: &mut SignInThrottle,
    origin: &AttemptOrigin,
    outcome: AttemptOutcome,
    now: Instant,
) {
    throttle.admit(origin, now).unwrap();
    throttle.record(origin, outcome, now);
}

#[test]
fn the_delay_doubles_from_a_quarter_second_to_two_seconds() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), origin("192.0.2.1", "Ron"), Instant::now());
    let mut delays = Vec::new();
    for _ in 0..7 {
        delays.push(throttle.delay(&ron, now).as_millis());
        attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    }
    assert_eq!(delays, [0, 250, 500, 1000, 2000, 2000, 2000]);
}

#[test]
fn the_delay_ends_a_minute_after_the_last_failure() {
    let (mut throttle, ron, start) =
        (SignInThrottle::default(), origin("192.0.2.1", "Ron"), Instant::now());
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, start);
    let last = start + FAILURE_WINDOW / 2;
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, last);
    assert_eq!(throttle.delay(&ron, last + FAILURE_WINDOW - MILLISECOND), 2 * FIRST_DELAY);
    assert_eq!(throttle.delay(&ron, last + FAILURE_WINDOW), Duration::ZERO);
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, last + FAILURE_WINDOW);
    assert_eq!(throttle.delay(&ron, last + FAILURE_WINDOW), FIRST_DELAY);
}

#[test]
fn a_delay_applies_to_one_source_and_one_account_without_regard_to_case() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    attempt(&mut throttle, &origin("192.0.2.1", "Ron"), AttemptOutcome::Failure, now);
    assert_eq!(throttle.delay(&origin("192.0.2.1", "rON"), now), FIRST_DELAY);
    assert_eq!(throttle.delay(&origin("192.0.2.1", "Ben"), now), Duration::ZERO);
    assert_eq!(throttle.delay(&origin("192.0.2.2", "Ron"), now), Duration::ZERO);
}

#[test]
fn a_success_ends_the_delay_but_keeps_the_failures_of_the_source() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), origin("192.0.2.1", "Ron"), Instant::now());
    for _ in 0..MAX_FAILURES - 1 {
        attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    }
    attempt(&mut throttle, &ron, AttemptOutcome::Success, now);
    assert_eq!(throttle.delay(&ron, now), Duration::ZERO);
    attempt(&mut throttle, &ron, AttemptOutcome::Failure, now);
    assert!(throttle.admit(&ron, now).is_err());
}

#[test]
fn a_source_with_sixty_failures_within_a_minute_is_rejected() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    for failure in 0..MAX_FAILURES as u32 {
        let name = origin("192.0.2.1", &format!("name{failure}"));
        attempt(&mut throttle, &name, AttemptOutcome::Failure, start + failure * MILLISECOND);
    }
    let (next, now) = (origin("192.0.2.1", "another"), start + FAILURE_WINDOW / 3);
    assert_eq!(throttle.admit(&next, now).unwrap_err(), FAILURE_WINDOW - FAILURE_WINDOW / 3);
    attempt(&mut throttle, &origin("192.0.2.2", "another"), AttemptOutcome::Failure, now);

    // One failure has left the window, so one attempt is admitted.
    attempt(&mut throttle, &next, AttemptOutcome::Failure, start + FAILURE_WINDOW);
    assert!(throttle.admit(&next, start + FAILURE_WINDOW).is_err());
}

#[test]
fn running_attempts_count_as_failures_until_their_outcome_is_recorded() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), origin("192.0.2.1", "Ron"), Instant::now());
    for _ in 0..MAX_FAILURES {
        throttle.admit(&ron, now).unwrap();
    }
    assert_eq!(throttle.admit(&ron, now).unwrap_err(), DEFAULT_RETRY_AFTER);
    throttle.record(&ron, AttemptOutcome::Unverified, now);
    throttle.admit(&ron, now).unwrap();
}

#[test]
fn attempts_without_a_failure_leave_no_entry() {
    let (mut throttle, ron, now) =
        (SignInThrottle::default(), origin("192.0.2.1", "Ron"), Instant::now());
    for outcome in [AttemptOutcome::Unverified, AttemptOutcome::Success] {
        attempt(&mut throttle, &ron, outcome, now);
        assert!(throttle.sources.is_empty() && throttle.streaks.is_empty());
    }
}

#[test]
fn attempts_of_one_source_on_one_account_run_one_at_a_time() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    let first = throttle.admit(&origin("192.0.2.1", "Ron"), now).unwrap();
    let second = throttle.admit(&origin("192.0.2.1", "ron"), now).unwrap();
    let other = throttle.admit(&origin("192.0.2.1", "Ben"), now).unwrap();
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
fn full_tables_evict_the_oldest_idle_entry() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    let from = |network: usize| {
        let address =
            Ipv6Addr::new(0x2001, 0xdb8, (network >> 16) as u16, network as u16, 0, 0, 0, 1);
        AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap())
    };
    throttle.admit(&from(0), start).unwrap();
    for network in 1..MAX_ENTRIES + 10 {
        let now = start + network as u32 * MILLISECOND;
        attempt(&mut throttle, &from(network), AttemptOutcome::Failure, now);
    }
    assert_eq!((throttle.sources.len(), throttle.streaks.len()), (MAX_ENTRIES, MAX_ENTRIES));

    let now = start + MAX_ENTRIES as u32 * 2 * MILLISECOND;
    assert!(throttle.streaks.contains_key(&from(0)), "its attempt is running");
    assert_eq!(throttle.delay(&from(10), now), Duration::ZERO, "it was evicted");
    assert_eq!(throttle.delay(&from(11), now), FIRST_DELAY, "it was not evicted");
    assert_eq!(throttle.delay(&from(MAX_ENTRIES + 9), now), FIRST_DELAY);
}

#[test]
fn expired_entries_are_evicted_first() {
    let (mut throttle, start) = (SignInThrottle::default(), Instant::now());
    for host in 0..MAX_ENTRIES {
        let address = Ipv4Addr::from(0x0a00_0000 + host as u32);
        let origin = AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap());
        attempt(&mut throttle, &origin, AttemptOutcome::Failure, start);
    }
    attempt(
        &mut throttle,
        &origin("192.0.2.1", "Ron"),
        AttemptOutcome::Failure,
        start + FAILURE_WINDOW,
    );
    assert_eq!((throttle.sources.len(), throttle.streaks.len()), (1, 1));
}

#[test]
fn a_table_full_of_running_attempts_rejects_other_sources() {
    let (mut throttle, now) = (SignInThrottle::default(), Instant::now());
    for host in 0..MAX_ENTRIES {
        let address = Ipv4Addr::from(0x0a00_0000 + host as u32);
        let origin = AttemptOrigin::new(address.into(), &ClientName::parse("Ron").unwrap());
        throttle.admit(&origin, now).unwrap();
    }
    assert_eq!(throttle.admit(&origin("192.0.2.1", "Ron"), now).unwrap_err(), DEFAULT_RETRY_AFTER);
    assert_eq!(throttle.sources.len(), MAX_ENTRIES);
}
