//! Many idle or unfinished connections, or one client that reads nothing, beside a client that works.

use std::fs::File;
use std::time::{Duration, Instant};

use quinn::ConnectionError;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{CloseReason, Dialer, first_datagrams};
use quiver_e2e::{Client, Key, Server};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// How long a client's sign-in and message may take beside any number of connections.
const SIGN_IN_LIMIT: Duration = Duration::from_secs(2);

/// Signs in, sends a message and disconnects within the limit.
async fn assert_can_sign_in(server: &Server) {
    let started = Instant::now();
    let client = Client::member(server, "Visitor").await;
    client.assert_alive().await;
    let took = started.elapsed();
    assert!(took < SIGN_IN_LIMIT, "signed in after {took:?}");
    client.close().await;
}

#[tokio::test]
async fn five_hundred_idle_connections_do_not_block_sign_in() {
    let server = Server::start().await;
    let member = Client::member(&server, "Ron").await;
    let endpoint = member.endpoint().clone();
    let key = Key::new();
    let mut idle = Vec::new();
    while idle.len() < 500 {
        let mut batch = JoinSet::new();
        for _ in 0..20 {
            batch.spawn(Dialer::new(&server).key(&key).endpoint(&endpoint).connect());
        }
        for guest in batch.join_all().await {
            idle.push(guest.unwrap());
        }
    }
    let started = Instant::now();
    assert_can_sign_in(&server).await;
    member.assert_alive().await;
    let mut closed = 0;
    for guest in idle {
        match guest.wait_for_close().await {
            CloseReason::Code(5) => closed += 1,
            // The only packet with the close was lost, and the server has forgotten the connection.
            CloseReason::Other(ConnectionError::Reset) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(closed > 400, "only {closed} of 500 received the close");
    let took = started.elapsed();
    assert!(took < Duration::from_secs(14), "the last connection was closed after {took:?}");
    // 64 MiB, and a quarter of a MiB for each of at most 128 guests.
    assert!(server.memory().peak < 96 * 1024, "{:?}", server.memory());
    assert_can_sign_in(&server).await;
    member.assert_alive().await;
}

#[tokio::test]
async fn a_steady_stream_of_idle_connections_does_not_block_sign_in() {
    let server = Server::start().await;
    let mut connections = JoinSet::new();
    for _ in 0..4 {
        let (key, endpoint) = (Key::new(), Client::guest(&server).await.endpoint().clone());
        let (address, fingerprint) = (server.address(), server.fingerprint().to_owned());
        let dial = move || Dialer::to_address(address, &fingerprint).key(&key).endpoint(&endpoint);
        connections.spawn(async move {
            let mut idle = Vec::new();
            while let Ok(guest) = dial().connect().await {
                idle.push(guest);
            }
        });
    }
    for _ in 0..10 {
        assert_can_sign_in(&server).await;
    }
    connections.shutdown().await;
}

#[tokio::test]
async fn five_hundred_unfinished_handshakes_do_not_block_sign_in() {
    let server = Server::options().environment("RUST_LOG", "quiver_server=debug").start().await;
    let member = Client::member(&server, "Ron").await;
    let handshakes = first_datagrams(&server, 500).await;
    let descriptors = server.descriptors();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (number, datagrams) in handshakes.iter().enumerate() {
        // Half of the clients send both datagrams, the others only the first.
        for datagram in &datagrams[..1 + number % 2] {
            socket.send_to(datagram, server.address()).await.unwrap();
        }
    }
    let started = Instant::now();
    assert_can_sign_in(&server).await;
    member.assert_alive().await;
    // The server accepts the first 64 without address validation; the others must validate, and do not.
    server.log().wait_for_nth("took too long", 64).await;
    let took = started.elapsed();
    assert!(took < Duration::from_secs(14), "the last handshake was abandoned after {took:?}");
    assert_can_sign_in(&server).await;
    assert!(server.memory().peak < 64 * 1024, "{:?}", server.memory());
    assert!(server.descriptors() <= descriptors + 2);
}

#[tokio::test]
async fn handshakes_abandoned_after_the_first_response_do_not_block_sign_in() {
    let server = Server::options().environment("RUST_LOG", "quiver_server=debug").start().await;
    let member = Client::member(&server, "Ron").await;
    // One response is enough to learn that the address must be validated, and to validate it.
    let relay = UdpRelay::with_response_limit(server.address(), 1).await;
    let key = Key::new();
    let (mut interval, mut handshakes) =
        (tokio::time::interval(Duration::from_millis(20)), Vec::new());
    // The queue has 256 places; a further handshake drops the oldest.
    while server.log().count("made room for others") == 0 {
        assert!(handshakes.len() < 400, "the queue accepted all handshakes");
        interval.tick().await;
        handshakes.extend(
            (0..10).map(|_| Dialer::new(&server).via(relay.address()).key(&key).start_handshake()),
        );
    }
    for _ in 0..3 {
        assert_can_sign_in(&server).await;
    }
    member.assert_alive().await;
    server.log().wait_for("took too long").await;
    assert_can_sign_in(&server).await;
    drop(handshakes);
}

#[tokio::test]
async fn a_client_that_reads_nothing_delays_no_other_client() {
    let server = Server::start().await;
    File::create(server.files().join("big")).unwrap().set_len(64 * 1024 * 1024).unwrap();
    server.add_file("small", "content");
    let stalled = Client::member(&server, "Ron").await;
    let mut downloads = Vec::new();
    for _ in 0..16 {
        let mut download = stalled.get("big").await.unwrap();
        download.read_at_least(1).await;
        downloads.push(download);
    }

    let other = Client::member(&server, "Ben").await;
    let started = Instant::now();
    for _ in 0..100 {
        other.assert_alive().await;
    }
    assert_eq!(other.get("big").await.unwrap().finish().await.unwrap().bytes, 64 * 1024 * 1024);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());

    // Its own messages and lists are answered too, but a seventeenth file has to wait.
    stalled.assert_alive().await;
    assert_eq!(stalled.list("").await.replies.len(), 2);
    let seventeenth = stalled.get_code("small");
    tokio::select! {
        biased;
        code = seventeenth => panic!("a seventeenth file was sent: {code:?}"),
        () = async { for _ in 0..20 { stalled.assert_alive().await } } => {}
    }
    // It is sent as soon as one of the sixteen is abandoned.
    downloads.pop().unwrap().stream.abandon();
    assert_eq!(stalled.get_code("small").await, "");
    for download in downloads {
        assert_eq!(download.finish().await.unwrap().bytes, 64 * 1024 * 1024);
    }
}
