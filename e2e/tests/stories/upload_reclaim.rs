//! A put while another put of the same client has the partial file locked: it reclaims the partial
//! file if the other connection is dead, and starts at zero if that is alive.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawUpload, hash};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

/// The time after which the server closes a silent connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(11);

fn options_with_uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

/// Starts a put of `big`, and waits until `bytes` less one block are on the server's disk.
async fn start_put(client: &Client, content: &[u8], bytes: usize) -> RawUpload {
    let mut upload = client.put("big", content.len()).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_offset(0).await;
    upload.send_data(&content[..bytes]).await;
    let stored = async {
        loop {
            let frame = upload.stream.read_frame().await.unwrap().unwrap();
            // The server writes a block when the next one arrives.
            if frame.value()["stored"].as_u64().unwrap() >= (bytes - MIB) as u64 {
                return;
            }
        }
    };
    wait_within(TIMEOUT, "progress", stored).await;
    upload
}

#[tokio::test]
async fn a_put_resumes_the_put_of_a_dead_connection() {
    // The quota is too small for two partial files.
    let server = options_with_uploads().argument("--quota=10MiB").start().await;
    let (key, content) = (Key::new(), Random::new(51).bytes(8 * MIB));
    let relay = UdpRelay::start(server.address()).await;
    let lost = Dialer::new(&server).key(&key).via(relay.address()).sign_in("Ron").await;
    let mut old = start_put(&lost, &content, 4 * MIB).await;
    relay.cut();
    let (cut, client) = (Instant::now(), Dialer::new(&server).key(&key).sign_in("Ron").await);
    let new = client.put("big", content.len());
    tokio::pin!(new);
    // Other commands of the client do not wait.
    for _ in 0..10 {
        tokio::select! {
            _ = &mut new => panic!("the server did not check the other connection"),
            text = client.message("Hello") => assert_eq!(text, "Hello ACK"),
        }
    }
    let new = new.await.unwrap();
    assert!(cut.elapsed() < IDLE_TIMEOUT / 2, "{:?}", cut.elapsed());
    let (have, blake3) = new.have().unwrap();
    assert!(have >= 3 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    server.log().wait_for("Client 1: Ron goes on with big").await;
    assert_eq!(server.log().count("has disconnected"), 0, "both connections are one client");
    // The server tells the first connection, which was not dead, that its put has ended.
    relay.restore();
    let refusal = wait_within(TIMEOUT, "the end of the old put", old.read_outcome()).await;
    assert_eq!(refusal.unwrap_err().code(), "bad_request");
    assert_eq!(lost.message("Hello").await, "Hello ACK");
    new.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "a partial file is left");
    let space = client.request(json!({"command": "space"})).await;
    assert_eq!(space.reply()["available"], 2 * MIB, "more than one file counts");
}

#[tokio::test]
async fn a_put_on_a_live_connection_keeps_its_partial_file() {
    // Also if the client allows the server no event streams, and sends nothing itself.
    for streams in [8_u32, 0] {
        let server = options_with_uploads().start().await;
        let (key, content) = (Key::new(), Random::new(52).bytes(4 * MIB));
        let dialer = Dialer::new(&server).key(&key);
        let first = dialer.transport(|quic| {
            quic.max_concurrent_bidi_streams(streams.into());
        });
        let first = first.sign_in("Ron").await;
        let mut old = start_put(&first, &content, 3 * MIB).await;
        let second = Dialer::new(&server).key(&key).sign_in("Ron").await;
        let new = second.put("big", content.len()).await.unwrap();
        assert_eq!(new.have(), None, "{streams} streams");
        old.send_data(&content[3 * MIB..]).await;
        old.send_eof(content.len() as u64, &hash(&content)).await;
        old.finish().await.unwrap();
        assert_eq!(new.send_file(&content).await.unwrap_err().code(), "exists");
        assert!(fs::read(server.files().join("big")).unwrap() == content);
        assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "a partial file is left");
    }
}

#[tokio::test]
async fn a_second_put_on_the_same_connection_starts_at_zero() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(53).bytes(4 * MIB);
    let mut old = start_put(&client, &content, 3 * MIB).await;
    assert_eq!(client.put("big", content.len()).await.unwrap().have(), None);
    old.send_data(&content[3 * MIB..]).await;
    old.send_eof(content.len() as u64, &hash(&content)).await;
    old.finish().await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    wait_until("the second put to end", || names(&server.files()) == ["big"]).await;
}

#[tokio::test]
async fn a_put_resumes_a_just_abandoned_put_of_its_connection() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(54).bytes(8 * MIB);
    let mut old = start_put(&client, &content, 3 * MIB).await;
    // The server still writes this content when it receives the next request.
    old.send_data(&content[3 * MIB..7 * MIB]).await;
    old.stream.abandon();
    let new = client.put("big", content.len()).await.unwrap();
    let (have, blake3) = new.have().expect("a partial file");
    assert!(have >= 2 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    new.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "a partial file is left");
}

#[tokio::test]
async fn the_server_offers_a_partial_file_only_to_its_client() {
    let server = options_with_uploads().start().await;
    let (key, content) = (Key::new(), Random::new(54).bytes(4 * MIB));
    let relay = UdpRelay::start(server.address()).await;
    let lost = Dialer::new(&server).key(&key).via(relay.address()).sign_in("Ron").await;
    let _old = start_put(&lost, &content, 3 * MIB).await;
    relay.cut();
    let other = Client::member(&server, "Ben").await;
    assert_eq!(other.put("big", content.len()).await.unwrap().have(), None);
    // The same client is offered it, also under another name.
    let same = Dialer::new(&server).key(&key).sign_in("Ronald").await;
    assert!(same.put("big", content.len()).await.unwrap().have().is_some());
    server.log().wait_for("Client 3: Ronald goes on with big").await;
    assert_eq!(server.log().count("goes on with"), 1);
}
