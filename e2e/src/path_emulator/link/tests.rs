//! Tests of the link on a time line of their own.

use super::super::settings::{BurstLoss, Jitter, Reordering};
use super::*;

const MS: u64 = 1_000_000;
/// 1,000 bytes take 1 ms.
const RATE: u64 = 8_000_000;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// All packets that are delivered up to `until`, each with the time at which it is due.
fn deliveries<P>(link: &mut EmulatedLink<P>, until: u64) -> Vec<(u64, P)> {
    let mut delivered = Vec::new();
    while let Some(at) = link.next_delivery().filter(|at| *at <= until) {
        match link.deliver(at) {
            Some(packet) => delivered.push((at, packet)),
            // It was only the earliest possible time.
            None => {
                assert!(link.next_delivery().unwrap() > at);
            }
        }
    }
    delivered
}

#[test]
fn packets_pass_at_the_rate_and_after_the_delay() {
    let mut link = EmulatedLink::new(LinkSettings::new(RATE, ms(50), 10_000), 1);
    for number in 0..3 {
        assert_eq!(link.offer(0, 1000, number), None);
    }
    assert_eq!(deliveries(&mut link, 1000 * MS), [(51 * MS, 0), (52 * MS, 1), (53 * MS, 2)]);
    // An idle link starts at once.
    link.offer(100 * MS, 500, 3);
    assert_eq!(deliveries(&mut link, 1000 * MS), [(150 * MS + MS / 2, 3)]);
}

#[test]
fn without_settings_packets_pass_at_once() {
    let mut link = EmulatedLink::new(LinkSettings::default(), 1);
    for number in 0..100 {
        assert_eq!(link.offer(5, 1500, number), None);
    }
    let expected: Vec<_> = (0..100).map(|number| (5, number)).collect();
    assert_eq!(deliveries(&mut link, 5), expected);
}

#[test]
fn a_full_queue_drops_what_exceeds_it() {
    let mut link = EmulatedLink::new(LinkSettings::new(RATE, ms(0), 2500), 1);
    // One in transmission, two in the queue.
    let dropped: Vec<_> = (0..6).filter_map(|number| link.offer(0, 1000, number)).collect();
    assert_eq!(dropped, [3, 4, 5]);
    assert_eq!(link.counters(0).queue, 2000);
    // A smaller one fits.
    assert_eq!(link.offer(0, 500, 6), None);
    // After 1 ms, the next one is in transmission.
    assert_eq!(link.counters(MS).queue, 1500);
    assert_eq!(link.offer(MS, 1000, 7), None);
    let order: Vec<_> =
        deliveries(&mut link, 100 * MS).into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(order, [0, 1, 2, 6, 7]);
    let counters = link.counters(100 * MS);
    assert_eq!((counters.dropped_queue, counters.dropped(), counters.packets_in), (3, 3, 8));
    assert_eq!((counters.bytes_in, counters.bytes_out), (7500, 4500));
    assert_eq!((counters.queue, counters.largest_queue), (0, 2500));
}

#[test]
fn a_packet_larger_than_the_queue_passes_an_idle_link() {
    let mut link = EmulatedLink::new(LinkSettings::new(RATE, ms(0), 0), 1);
    assert_eq!(link.offer(0, 1000, 0), None);
    assert_eq!(link.offer(MS / 2, 1000, 1), Some(1));
    assert_eq!(link.offer(MS, 1000, 2), None);
}

#[test]
fn a_new_rate_holds_for_packets_in_the_queue() {
    let settings = LinkSettings::new(RATE, ms(0), 100_000);
    let mut link = EmulatedLink::new(settings, 1);
    for number in 0..4 {
        link.offer(0, 1000, number);
    }
    // The second is in transmission.
    link.change(MS + MS / 2, LinkSettings { rate: Some(RATE / 4), ..settings });
    let times: Vec<_> = deliveries(&mut link, 100 * MS).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [MS, 2 * MS, 6 * MS, 10 * MS]);
    for number in 4..7 {
        link.offer(20 * MS, 1000, number);
    }
    link.change(21 * MS, LinkSettings { rate: None, ..settings });
    let times: Vec<_> = deliveries(&mut link, 100 * MS).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [24 * MS, 24 * MS, 24 * MS]);
}

#[test]
fn a_shorter_delay_reorders_nothing() {
    let settings = LinkSettings::new(RATE, ms(50), 100_000);
    let mut link = EmulatedLink::new(settings, 1);
    link.offer(0, 1000, 0);
    link.change(2 * MS, LinkSettings { delay: ms(10), ..settings });
    link.offer(2 * MS, 1000, 1);
    assert_eq!(deliveries(&mut link, 100 * MS), [(51 * MS, 0), (51 * MS, 1)]);
    link.offer(60 * MS, 1000, 2);
    assert_eq!(deliveries(&mut link, 100 * MS), [(71 * MS, 2)]);
}

