//! The windows of real connections with the limits of a network, over a relay with a delay.

mod delay;

use std::net::Ipv4Addr;

use bytes::Bytes;
use quiver_protocol::FrameKind;
use tokio::time::sleep;

use self::delay::DelayRelay;
use super::*;
use crate::alpn::Protocol;
use crate::buffer_budget::BufferBudget;
use crate::endpoint::{Endpoint, EndpointSettings};
use crate::identity::{Identity, Validity};
use crate::priority::StreamPriority;
use crate::stream::CommandStream;
use crate::trust::ServerVerifier;

const MIB: u64 = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(60);

/// A client and a server, with a round trip of 20 ms between them.
struct Pair {
    server: End,
    client: End,
    relay: DelayRelay,
    _endpoints: [Endpoint; 2],
}

struct End {
    connection: Connection,
    priority: StreamPriority,
    budget: BufferBudget,
}

impl End {
    fn new(connection: Connection, role: Role, budget: u64) -> Self {
        let limits = role.limits(false);
        connection.set_receive_window(limits.receive_window.into());
        connection.set_send_window(limits.send_window);
        connection.set_max_concurrent_bi_streams(limits.bidirectional_streams.into());
        let budget = BufferBudget::new(budget);
        let policy = WindowPolicy::new(budget.clone());
        let priority = StreamPriority::on_network(connection.clone(), role, &policy);
        Self { connection, priority, budget }
    }

    async fn open(&self) -> CommandStream {
        let stream = timeout(TIMEOUT, self.connection.open_bi()).await.unwrap().unwrap();
        CommandStream::from(stream).with_priority(self.priority.clone())
    }

    async fn accept(&self) -> CommandStream {
        let stream = timeout(TIMEOUT, self.connection.accept_bi()).await.unwrap().unwrap();
        CommandStream::from(stream).with_priority(self.priority.clone())
    }

    fn claimed(&self) -> u64 {
        self.budget.total() - self.budget.free()
    }
}

async fn connect(budget: u64) -> Pair {
    let identity = Identity::create("server", &[], Validity::days(chrono::Utc::now(), 1)).unwrap();
    let settings = EndpointSettings::default();
    let protocols = [Protocol::QUIVER_1];
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let listening = Endpoint::listen(address, &identity, &protocols, settings.clone());
    let listening = listening.unwrap().treating_paths_as_networks();
    let dialling = Endpoint::dialler(settings).unwrap().treating_paths_as_networks();
    let port = listening.local_addr().unwrap().port();
    let relay = DelayRelay::start((Ipv4Addr::LOCALHOST, port).into()).await;
    let verifier = ServerVerifier::new(Some(identity.fingerprint()));
    let dial = dialling.dial(relay.address, Protocol::QUIVER_1, None, verifier);
    let accept = async {
        let incoming = listening.accept().await.unwrap();
        listening.start_handshake(incoming).unwrap().complete().await.unwrap().connection
    };
    let (client, server) = tokio::join!(timeout(TIMEOUT, dial), timeout(TIMEOUT, accept));
    Pair {
        client: End::new(client.unwrap().unwrap(), Role::Client, budget),
        server: End::new(server.unwrap(), Role::Member, budget),
        relay,
        _endpoints: [listening, dialling],
    }
}

/// Writes content until `stop`, or until the other side takes no more for a second; returns how
/// many bytes were written. Blocks are small, because a write that is not complete is not counted.
async fn send_content(stream: &mut CommandStream, stop: u64) -> u64 {
    stream.writer.start_content();
    let block = Bytes::from(vec![7; 16 * 1024]);
    let mut written = 0;
    while written < stop {
        match timeout(Duration::from_secs(1), stream.writer.write_block(block.clone())).await {
            Ok(result) => result.unwrap(),
            Err(_) => break,
        }
        written += block.len() as u64;
    }
    written
}

/// Reads content until `stop`.
async fn receive_content(stream: &mut CommandStream, stop: u64) {
    let mut read = 0;
    while read < stop {
        read += stream.reader.read_piece(TIMEOUT).await.unwrap().unwrap().len() as u64;
    }
}

