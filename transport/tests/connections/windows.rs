//! Each role's windows and stream counts are in force, on both sides, whichever of them dialled. All of this is on
//! loopback; the windows of other paths are in the unit tests of `role`.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use quiver_transport::{Channel, Connection, Protocol, Role};
use tokio::time::timeout;

use crate::network::{PEER, Pair, pair, within};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// How long something that must not happen is waited for.
const MOMENT: Duration = Duration::from_millis(200);

type Stream = (SendStream, RecvStream);

/// Two sides of a connection, each in its role.
struct Sides {
    dialled: Channel,
    accepted: Channel,
    _pair: (quiver_transport::Endpoint, quiver_transport::Endpoint),
    relay: crate::network::Relay,
}

async fn sides(protocol: Protocol) -> Sides {
    let Pair { dialled, accepted, dialling, accepting, relay } = pair(protocol).await;
    let accepted = accepted.promote();
    let dialled = Channel::new(dialled, protocol.dialled_role());
    Sides { dialled, accepted, _pair: (dialling, accepting), relay }
}

impl Sides {
    /// Waits until the side that dialled knows that it was promoted. Uses one of its streams.
    async fn settle(&self) {
        let (mut send, _receive) = self.accepted.open_bi().await.unwrap();
        send.write_all(b"!").await.unwrap();
        send.finish().unwrap();
        // The promotion was sent before this, and the relay keeps the order.
        let (_send, mut receive) = within(self.dialled.accept_bi()).await.unwrap();
        within(receive.read_to_end(1)).await.unwrap();
        // Nothing is on the way, which would count in the send window.
        within(send.stopped()).await.unwrap();
    }
}

/// Sends `total` bytes that the other side does not read, on as many streams as it takes.
async fn send_unread(from: &Connection, total: u64, stream_window: u64) -> Vec<Stream> {
    let block = vec![7; 64 * 1024];
    let (mut streams, mut left) = (Vec::new(), total);
    while left > 0 {
        let mut stream = within(from.open_bi()).await.unwrap();
        let here = left.min(stream_window);
        let mut sent = 0;
        while sent < here {
            let part = block.len().min((here - sent) as usize);
            sent += within(stream.0.write(&block[..part])).await.unwrap() as u64;
        }
        left -= here;
        streams.push(stream);
    }
    streams
}

/// Nothing more can be sent on a stream.
async fn assert_full(stream: &mut Stream) {
    let written = timeout(MOMENT, stream.0.write(b"!")).await;
    assert!(written.is_err(), "one more byte was sent");
}

/// One side may send exactly `receive_window` bytes unread, of which one stream holds `stream_window`.
async fn assert_receive_window(from: &Connection, receive_window: u64, stream_window: u64) {
    let mut streams = send_unread(from, receive_window, stream_window).await;
    let mut another = within(from.open_bi()).await.unwrap();
    assert_full(&mut another).await;
    assert_full(&mut streams[0]).await;
}

/// One stream holds `stream_window` bytes unread, where all together may hold more.
async fn assert_stream_window(from: &Connection, stream_window: u64) {
    let mut streams = send_unread(from, stream_window, stream_window).await;
    assert_full(&mut streams[0]).await;
    send_unread(from, 1, 1).await;
}

/// One side may have exactly so many streams open.
async fn assert_streams(from: &Connection, count: usize) {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(within(from.open_bi()).await.unwrap());
    }
    assert!(timeout(MOMENT, from.open_bi()).await.is_err(), "more than {count} streams");
    assert!(timeout(MOMENT, from.open_uni()).await.is_err(), "a unidirectional stream");
}

/// One side, of which the other acknowledges nothing, keeps exactly so many bytes.
async fn assert_send_window(from: &Connection, send_window: u64, stream_window: u64) {
    let mut streams = send_unread(from, send_window, stream_window).await;
    assert_full(streams.last_mut().unwrap()).await;
    let mut another = within(from.open_bi()).await.unwrap();
    assert_full(&mut another).await;
}

