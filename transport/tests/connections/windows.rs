//! QUIC enforces the windows and stream counts of each role on both sides, whichever of them
//! dialled. These tests run on loopback; the unit tests of `role` check the windows of other paths.

use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::{RecvStream, SendStream};
use quiver_transport::{Channel, Connection, Endpoint, Protocol, Role};
use tokio::time::timeout;

use crate::network::{ConnectedPair, PEER, Relay, connect_pair, within_timeout};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// How long a test waits to see that an event does not happen.
const QUIET_PERIOD: Duration = Duration::from_millis(200);

type StreamHalves = (SendStream, RecvStream);

/// Both sides of a connection, each in its role.
struct ChannelPair {
    dialled: Channel,
    accepted: Channel,
    _endpoints: (Endpoint, Endpoint),
    relay: Relay,
}

async fn connect_channels(protocol: Protocol) -> ChannelPair {
    let pair = connect_pair(protocol).await;
    let ConnectedPair { dialled, accepted, dialling, accepting, relay } = pair;
    let accepted = accepted.promote();
    let dialled = Channel::with_fixed_windows(dialled, protocol.dialled_role());
    ChannelPair { dialled, accepted, _endpoints: (dialling, accepting), relay }
}

impl ChannelPair {
    /// Waits until the dialling side has received its new limits. Uses one of its streams.
    async fn wait_for_promotion(&self) {
        let (mut send, _receive) = self.accepted.open_bi().await.unwrap();
        send.write_all(b"!").await.unwrap();
        send.finish().unwrap();
        // The new limits were sent before this stream's data, and the relay keeps the order.
        let (_send, mut receive) = within_timeout(self.dialled.accept_bi()).await.unwrap();
        within_timeout(receive.read_to_end(1)).await.unwrap();
        // Until the data is acknowledged it counts in the send window.
        within_timeout(send.stopped()).await.unwrap();
    }
}

/// Sends `total` bytes that the other side does not read, at most `stream_window` on each stream.
async fn send_unread(from: &Connection, total: u64, stream_window: u64) -> Vec<StreamHalves> {
    let block = vec![7; 64 * 1024];
    let (mut streams, mut remaining) = (Vec::new(), total);
    while remaining > 0 {
        let mut stream = within_timeout(from.open_bi()).await.unwrap();
        let length = remaining.min(stream_window);
        let mut sent = 0;
        while sent < length {
            let count = block.len().min((length - sent) as usize);
            sent += within_timeout(stream.0.write(&block[..count])).await.unwrap() as u64;
        }
        remaining -= length;
        streams.push(stream);
    }
    streams
}

/// Asserts that a stream accepts no more bytes.
async fn assert_full(stream: &mut StreamHalves) {
    let written = timeout(QUIET_PERIOD, stream.0.write(b"!")).await;
    assert!(written.is_err(), "the stream accepted one more byte");
}

/// Asserts that the other side holds `receive_window` unread bytes, `stream_window` of one stream.
async fn assert_receive_window(from: &Connection, receive_window: u64, stream_window: u64) {
    let mut streams = send_unread(from, receive_window, stream_window).await;
    let mut another = within_timeout(from.open_bi()).await.unwrap();
    assert_full(&mut another).await;
    assert_full(&mut streams[0]).await;
}

/// Asserts that one stream holds exactly `stream_window` unread bytes while another can still send.
async fn assert_stream_window(from: &Connection, stream_window: u64) {
    let mut streams = send_unread(from, stream_window, stream_window).await;
    assert_full(&mut streams[0]).await;
    send_unread(from, 1, 1).await;
}

/// Asserts that one side may have exactly `count` bidirectional and no unidirectional streams open.
async fn assert_streams(from: &Connection, count: usize) {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(within_timeout(from.open_bi()).await.unwrap());
    }
    let another = timeout(QUIET_PERIOD, from.open_bi()).await;
    assert!(another.is_err(), "more than {count} streams were opened");
    let unidirectional = timeout(QUIET_PERIOD, from.open_uni()).await;
    assert!(unidirectional.is_err(), "a unidirectional stream was opened");
}

/// Asserts that one side keeps exactly `send_window` bytes without an acknowledgement.
async fn assert_send_window(from: &Connection, send_window: u64, stream_window: u64) {
    let mut streams = send_unread(from, send_window, stream_window).await;
    assert_full(streams.last_mut().unwrap()).await;
    let mut another = within_timeout(from.open_bi()).await.unwrap();
    assert_full(&mut another).await;
}