/// How long a message from one end to the other takes, there and back.
async fn exchange_message(from: &End, to: &End) -> Duration {
    let start = Instant::now();
    let message = async {
        let mut stream = from.open().await;
        stream.writer.end(FrameKind::Request, &[1; 500]).await.unwrap();
        stream.reader.read_frame(1000, TIMEOUT).await.unwrap();
    };
    let response = async {
        let mut stream = to.accept().await;
        stream.reader.read_frame(1000, TIMEOUT).await.unwrap();
        stream.writer.end(FrameKind::Reply, &[2; 500]).await.unwrap();
        stream.writer.delivered(TIMEOUT).await;
    };
    tokio::join!(message, response);
    start.elapsed()
}

/// Sends content that `to` begins to read and then does not read, and messages beside it.
async fn send_messages_beside_unread_content(from: &End, to: &End) {
    let mut sending = from.open().await;
    sending.writer.start_content();
    sending.writer.write_block(Bytes::from(vec![7; 1000])).await.unwrap();
    let mut receiving = to.accept().await;
    receive_content(&mut receiving, 1000).await;
    // Now the other side's window is full, and content waits for the rest of the test.
    let unread = send_content(&mut sending, 100 * MIB).await;
    assert!((3 * MIB..20 * MIB).contains(&unread), "{unread}");
    let content = async {
        send_content(&mut sending, u64::MAX).await;
        std::future::pending::<()>().await;
    };
    let messages = async {
        for _ in 0..20 {
            let took = exchange_message(from, to).await;
            assert!(took < Duration::from_secs(5), "{took:?}");
            // Content also takes from the reserve.
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = content => {}
        done = timeout(TIMEOUT, messages) => done.unwrap(),
    }
    // What was not read arrives in the end.
    let rest = async {
        tokio::select! {
            () = async { loop { send_content(&mut sending, u64::MAX).await; } } => {}
            () = receive_content(&mut receiving, unread + MIB) => {}
        }
    };
    timeout(TIMEOUT, rest).await.unwrap();
}

#[tokio::test]
async fn messages_to_a_server_pass_beside_content_that_it_does_not_read() {
    let pair = connect(256 * MIB).await;
    send_messages_beside_unread_content(&pair.client, &pair.server).await;
}

#[tokio::test]
async fn messages_to_a_client_pass_beside_content_that_it_does_not_read() {
    let pair = connect(256 * MIB).await;
    // The connection's window would hold 18 MiB.
    send_messages_beside_unread_content(&pair.server, &pair.client).await;
}

/// Moves content from one end to the other.
async fn transfer(from: &End, to: &End, bytes: u64) {
    let mut sending = from.open().await;
    let send = async {
        assert!(send_content(&mut sending, bytes).await >= bytes);
        sending.writer.finish();
        assert!(sending.writer.delivered(TIMEOUT).await);
    };
    let receive = async {
        let mut receiving = to.accept().await;
        receiving.reader.expect_content(bytes);
        while receiving.reader.read_piece(TIMEOUT).await.unwrap().is_some() {}
    };
    tokio::join!(send, receive);
}

async fn wait_until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, wait).await.unwrap();
}

