//! A connection between two clients inside streams of their connections with a server, which a small forwarder in the
//! server's place joins.

use std::time::Duration;

use bytes::Bytes;
use quiver_protocol::reply::PlainEnd;
use quiver_protocol::{EofPayload as _, FrameKind};
use quiver_transport::{
    Channel, CommandStream, Connection, Endpoint, EndpointSettings, FrameReader, FrameWriter,
    Identity, Protocol, StreamError,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::network::{ConnectedPair, Relay, connect_pair, identity, within_timeout};

const MIB: usize = 1024 * 1024;

/// How long a test waits to see that a transfer does not proceed.
const QUIET_PERIOD: Duration = Duration::from_millis(300);

/// The most bytes that are sent into a relay that forwards nothing: the send window of the connection inside.
const MAX_WAITING: u64 = 2 * MIB as u64;

/// What the forwarder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forwarding {
    Run,
    Pause,
    /// Sends both clients the frame with which the server ends a relay.
    End,
}

/// One client of the relay.
struct RelayedClient {
    endpoint: Endpoint,
    identity: Identity,
    /// Both ends of its connection with the server, and the relay below them.
    _server: (Channel, Channel, Relay),
}

/// Two clients, the server between them, and their connection over it.
struct RelayedPair {
    first: Connection,
    second: Connection,
    forwarding: watch::Sender<Forwarding>,
    /// Why each client's relay ended.
    relays: JoinSet<StreamError>,
    _forwarders: JoinSet<()>,
    _clients: [RelayedClient; 2],
}

/// Opens a stream of a client to the server. Returns the client, its relay task, and the server's end.
async fn open_relay(
    name: &str,
    relays: &mut JoinSet<StreamError>,
) -> (RelayedClient, CommandStream) {
    let ConnectedPair { dialled, accepted, relay: path, .. } =
        connect_pair(Protocol::QUIVER_1).await;
    let (accepted, channel) = (
        accepted.promote(),
        Channel::with_fixed_windows(dialled, Protocol::QUIVER_1.dialled_role()),
    );
    let mut stream = within_timeout(channel.open()).await.unwrap();
    // A stream exists for the other side once it carries something.
    stream.writer.write_frame(FrameKind::Request, b"{}").await.unwrap();
    stream.writer.flush().await.unwrap();
    let mut server_end = within_timeout(accepted.accept()).await.unwrap();
    let request = server_end.reader.read_frame(64, Duration::from_secs(30)).await.unwrap();
    assert_eq!(request.kind, FrameKind::Request);
    let identity = identity(name);
    let (endpoint, relay) =
        Endpoint::over_relay(stream, &identity, EndpointSettings::default()).unwrap();
    relays.spawn(relay.run());
    let server = (channel, accepted, path);
    (RelayedClient { endpoint, identity, _server: server }, server_end)
}

/// Passes bytes from one stream to the other, as the server does, but without dropping any.
async fn forward(
    mut from: FrameReader,
    mut to: FrameWriter,
    mut forwarding: watch::Receiver<Forwarding>,
) {
    to.start_content();
    loop {
        let state = *forwarding.borrow_and_update();
        match state {
            Forwarding::Run => tokio::select! {
                piece = from.read_piece(Duration::from_secs(3600)) => {
                    let Ok(Some(piece)) = piece else { return };
                    if to.write_block(piece).await.is_err() {
                        return;
                    }
                }
                _ = forwarding.changed() => {}
            },
            Forwarding::Pause => forwarding.changed().await.unwrap(),
            Forwarding::End => {
                let _ = to.end(FrameKind::Eof, &PlainEnd {}.encode()).await;
                std::future::pending::<()>().await;
            }
        }
    }
}

async fn connect_relayed() -> RelayedPair {
    let (mut relays, mut forwarders) = (JoinSet::new(), JoinSet::new());
    let (first, first_end) = open_relay("first", &mut relays).await;
    let (second, second_end) = open_relay("second", &mut relays).await;
    let (forwarding, forwards) = watch::channel(Forwarding::Run);
    forwarders.spawn(forward(first_end.reader, second_end.writer, forwards.clone()));
    forwarders.spawn(forward(second_end.reader, first_end.writer, forwards));
    let dial = first.endpoint.dial_over_relay(&first.identity, second.identity.fingerprint());
    let accept = async {
        let incoming = second.endpoint.accept().await.unwrap();
        second.endpoint.start_handshake(incoming).unwrap().complete().await.unwrap()
    };
    let (dialled, accepted) = within_timeout(async { tokio::join!(dial, accept) }).await;
    let accepted = accepted.promote();
    RelayedPair {
        first: dialled.unwrap(),
        second: (*accepted).clone(),
        forwarding,
        relays,
        _forwarders: forwarders,
        _clients: [first, second],
    }
}

/// Bytes that differ from place to place.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut noise = blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof();
    noise.fill(&mut bytes);
    bytes
}

