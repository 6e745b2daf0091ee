//! A put that comes while another one of the same client has the part: it goes on where that one's connection
//! is dead, and keeps to itself where it lives.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawUpload, hash};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

/// Until then the server takes a silent connection for alive.
const IDLE: Duration = Duration::from_secs(11);

fn uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

/// A put of `big` of which so much is on the server's disk.
async fn begun(client: &Client, content: &[u8], bytes: usize) -> RawUpload {
    let mut upload = client.put("big", content.len()).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_offset(0).await;
    upload.send_data(&content[..bytes]).await;
    let stored = async {
        loop {
            let frame = upload.stream.read_frame().await.unwrap().unwrap();
            // A block less, for the last one waits for the next.
            if frame.value()["stored"].as_u64().unwrap() >= (bytes - MIB) as u64 {
                return;
            }
        }
    };
    wait_within(TIMEOUT, "progress", stored).await;
    upload
}

#[tokio::test]
async fn a_put_goes_on_with_what_a_dead_connection_had() {
    // Both at once would not fit.
    let server = uploads().argument("--quota=10MiB").start().await;
    let (key, content) = (Key::new(), Random::new(51).bytes(8 * MIB));
    let path = UdpRelay::start(server.address()).await;
    let lost = Dialer::new(&server).key(&key).via(path.address()).sign_in("Ron").await;
    let mut old = begun(&lost, &content, 4 * MIB).await;
    path.cut();
    let (cut, client) = (Instant::now(), Dialer::new(&server).key(&key).sign_in("Ron").await);
    let new = client.put("big", content.len());
    tokio::pin!(new);
    // Nothing else of the client waits meanwhile.
    for _ in 0..10 {
        tokio::select! {
            _ = &mut new => panic!("nobody has asked whether the other connection lives"),
            said = client.message("Hello") => assert_eq!(said, "Hello ACK"),
        }
    }
    let new = new.await.unwrap();
    assert!(cut.elapsed() < IDLE / 2, "{:?}", cut.elapsed());
    let (have, blake3) = new.have().unwrap();
    assert!(have >= 3 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    server.log().wait_for("Client 1: Ron goes on with big").await;
    assert_eq!(server.log().count("has disconnected"), 0, "they are one client");
    // Whoever was only thought to be dead is told.
    path.restore();
    let told = wait_within(TIMEOUT, "the old put's end", old.read_outcome()).await.unwrap_err();
    assert_eq!(told.code(), "bad_request");
    assert_eq!(lost.message("Hello").await, "Hello ACK");
    new.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "no part is left");
    let space = client.request(json!({"command": "space"})).await;
    assert_eq!(space.reply()["available"], 2 * MIB, "one file counts");
}

#[tokio::test]
async fn a_put_whose_connection_lives_keeps_its_part() {
    // Also one of a client that lets the server say nothing unasked, and has nothing to say itself.
    for streams in [8_u32, 0] {
        let server = uploads().start().await;
        let (key, content) = (Key::new(), Random::new(52).bytes(4 * MIB));
        let dial = Dialer::new(&server).key(&key);
        let first = dial.transport(|quic| {
            quic.max_concurrent_bidi_streams(streams.into());
        });
        let first = first.sign_in("Ron").await;
        let mut old = begun(&first, &content, 3 * MIB).await;
        let second = Dialer::new(&server).key(&key).sign_in("Ron").await;
        let new = second.put("big", content.len()).await.unwrap();
        assert_eq!(new.have(), None, "{streams} streams");
        old.send_data(&content[3 * MIB..]).await;
        old.send_eof(content.len() as u64, &hash(&content)).await;
        old.finish().await.unwrap();
        assert_eq!(new.send_file(&content).await.unwrap_err().code(), "exists");
        assert!(fs::read(server.files().join("big")).unwrap() == content);
        assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "no part is left");
    }
}

#[tokio::test]
async fn a_put_of_the_same_connection_asks_nobody() {
    let server = uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(53).bytes(4 * MIB);
    let mut old = begun(&client, &content, 3 * MIB).await;
    assert_eq!(client.put("big", content.len()).await.unwrap().have(), None);
    old.send_data(&content[3 * MIB..]).await;
    old.send_eof(content.len() as u64, &hash(&content)).await;
    old.finish().await.unwrap();
}

#[tokio::test]
async fn a_put_that_was_given_up_a_moment_ago_is_gone_on_with_on_the_same_connection() {
    let server = uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(54).bytes(8 * MIB);
    let mut old = begun(&client, &content, 3 * MIB).await;
    // The server is at it still when the next request comes.
    old.send_data(&content[3 * MIB..7 * MIB]).await;
    old.stream.abandon();
    let new = client.put("big", content.len()).await.unwrap();
    let (have, blake3) = new.have().expect("something of it is kept");
    assert!(have >= 2 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    new.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "no part is left");
}

#[tokio::test]
async fn nobody_gets_what_another_client_left() {
    let server = uploads().start().await;
    let (key, content) = (Key::new(), Random::new(54).bytes(4 * MIB));
    let path = UdpRelay::start(server.address()).await;
    let lost = Dialer::new(&server).key(&key).via(path.address()).sign_in("Ron").await;
    let _old = begun(&lost, &content, 3 * MIB).await;
    path.cut();
    let other = Client::member(&server, "Ben").await;
    assert_eq!(other.put("big", content.len()).await.unwrap().have(), None);
    // Whose it is still finds it, under another name too.
    let same = Dialer::new(&server).key(&key).sign_in("Ronald").await;
    assert!(same.put("big", content.len()).await.unwrap().have().is_some());
    server.log().wait_for("Client 3: Ronald goes on with big").await;
    assert_eq!(server.log().count("goes on with"), 1);
}