#[tokio::test]
async fn a_connection_returns_its_part_of_the_budget_when_content_has_ended() {
    let pair = connect(256 * MIB).await;
    let largest = AtomicU64::new(0);
    let watch = async {
        loop {
            largest.fetch_max(pair.client.claimed(), Ordering::Relaxed);
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = transfer(&pair.client, &pair.server, 64 * MIB) => {}
        () = watch => {}
    }
    assert!(largest.load(Ordering::Relaxed) > 0, "the client's send window did not grow");
    wait_until(|| pair.client.claimed() == 0 && pair.server.claimed() == 0).await;
}

/// Moves content from the server to the client, so that the windows grow. Returns the stream of each.
async fn move_content(pair: &Pair) -> [CommandStream; 2] {
    let mut sending = pair.server.open().await;
    sending.writer.start_content();
    sending.writer.write_block(Bytes::from(vec![7; 1000])).await.unwrap();
    let mut receiving = pair.client.accept().await;
    let receive = receive_content(&mut receiving, 32 * MIB);
    tokio::join!(send_content(&mut sending, 32 * MIB), receive);
    [sending, receiving]
}

#[tokio::test]
async fn a_client_that_acknowledges_nothing_takes_no_more_than_base_and_budget() {
    let budget = 4 * MIB;
    let pair = connect(budget).await;
    let [mut sending, _receiving] = move_content(&pair).await;
    pair.relay.drops.from_client.store(true, Ordering::Relaxed);
    let kept = send_content(&mut sending, 100 * MIB).await;
    assert!(kept <= MIB + budget, "{kept}");
    drop(pair.server.connection);
}

/// Content from the server to the client, over windows that have grown, which the client acknowledges no more.
async fn unacknowledged_content(pair: &Pair) -> [CommandStream; 2] {
    let [mut sending, receiving] = move_content(pair).await;
    pair.relay.drops.from_server.store(true, Ordering::Relaxed);
    send_content(&mut sending, 100 * MIB).await;
    assert!(pair.server.claimed() > 0, "the windows have not grown");
    [sending, receiving]
}

#[tokio::test]
async fn a_stream_that_is_stopped_after_its_end_leaves_nothing_in_memory() {
    let pair = connect(256 * MIB).await;
    let [mut sending, mut receiving] = unacknowledged_content(&pair).await;
    sending.writer.finish();
    drop(sending);
    receiving.reader.stop();
    // A reset discards what QUIC keeps.
    wait_until(|| pair.server.connection.stats().frame_tx.reset_stream > 0).await;
    wait_until(|| pair.server.claimed() == 0).await;
    assert_eq!(pair.server.connection.close_reason(), None);
}

#[tokio::test]
async fn a_stream_that_was_reset_returns_its_part_of_the_budget() {
    let pair = connect(256 * MIB).await;
    let [mut sending, _receiving] = unacknowledged_content(&pair).await;
    sending.writer.reset();
    drop(sending);
    wait_until(|| pair.server.claimed() == 0).await;
    assert_eq!(pair.server.connection.close_reason(), None);
}

#[tokio::test]
async fn a_connection_that_ends_returns_its_part_of_the_budget() {
    let pair = connect(256 * MIB).await;
    let mut sending = pair.client.open().await;
    let send = async { send_content(&mut sending, u64::MAX).await };
    let watch = wait_until(|| pair.client.claimed() > 0);
    let receive = async {
        let mut receiving = pair.server.accept().await;
        receive_content(&mut receiving, u64::MAX).await;
    };
    tokio::select! {
        _ = send => panic!("sending has ended"),
        () = receive => panic!("receiving has ended"),
        () = watch => {}
    }
    crate::close(&pair.client.connection, quiver_protocol::CloseCode::Goodbye);
    wait_until(|| pair.client.claimed() == 0 && pair.server.claimed() == 0).await;
}

#[tokio::test]
async fn control_traffic_is_written_while_content_fills_the_send_window() {
    let pair = connect(256 * MIB).await;
    let mut sending = pair.server.open().await;
    sending.writer.start_content();
    sending.writer.write_block(Bytes::from(vec![7; 1000])).await.unwrap();
    let mut receiving = pair.client.accept().await;
    receive_content(&mut receiving, 1000).await;
    // What is sent stays in the window from now on, as behind a lost packet.
    pair.relay.drops.from_client.store(true, Ordering::Relaxed);
    send_content(&mut sending, 100 * MIB).await;
    let mut stream = pair.server.open().await;
    // More than the rest of a block of content that found no space.
    for _ in 0..48 {
        stream.writer.write_frame(FrameKind::Reply, &[1; 1000]).await.unwrap();
        timeout(Duration::from_secs(5), stream.writer.flush()).await.unwrap().unwrap();
    }
}
