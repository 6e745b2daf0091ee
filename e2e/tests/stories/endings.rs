//! How connections end: silence, a dead client, a server that stops.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::process::Signal;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{CloseReason, Dialer, RawDownload, RawFrame, RawStream, kind};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

/// Offers a file that fits no window.
fn offer_big(server: &Server) {
    File::create(server.files().join("big")).unwrap().set_len(32 * 1024 * 1024).unwrap();
}

/// A get that has begun and cannot end before it is read.
async fn begin(client: &Client) -> RawDownload {
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    download
}

/// What the server says unasked.
async fn event(client: &Client) -> Vec<(u8, String)> {
    let accepted = wait_within(TIMEOUT, "an event", client.connection().accept_bi()).await;
    let mut stream = RawStream::from(accepted.unwrap());
    let frames = wait_within(TIMEOUT, "the event's frames", stream.read_frames()).await.unwrap();
    stream.finish();
    frames.iter().map(|frame| (frame.kind, frame.text().to_owned())).collect()
}

fn stopping() -> Vec<(u8, String)> {
    let event = r#"{"event":"stopping","grace_seconds":8}"#;
    vec![(kind::REPLY, event.to_owned()), (kind::EOF, "{}".to_owned())]
}

#[tokio::test]
async fn a_guest_has_ten_seconds_to_say_hello() {
    let server = Server::start().await;
    let _ron = Client::member(&server, "Ron").await;
    let begin = Instant::now();
    let silent = Client::guest(&server).await;
    let slow = Client::guest(&server).await;
    let mut half = slow.open().await.unwrap();
    let hello = RawFrame::hello("Ben").encode();
    half.write(&hello[..hello.len() / 2]).await.unwrap();
    let refused = Client::guest(&server).await;
    assert_eq!(refused.hello("Ron").await.code(), "name_taken");
    for guest in [silent, slow, refused] {
        assert_eq!(guest.wait_for_close().await, CloseReason::Code(5));
        let took = begin.elapsed().as_secs_f64();
        assert!((9.5..14.0).contains(&took), "{took} s");
    }
}

#[tokio::test]
async fn a_dead_clients_slot_is_free_after_15_seconds() {
    let server = Server::options().max_clients(1).start().await;
    offer_big(&server);
    let path = UdpRelay::start(server.address()).await;
    let ron = Dialer::new(&server).via(path.address()).sign_in("Ron").await;
    let _get = begin(&ron).await;
    path.cut();
    let began = Instant::now();
    // Not a word has told the server: the slot is taken.
    assert_eq!(Client::guest(&server).await.hello("Ben").await.code(), "busy");
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
    assert_eq!(Client::guest(&server).await.hello("Ben").await.reply()["client"], 3);
    assert_eq!(ron.wait_for_close().await, CloseReason::TimedOut);
}

#[tokio::test]
async fn so_is_that_of_one_that_was_asked_nothing() {
    let server = Server::options().max_clients(1).start().await;
    let path = UdpRelay::start(server.address()).await;
    let ron = Dialer::new(&server).via(path.address()).sign_in("Ron").await;
    let frames = || ron.connection().stats();
    let (heard, said) = (frames().frame_rx.ping, frames().frame_tx.acks);
    wait_until("a keep-alive of the server", || frames().frame_rx.ping > heard).await;
    wait_until("its acknowledgement", || frames().frame_tx.acks > said).await;
    // Nothing is on its way to the client: silence begins to count with what the server says next.
    path.cut();
    let began = Instant::now();
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_eq!(Client::guest(&server).await.hello("Ben").await.reply()["client"], 2);
}

#[tokio::test]
async fn who_comes_back_before_it_was_missed_is_still_itself() {
    let server = Server::options().max_clients(1).start().await;
    let path = UdpRelay::start(server.address()).await;
    let key = Key::new();
    let _lost = Dialer::new(&server).key(&key).via(path.address()).sign_in("Ron").await;
    path.cut();
    let back = Dialer::new(&server).key(&key).connect().await.unwrap();
    assert_eq!(back.hello("Ron").await.reply()["client"], 1);
    back.assert_alive().await;
}

#[tokio::test]
async fn an_idle_connection_lives_on() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    // Beyond every deadline of the server, without a word of the client.
    let closed = tokio::time::timeout(Duration::from_secs(16), client.connection().closed()).await;
    assert!(closed.is_err(), "{closed:?}");
    client.assert_alive().await;
}

#[tokio::test]
async fn a_server_that_stops_tells_everyone() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start().await;
        let member = Client::member(&server, "Ron").await;
        let guest = Client::guest(&server).await;
        // One that lets the server open no streams learns it from the close.
        let deaf = Dialer::new(&server).transport(|settings| {
            settings.max_concurrent_bidi_streams(0_u32.into());
        });
        let deaf = deaf.sign_in("Pete").await;
        server.signal(signal);
        assert_eq!(event(&member).await, stopping());
        for client in [member, guest, deaf] {
            assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
        }
        assert!(server.wait_for_exit(Duration::from_secs(10)).await.success());
    }
}

#[tokio::test]
async fn a_get_may_end_while_the_server_stops() {
    let mut server = Server::start().await;
    offer_big(&server);
    let client = Client::member(&server, "Ron").await;
    let download = begin(&client).await;
    server.signal(Signal::TERM);
    assert_eq!(event(&client).await, stopping());

    let answer = client.request(json!({"command": "message", "text": "Hello"})).await;
    assert_eq!(answer.code(), "shutting_down");
    assert!(client.get("big").await.is_err_and(|answer| answer.code() == "shutting_down"));
    assert!(Dialer::new(&server).connect().await.is_err(), "nobody new comes in");

    download.finish().await.unwrap().acknowledge().await;
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(server.wait_for_exit(Duration::from_secs(5)).await.success());
    server.log().wait_for("delivered big").await;
}

#[tokio::test]
async fn a_get_that_does_not_end_does_not_keep_the_server() {
    let mut server = Server::start().await;
    offer_big(&server);
    let client = Client::member(&server, "Ron").await;
    let _download = begin(&client).await;
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(began.elapsed() > Duration::from_secs(5), "it had a grace: {:?}", began.elapsed());
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
}

#[tokio::test]
async fn a_second_signal_skips_the_grace() {
    let mut server = Server::start().await;
    offer_big(&server);
    // A burst of content could fill the socket, and the close behind it would be lost.
    let small = Dialer::new(&server).transport(|settings| {
        settings.stream_receive_window((64 * 1024_u32).into());
    });
    let client = small.sign_in("Ron").await;
    let _download = begin(&client).await;
    server.signal(Signal::TERM);
    assert_eq!(event(&client).await, stopping());
    let began = Instant::now();
    server.signal(Signal::INT);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(4));
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn commands_that_run_end_with_their_connection() {
    let server = Server::start().await;
    offer_big(&server);
    let baseline = server.descriptors();
    for round in 1..=10 {
        let client = Client::member(&server, "Ron").await;
        let mut downloads = Vec::new();
        for _ in 0..8 {
            downloads.push(begin(&client).await);
        }
        client.close().await;
        server.log().wait_for_nth("not delivered: big", 8 * round).await;
        server.log().wait_for_nth("Ron has disconnected", round).await;
    }
    // A last client's answer comes after all that was dropped before.
    Client::member(&server, "Ben").await.assert_alive().await;
    assert!(server.descriptors() <= baseline + 2, "{} of {baseline}", server.descriptors());
}