#[test]
fn silence_drops_what_arrives_and_delivers_what_is_on_its_way() {
    let settings = LinkSettings::new(RATE, ms(50), 100_000);
    let mut link = EmulatedLink::new(settings, 1);
    link.offer(0, 1000, 0);
    link.offer(0, 1000, 1);
    link.change(MS / 2, LinkSettings { is_silent: true, ..settings });
    assert_eq!(link.offer(MS / 2, 1000, 2), Some(2));
    assert_eq!(deliveries(&mut link, 100 * MS), [(51 * MS, 0), (52 * MS, 1)]);
    link.change(200 * MS, settings);
    assert_eq!(link.offer(200 * MS, 1000, 3), None);
    assert_eq!(link.counters(200 * MS).dropped_silence, 1);
}

/// A link with no limits on which 100,000 packets, one each ms, were offered: which of them were dropped.
fn offer_many(settings: LinkSettings, seed: u64) -> (Vec<u64>, EmulatedLink<u64>) {
    let mut link = EmulatedLink::new(settings, seed);
    let dropped = (0..100_000).filter_map(|number| link.offer(number * MS, 1000, number)).collect();
    (dropped, link)
}

#[test]
fn random_losses_have_their_share_and_a_seed_repeats_them() {
    let settings = LinkSettings { random_loss: 0.01, ..LinkSettings::default() };
    let (dropped, mut link) = offer_many(settings, 5);
    // Within five standard deviations.
    assert!((843..=1157).contains(&dropped.len()), "{}", dropped.len());
    assert_eq!(link.counters(0).lost_random, dropped.len() as u64);
    assert_eq!(dropped, offer_many(settings, 5).0);
    assert_ne!(dropped, offer_many(settings, 6).0);
}

#[test]
fn losses_in_bursts_are_counted_apart() {
    let burst_loss = Some(BurstLoss { mean_loss: 0.02, mean_length: 5.0 });
    let (dropped, mut link) = offer_many(LinkSettings { burst_loss, ..LinkSettings::default() }, 5);
    assert!((1500..=2500).contains(&dropped.len()), "{}", dropped.len());
    let counters = link.counters(0);
    assert_eq!((counters.lost_burst, counters.lost_random), (dropped.len() as u64, 0));
}

#[test]
fn reordered_packets_overtake_or_are_overtaken() {
    for (is_early, expected) in [(true, 10 * MS), (false, 30 * MS)] {
        let reordering = Some(Reordering { share: 0.25, by: ms(10), is_early });
        let settings = LinkSettings { delay: ms(20), reordering, ..LinkSettings::default() };
        let (_, mut link) = offer_many(settings, 5);
        let delivered = deliveries(&mut link, u64::MAX);
        assert_eq!(delivered.len(), 100_000);
        assert!(delivered.is_sorted_by_key(|(at, _)| *at));
        let delays = delivered.iter().map(|(at, number)| at - number * MS);
        let (mut reordered, mut others) = (0, 0);
        for delay in delays {
            match delay {
                delay if delay == expected => reordered += 1,
                delay if delay == 20 * MS => others += 1,
                other => panic!("a delay of {other} ns"),
            }
        }
        assert!((24_000..26_000).contains(&reordered), "{reordered}");
        assert_eq!(reordered + others, 100_000);
    }
}

#[test]
fn an_early_packet_is_delivered_before_those_that_wait() {
    let reordering = Some(Reordering { share: 1.0, by: ms(100), is_early: true });
    let mut link = EmulatedLink::new(LinkSettings::new(RATE, ms(50), 10_000), 1);
    link.offer(0, 1000, 0);
    link.offer(0, 1000, 1);
    link.change(MS / 2, LinkSettings { reordering, ..LinkSettings::new(RATE, ms(50), 10_000) });
    assert_eq!(deliveries(&mut link, 100 * MS), [(2 * MS, 1), (51 * MS, 0)]);
}

#[test]
fn jitter_is_evenly_distributed_and_keeps_the_order_if_asked() {
    for keeps_order in [true, false] {
        let jitter = Some(Jitter { up_to: ms(10), keeps_order });
        let (_, mut link) =
            offer_many(LinkSettings { delay: ms(20), jitter, ..LinkSettings::default() }, 5);
        let delivered = deliveries(&mut link, u64::MAX);
        assert_eq!(delivered.len(), 100_000);
        assert_eq!(delivered.is_sorted_by_key(|(_, number)| *number), keeps_order);
        let delays: Vec<u64> = delivered.iter().map(|(at, number)| at - number * MS).collect();
        assert!(delays.iter().all(|delay| (20 * MS..30 * MS).contains(delay)));
        let mean = delays.iter().sum::<u64>() / 100_000;
        // Packets that wait for those before them are later than the mean of 5 ms.
        let expected = if keeps_order { 26 * MS..30 * MS } else { 24_900_000..25_100_000 };
        assert!(expected.contains(&mean), "{mean}");
    }
}

#[test]
fn a_late_delivery_is_counted_with_its_lateness() {
    let mut link = EmulatedLink::new(LinkSettings::new(RATE, ms(50), 10_000), 1);
    link.offer(0, 1000, 0);
    link.offer(0, 1000, 1);
    assert_eq!(link.deliver(51 * MS + 1000), Some(0));
    assert_eq!(link.deliver(55 * MS), Some(1));
    let counters = link.counters(55 * MS);
    assert_eq!((counters.largest_lateness, counters.late), (ms(3), 1));
}