#[tokio::test]
async fn a_guest_may_send_64_kib_on_one_stream() {
    for protocol in [Protocol::QUIVER_1, PEER] {
        let pair = pair(protocol).await;
        let mut streams = send_unread(&pair.dialled, 64 * KIB, 64 * KIB).await;
        assert_full(&mut streams[0]).await;
        assert!(timeout(MOMENT, pair.dialled.open_bi()).await.is_err(), "a second stream");
        assert!(timeout(MOMENT, pair.dialled.open_uni()).await.is_err());
    }
}

#[tokio::test]
async fn a_guest_is_sent_64_kib_ahead() {
    for protocol in [Protocol::QUIVER_1, PEER] {
        let pair = pair(protocol).await;
        pair.relay.drops_from_client.store(true, Ordering::Relaxed);
        assert_send_window(&pair.accepted.connection, 64 * KIB, 64 * KIB).await;
    }
}

#[tokio::test]
async fn a_stream_of_a_member_holds_448_kib_unread() {
    let sides = sides(Protocol::QUIVER_1).await;
    assert_eq!((sides.dialled.role(), sides.accepted.role()), (Role::Client, Role::Member));
    assert_stream_window(&sides.dialled, 448 * KIB).await;
}

#[tokio::test]
async fn a_member_may_send_6_mib_unread_over_all_streams() {
    let sides = sides(Protocol::QUIVER_1).await;
    assert_receive_window(&sides.dialled, 6 * MIB, 448 * KIB).await;
}

#[tokio::test]
async fn a_member_may_open_64_streams() {
    assert_streams(&sides(Protocol::QUIVER_1).await.dialled, 64).await;
}

#[tokio::test]
async fn eight_streams_to_a_client_hold_1536_kib_unread_each() {
    let sides = sides(Protocol::QUIVER_1).await;
    let mut streams = send_unread(&sides.accepted, 8 * 1536 * KIB, 1536 * KIB).await;
    for stream in &mut streams {
        assert_full(stream).await;
    }
}

#[tokio::test]
async fn a_server_may_open_8_streams_to_a_client() {
    assert_streams(&sides(Protocol::QUIVER_1).await.accepted, 8).await;
}

#[tokio::test]
async fn a_client_is_ahead_of_its_server_by_2_mib_and_a_server_of_its_member_by_1_mib() {
    let sides = sides(Protocol::QUIVER_1).await;
    sides.settle().await;
    sides.relay.drops_from_server.store(true, Ordering::Relaxed);
    assert_send_window(&sides.dialled, 2 * MIB, 448 * KIB).await;
    sides.relay.drops_from_client.store(true, Ordering::Relaxed);
    assert_send_window(&sides.accepted, MIB, MIB).await;
}

/// Every test of peers is made from both ends: which of them dialled does not matter.
async fn both_ends() -> [(Sides, Connection); 2] {
    let [first, second] = [sides(PEER).await, sides(PEER).await];
    let (dialled, accepted) = ((*first.dialled).clone(), (*second.accepted).clone());
    [(first, dialled), (second, accepted)]
}

#[tokio::test]
async fn either_peer_may_send_13_824_kib_unread_and_1536_kib_on_one_stream() {
    for (_sides, end) in both_ends().await {
        assert_receive_window(&end, 9 * 1536 * KIB, 1536 * KIB).await;
    }
}

#[tokio::test]
async fn either_peer_may_open_64_streams() {
    for (_sides, end) in both_ends().await {
        assert_streams(&end, 64).await;
    }
}

#[tokio::test]
async fn either_peer_is_ahead_of_the_other_by_2_mib() {
    for (sides, end) in both_ends().await {
        sides.settle().await;
        sides.relay.drops_from_server.store(true, Ordering::Relaxed);
        sides.relay.drops_from_client.store(true, Ordering::Relaxed);
        assert_send_window(&end, 2 * MIB, 1536 * KIB).await;
    }
}