#[tokio::test]
async fn a_guest_may_send_64_kib_on_one_stream() {
    for protocol in [Protocol::QUIVER_1, PEER] {
        let pair = connect_pair(protocol).await;
        let mut streams = send_unread(&pair.dialled, 64 * KIB, 64 * KIB).await;
        assert_full(&mut streams[0]).await;
        let second = timeout(QUIET_PERIOD, pair.dialled.open_bi()).await;
        assert!(second.is_err(), "a second stream was opened");
        assert!(timeout(QUIET_PERIOD, pair.dialled.open_uni()).await.is_err());
    }
}

#[tokio::test]
async fn a_server_sends_a_guest_64_kib_without_acknowledgement() {
    for protocol in [Protocol::QUIVER_1, PEER] {
        let pair = connect_pair(protocol).await;
        pair.relay.drops_from_client.store(true, Ordering::Relaxed);
        assert_send_window(&pair.accepted.connection, 64 * KIB, 64 * KIB).await;
    }
}

#[tokio::test]
async fn a_stream_of_a_member_holds_448_kib_of_unread_bytes() {
    let pair = connect_channels(Protocol::QUIVER_1).await;
    assert_eq!((pair.dialled.role(), pair.accepted.role()), (Role::Client, Role::Member));
    assert_stream_window(&pair.dialled, 448 * KIB).await;
}

#[tokio::test]
async fn all_streams_of_a_member_hold_6_mib_of_unread_bytes() {
    let pair = connect_channels(Protocol::QUIVER_1).await;
    assert_receive_window(&pair.dialled, 6 * MIB, 448 * KIB).await;
}

#[tokio::test]
async fn a_member_may_open_64_streams() {
    assert_streams(&connect_channels(Protocol::QUIVER_1).await.dialled, 64).await;
}

#[tokio::test]
async fn eight_streams_to_a_client_hold_1536_kib_of_unread_bytes_each() {
    let pair = connect_channels(Protocol::QUIVER_1).await;
    let mut streams = send_unread(&pair.accepted, 8 * 1536 * KIB, 1536 * KIB).await;
    for stream in &mut streams {
        assert_full(stream).await;
    }
}

#[tokio::test]
async fn a_server_may_open_8_streams_to_a_client() {
    assert_streams(&connect_channels(Protocol::QUIVER_1).await.accepted, 8).await;
}

#[tokio::test]
async fn a_client_sends_2_mib_without_acknowledgement_and_a_server_1_mib() {
    let pair = connect_channels(Protocol::QUIVER_1).await;
    pair.wait_for_promotion().await;
    pair.relay.drops_from_server.store(true, Ordering::Relaxed);
    assert_send_window(&pair.dialled, 2 * MIB, 448 * KIB).await;
    pair.relay.drops_from_client.store(true, Ordering::Relaxed);
    assert_send_window(&pair.accepted, MIB, MIB).await;
}

/// Two connections between peers, one with its dialling end and one with its accepting end: a test
/// must hold for both.
async fn both_peer_ends() -> [(ChannelPair, Connection); 2] {
    let [first, second] = [connect_channels(PEER).await, connect_channels(PEER).await];
    let (dialled, accepted) = ((*first.dialled).clone(), (*second.accepted).clone());
    [(first, dialled), (second, accepted)]
}

#[tokio::test]
async fn either_peer_may_send_13_824_kib_of_unread_bytes_and_1536_kib_on_one_stream() {
    for (_pair, end) in both_peer_ends().await {
        assert_receive_window(&end, 9 * 1536 * KIB, 1536 * KIB).await;
    }
}

#[tokio::test]
async fn either_peer_may_open_64_streams() {
    for (_pair, end) in both_peer_ends().await {
        assert_streams(&end, 64).await;
    }
}

#[tokio::test]
async fn either_peer_sends_2_mib_without_acknowledgement() {
    for (pair, end) in both_peer_ends().await {
        pair.wait_for_promotion().await;
        pair.relay.drops_from_server.store(true, Ordering::Relaxed);
        pair.relay.drops_from_client.store(true, Ordering::Relaxed);
        assert_send_window(&end, 2 * MIB, 1536 * KIB).await;
    }
}
