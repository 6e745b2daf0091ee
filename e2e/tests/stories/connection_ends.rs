//! The end of connections: no sign-in, a lost client, a server that shuts down.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::process::Signal;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{CloseReason, Dialer, RawDownload, RawFrame, RawStream, kind};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

/// Serves a file that is larger than any window.
fn add_big_file(server: &Server) {
    File::create(server.files().join("big")).unwrap().set_len(32 * 1024 * 1024).unwrap();
}

/// Starts a get that cannot finish before the client reads more.
async fn start_get(client: &Client) -> RawDownload {
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    download
}

/// Waits for an event, and returns the kinds and texts of its frames.
async fn read_event(client: &Client) -> Vec<(u8, String)> {
    let accepted = wait_within(TIMEOUT, "an event", client.connection().accept_bi()).await;
    let mut stream = RawStream::from(accepted.unwrap());
    let frames = wait_within(TIMEOUT, "the event's frames", stream.read_frames()).await.unwrap();
    stream.finish();
    frames.iter().map(|frame| (frame.kind, frame.text().to_owned())).collect()
}

fn stopping_event() -> Vec<(u8, String)> {
    let event = r#"{"event":"stopping","grace_seconds":8}"#;
    vec![(kind::REPLY, event.to_owned()), (kind::EOF, "{}".to_owned())]
}

#[tokio::test]
async fn the_server_closes_a_guest_that_does_not_sign_in_within_ten_seconds() {
    let server = Server::start().await;
    let _ron = Client::member(&server, "Ron").await;
    let start = Instant::now();
    let silent = Client::guest(&server).await;
    let slow = Client::guest(&server).await;
    let mut stream = slow.open().await.unwrap();
    let hello = RawFrame::hello("Ben").encode();
    stream.write(&hello[..hello.len() / 2]).await.unwrap();
    let refused = Client::guest(&server).await;
    assert_eq!(refused.hello("Ron").await.code(), "name_taken");
    for guest in [silent, slow, refused] {
        assert_eq!(guest.wait_for_close().await, CloseReason::Code(5));
        let elapsed = start.elapsed().as_secs_f64();
        assert!((9.5..14.0).contains(&elapsed), "{elapsed} s");
    }
}

#[tokio::test]
async fn the_server_frees_the_slot_of_a_lost_client_within_15_seconds() {
    let server = Server::options().max_clients(1).start().await;
    add_big_file(&server);
    let relay = UdpRelay::start(server.address()).await;
    let ron = Dialer::new(&server).via(relay.address()).sign_in("Ron").await;
    let _get = start_get(&ron).await;
    relay.cut();
    let start = Instant::now();
    // The server has not noticed the loss: the slot is taken.
    assert_eq!(Client::guest(&server).await.hello("Ben").await.code(), "busy");
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
    assert_eq!(Client::guest(&server).await.hello("Ben").await.reply()["client"], 3);
    assert_eq!(ron.wait_for_close().await, CloseReason::TimedOut);
}

#[tokio::test]
async fn the_server_frees_the_slot_of_a_lost_idle_client_within_15_seconds() {
    let server = Server::options().max_clients(1).start().await;
    let relay = UdpRelay::start(server.address()).await;
    let ron = Dialer::new(&server).via(relay.address()).sign_in("Ron").await;
    let stats = || ron.connection().stats();
    let (pings, acks) = (stats().frame_rx.ping, stats().frame_tx.acks);
    wait_until("a keep-alive of the server", || stats().frame_rx.ping > pings).await;
    wait_until("its acknowledgement", || stats().frame_tx.acks > acks).await;
    // No packet is on its way to the client: the idle timeout starts with the server's next packet.
    relay.cut();
    let start = Instant::now();
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
    assert_eq!(Client::guest(&server).await.hello("Ben").await.reply()["client"], 2);
}

