//! Many who do nothing, or read nothing, beside one who only wants to work.

use std::fs::File;
use std::time::{Duration, Instant};

use quinn::ConnectionError;
use quiver_e2e::path::Path;
use quiver_e2e::wire::{Closed, Dial, first_datagrams};
use quiver_e2e::{Client, Key, Server};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// How long a client may take to be welcomed beside any crowd.
const SOON: Duration = Duration::from_secs(2);

/// Comes, is welcomed, says something and leaves, soon.
async fn visit(server: &Server) {
    let began = Instant::now();
    let client = Client::member(server, "Visitor").await;
    client.is_well().await;
    let took = began.elapsed();
    assert!(took < SOON, "welcomed after {took:?}");
    client.leave().await;
}

#[tokio::test]
async fn five_hundred_silent_connections_keep_nobody_out() {
    let server = Server::start().await;
    let member = Client::member(&server, "Ron").await;
    let endpoint = member.endpoint().clone();
    let key = Key::new();
    let mut silent = Vec::new();
    while silent.len() < 500 {
        let mut wave = JoinSet::new();
        for _ in 0..20 {
            wave.spawn(Dial::to(&server).key(&key).over(&endpoint).connect());
        }
        for guest in wave.join_all().await {
            silent.push(guest.unwrap());
        }
    }
    let began = Instant::now();
    visit(&server).await;
    member.is_well().await;
    let mut told = 0;
    for guest in silent {
        match guest.closed().await {
            Closed::Code(5) => told += 1,
            // The one packet that said so was lost in the crowd; the server knows nothing of it now.
            Closed::Other(ConnectionError::Reset) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(told > 400, "only {told} of 500 were told");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(14), "the last was sent away after {took:?}");
    // 64 MiB, and a quarter of one for each of the 128 guests there may be.
    assert!(server.memory().peak < 96 * 1024, "{:?}", server.memory());
    visit(&server).await;
    member.is_well().await;
}

#[tokio::test]
async fn silent_connections_that_keep_coming_keep_nobody_out() {
    let server = Server::start().await;
    let mut crowd = JoinSet::new();
    for _ in 0..4 {
        let (key, endpoint) = (Key::new(), Client::guest(&server).await.endpoint().clone());
        let (address, fingerprint) = (server.address(), server.fingerprint().to_owned());
        let dial = move || Dial::at(address, &fingerprint).key(&key).over(&endpoint);
        crowd.spawn(async move {
            let mut silent = Vec::new();
            while let Ok(guest) = dial().connect().await {
                silent.push(guest);
            }
        });
    }
    for _ in 0..10 {
        visit(&server).await;
    }
    crowd.shutdown().await;
}

#[tokio::test]
async fn five_hundred_unfinished_handshakes_keep_nobody_out() {
    let server = Server::options().environment("RUST_LOG", "quiver_server=debug").start().await;
    let member = Client::member(&server, "Ron").await;
    let beginnings = first_datagrams(&server, 500).await;
    let descriptors = server.descriptors();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for (number, datagrams) in beginnings.iter().enumerate() {
        // Half of them say all they have to say, the others half of it.
        for datagram in &datagrams[..1 + number % 2] {
            socket.send_to(datagram, server.address()).await.unwrap();
        }
    }
    let began = Instant::now();
    visit(&server).await;
    member.is_well().await;
    // The first are taken at their word; the others must prove their addresses, and do not.
    server.log().wait_for_nth("took too long", 64).await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(14), "the last was given up after {took:?}");
    visit(&server).await;
    assert!(server.memory().peak < 64 * 1024, "{:?}", server.memory());
    assert!(server.descriptors() <= descriptors + 2);
}

#[tokio::test]
async fn handshakes_that_break_off_after_the_first_answer_keep_nobody_out() {
    let server = Server::options().environment("RUST_LOG", "quiver_server=debug").start().await;
    let member = Client::member(&server, "Ron").await;
    // Enough to learn that an address must be proven, and to prove it; no more.
    let path = Path::with_answers(server.address(), 1).await;
    let key = Key::new();
    let (mut pace, mut handshakes) = (tokio::time::interval(Duration::from_millis(20)), Vec::new());
    // There are 256 places; whoever comes later sends the oldest away.
    while server.log().count("made room for others") == 0 {
        assert!(handshakes.len() < 400, "all of them found a place");
        pace.tick().await;
        handshakes.extend((0..10).map(|_| Dial::to(&server).by(path.address()).key(&key).begin()));
    }
    for _ in 0..3 {
        visit(&server).await;
    }
    member.is_well().await;
    server.log().wait_for("took too long").await;
    visit(&server).await;
    drop(handshakes);
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let server = Server::start().await;
    File::create(server.files().join("big")).unwrap().set_len(64 * 1024 * 1024).unwrap();
    server.offer("small", "content");
    let stalled = Client::member(&server, "Ron").await;
    let mut downloads = Vec::new();
    for _ in 0..16 {
        let mut download = stalled.get("big").await.unwrap();
        download.read_to(1).await;
        downloads.push(download);
    }

    let other = Client::member(&server, "Ben").await;
    let began = Instant::now();
    for _ in 0..100 {
        other.is_well().await;
    }
    assert_eq!(other.get("big").await.unwrap().finish().await.unwrap().bytes, 64 * 1024 * 1024);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());

    // Its own messages and lists come through, too, but a seventeenth file has to wait.
    stalled.is_well().await;
    assert_eq!(stalled.list("").await.replies.len(), 2);
    let seventeenth = stalled.get_code("small");
    tokio::select! {
        biased;
        code = seventeenth => panic!("a seventeenth file came: {code:?}"),
        () = async { for _ in 0..20 { stalled.is_well().await } } => {}
    }
    // As soon as one of the sixteen is given up, its turn has come.
    downloads.pop().unwrap().stream.abandon();
    assert_eq!(stalled.get_code("small").await, "");
    for download in downloads {
        assert_eq!(download.finish().await.unwrap().bytes, 64 * 1024 * 1024);
    }
}
