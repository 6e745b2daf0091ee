//! The order in which packets are received.

#![expect(clippy::expect_used, reason = "a failure here fails the test")]

use std::time::Duration;

use quiver_e2e::path_emulator::{
    Jitter, LinkSettings, PathEmulator, PathSettings, Reordering, path_emulator_available,
};

use crate::changes::sockets;

const PACKETS: u32 = 500;

/// Sends numbered packets, and returns their numbers as they were received.
fn received_order(link: LinkSettings) -> Vec<u32> {
    let path = PathEmulator::new(PathSettings::symmetric(link));
    let (client, server) = sockets(&path);
    for number in 0..PACKETS {
        client.send(&number.to_be_bytes()).expect("it is sent");
    }
    let mut packet = [0; 4];
    let numbers = (0..PACKETS).map(|_| {
        assert_eq!(server.recv(&mut packet).expect("it is received"), 4);
        u32::from_be_bytes(packet)
    });
    let numbers: Vec<u32> = numbers.collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..PACKETS).collect::<Vec<_>>(), "each packet once");
    numbers
}

/// A link that transmits a packet of 32 bytes in 0.1 ms.
fn link() -> LinkSettings {
    LinkSettings::new(2_560_000, Duration::from_millis(5), 1_000_000)
}

#[test]
fn packets_keep_their_order_unless_asked_otherwise() {
    if !path_emulator_available() {
        return;
    }
    let jitter = |keeps_order| Some(Jitter { up_to: Duration::from_millis(10), keeps_order });
    for ordered in [link(), LinkSettings { jitter: jitter(true), ..link() }] {
        assert!(received_order(ordered).is_sorted(), "{ordered:?}");
    }
    let disordered = received_order(LinkSettings { jitter: jitter(false), ..link() });
    assert!(!disordered.is_sorted(), "{disordered:?}");
}

#[test]
fn a_share_of_the_packets_is_late_or_early() {
    if !path_emulator_available() {
        return;
    }
    for is_early in [false, true] {
        let reordering = Some(Reordering { share: 0.1, by: Duration::from_millis(3), is_early });
        let order = received_order(LinkSettings { reordering, ..link() });
        // A packet out of its order has a lower number before it than the others have: count those that move.
        let moved = if is_early {
            // It is received before at least one with a lower number.
            (0..order.len())
                .filter(|at| order[at + 1..].iter().any(|later| *later < order[*at]))
                .count()
        } else {
            // It is received after at least one with a higher number.
            (0..order.len())
                .filter(|at| order[..*at].iter().any(|earlier| *earlier > order[*at]))
                .count()
        };
        // Of 500, 50 on average; within four standard deviations.
        assert!((23..=77).contains(&moved), "{moved}: {order:?}");
    }
}