#[tokio::test]
async fn a_client_that_reconnects_before_its_loss_is_noticed_keeps_its_slot() {
    let server = Server::options().max_clients(1).start().await;
    let relay = UdpRelay::start(server.address()).await;
    let key = Key::new();
    let _lost = Dialer::new(&server).key(&key).via(relay.address()).sign_in("Ron").await;
    relay.cut();
    let second = Dialer::new(&server).key(&key).connect().await.unwrap();
    assert_eq!(second.hello("Ron").await.reply()["client"], 1);
    second.assert_alive().await;
}

#[tokio::test]
async fn the_server_keeps_an_idle_connection() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    // Longer than every timeout of the server, without a request of the client.
    let closed = tokio::time::timeout(Duration::from_secs(16), client.connection().closed()).await;
    assert!(closed.is_err(), "{closed:?}");
    client.assert_alive().await;
}

#[tokio::test]
async fn a_server_that_shuts_down_tells_all_clients() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start().await;
        let member = Client::member(&server, "Ron").await;
        let guest = Client::guest(&server).await;
        // A client that allows the server no streams gets only the close code.
        let without_streams = Dialer::new(&server).transport(|settings| {
            settings.max_concurrent_bidi_streams(0_u32.into());
        });
        let without_streams = without_streams.sign_in("Pete").await;
        server.signal(signal);
        assert_eq!(read_event(&member).await, stopping_event());
        for client in [member, guest, without_streams] {
            assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
        }
        assert!(server.wait_for_exit(Duration::from_secs(10)).await.success());
    }
}

#[tokio::test]
async fn a_get_finishes_while_the_server_shuts_down() {
    let mut server = Server::start().await;
    add_big_file(&server);
    let client = Client::member(&server, "Ron").await;
    let download = start_get(&client).await;
    server.signal(Signal::TERM);
    assert_eq!(read_event(&client).await, stopping_event());

    let response = client.request(json!({"command": "message", "text": "Hello"})).await;
    assert_eq!(response.code(), "shutting_down");
    assert!(client.get("big").await.is_err_and(|response| response.code() == "shutting_down"));
    assert!(Dialer::new(&server).connect().await.is_err(), "the server accepted a new connection");

    download.finish().await.unwrap().acknowledge().await;
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(server.wait_for_exit(Duration::from_secs(5)).await.success());
    server.log().wait_for("delivered big").await;
}

#[tokio::test]
async fn a_stalled_get_does_not_prevent_the_shutdown() {
    let mut server = Server::start().await;
    add_big_file(&server);
    let client = Client::member(&server, "Ron").await;
    let _download = start_get(&client).await;
    let start = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(
        start.elapsed() > Duration::from_secs(5),
        "the get had no time to finish: {:?}",
        start.elapsed()
    );
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
}

#[tokio::test]
async fn a_second_signal_ends_running_gets_at_once() {
    let mut server = Server::start().await;
    add_big_file(&server);
    // Without a small window, content could fill the socket's buffer, and the close would be lost.
    let dialer = Dialer::new(&server).transport(|settings| {
        settings.stream_receive_window((64 * 1024_u32).into());
    });
    let client = dialer.sign_in("Ron").await;
    let _download = start_get(&client).await;
    server.signal(Signal::TERM);
    assert_eq!(read_event(&client).await, stopping_event());
    let start = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn running_gets_end_with_their_connection() {
    let server = Server::start().await;
    add_big_file(&server);
    let baseline = server.descriptors();
    for round in 1..=10 {
        let client = Client::member(&server, "Ron").await;
        let mut downloads = Vec::new();
        for _ in 0..8 {
            downloads.push(start_get(&client).await);
        }
        client.close().await;
        server.log().wait_for_nth("not delivered: big", 8 * round).await;
        server.log().wait_for_nth("Ron has disconnected", round).await;
    }
    // The server responds to this client after it has dropped all earlier connections.
    Client::member(&server, "Ben").await.assert_alive().await;
    assert!(server.descriptors() <= baseline + 2, "{} of {baseline}", server.descriptors());
}