async fn send(connection: &Connection, content: &[u8]) {
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(content).await.unwrap();
    send.finish().unwrap();
    assert_eq!(send.stopped().await, Ok(None));
}

async fn receive(connection: &Connection, length: usize) -> Vec<u8> {
    let (_send, mut receive) = connection.accept_bi().await.unwrap();
    receive.read_to_end(length).await.unwrap()
}

#[tokio::test]
async fn content_crosses_a_relay_in_both_directions_at_once() {
    let pair = connect_relayed().await;
    let [there, back] = [1, 2].map(|seed| content(seed, 8 * MIB));
    let transfers = async {
        tokio::join!(
            send(&pair.first, &there),
            send(&pair.second, &back),
            receive(&pair.second, there.len()),
            receive(&pair.first, back.len()),
        )
    };
    let ((), (), first, second) = within_timeout(transfers).await;
    assert!(first == there && second == back);
}

#[tokio::test]
async fn packets_over_a_relay_are_larger_than_the_path_below_carries() {
    let pair = connect_relayed().await;
    let content = content(3, 8 * MIB);
    let transfer =
        async { tokio::join!(send(&pair.first, &content), receive(&pair.second, content.len())) };
    within_timeout(transfer).await;
    assert!(pair.first.stats().path.current_mtu > 4000);
    let stats = pair.first.stats();
    let mean = stats.udp_tx.bytes / stats.udp_tx.datagrams;
    assert!(mean > 3000, "{mean} bytes a packet");
}

#[tokio::test]
async fn a_relay_that_forwards_nothing_takes_a_bounded_number_of_bytes_and_continues() {
    let pair = connect_relayed().await;
    let content = content(4, 8 * MIB);
    // The connection inside has a congestion window by then.
    within_timeout(async {
        tokio::join!(send(&pair.first, &content), receive(&pair.second, content.len()))
    })
    .await;
    pair.forwarding.send_replace(Forwarding::Pause);
    let before = pair.first.stats().udp_tx.bytes;
    let sending = send(&pair.first, &content);
    let mut sending = std::pin::pin!(sending);
    assert!(timeout(QUIET_PERIOD, sending.as_mut()).await.is_err(), "nothing is forwarded");
    let sent = pair.first.stats().udp_tx.bytes - before;
    assert!(sent < MAX_WAITING, "{sent} bytes were sent into a relay that forwards nothing");
    pair.forwarding.send_replace(Forwarding::Run);
    let received = async { tokio::join!(sending, receive(&pair.second, content.len())).1 };
    assert!(within_timeout(received).await == content);
}

#[tokio::test]
async fn both_clients_learn_that_the_server_has_ended_the_relay() {
    let mut pair = connect_relayed().await;
    pair.forwarding.send_replace(Forwarding::End);
    for _ in 0..2 {
        let end = within_timeout(pair.relays.join_next()).await.unwrap().unwrap();
        assert!(matches!(end, StreamError::Reset), "{end}");
    }
}

/// How often a write was polled until it was done.
async fn count_turns(write: impl Future<Output = Result<(), StreamError>>) -> usize {
    let (mut write, mut turns) = (std::pin::pin!(write), 0);
    let written = std::future::poll_fn(|context| {
        turns += 1;
        write.as_mut().poll(context)
    });
    written.await.unwrap();
    turns
}

#[tokio::test]
async fn packets_give_turns_to_the_other_content_of_their_connection() {
    let ConnectedPair { dialled, accepted, relay: _relay, .. } =
        connect_pair(Protocol::QUIVER_1).await;
    let (accepted, channel) = (
        accepted.promote(),
        Channel::with_fixed_windows(dialled, Protocol::QUIVER_1.dialled_role()),
    );
    let packets = Bytes::from(vec![0; 16 * 1024]);
    let mut relay = within_timeout(channel.open()).await.unwrap();
    relay.writer.start_content();
    within_timeout(relay.writer.write_packets(packets.clone())).await.unwrap();
    let _relay_end = within_timeout(accepted.accept()).await.unwrap();
    let mut turns = Vec::new();
    for other in [MIB, 1, MIB, 1] {
        let mut stream = within_timeout(channel.open()).await.unwrap();
        let send = async {
            stream.writer.start_content();
            stream.writer.write_block(content(5, other).into()).await.unwrap();
            stream.writer.finish();
        };
        let receive = async {
            let mut reader = accepted.accept().await.unwrap().reader;
            while reader.read_piece(Duration::from_secs(30)).await.unwrap().is_some() {}
        };
        within_timeout(async { tokio::join!(send, receive) }).await;
        turns.push(within_timeout(count_turns(relay.writer.write_packets(packets.clone()))).await);
    }
    let (alone, beside) = (turns[1].max(turns[3]), turns[0].min(turns[2]));
    assert!(beside >= alone + 10, "turns for the content of others: {turns:?}");
}
