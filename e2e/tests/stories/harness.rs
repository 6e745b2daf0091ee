//! The test harness: its client and listener exchange frames, and it detects invalid responses.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{CloseReason, Dialer, Listener, RawFrame, RawStream, RawStreamError, kind};
use quiver_e2e::{Client, Key, TIMEOUT, wait_within};
use serde_json::json;

/// A client, and the listener's end of its connection.
async fn connect_pair() -> (Client, quinn::Connection) {
    let listener = Listener::new(&Key::new());
    let dialer = Dialer::to_address(listener.address(), &listener.key().fingerprint());
    let (client, connection) = tokio::join!(dialer.connect(), listener.accept());
    (client.unwrap(), connection)
}

/// Sends these bytes as the response to the next request, and returns the request.
async fn respond(connection: &quinn::Connection, bytes: &[u8]) -> (RawFrame, RawStream) {
    let mut stream = Listener::accept_stream(connection).await;
    let request = wait_within(TIMEOUT, "a request", stream.read_frame()).await.unwrap().unwrap();
    stream.write(bytes).await.unwrap();
    stream.finish();
    (request, stream)
}

#[tokio::test]
async fn client_and_listener_exchange_frames_and_close_codes() {
    let (client, server) = connect_pair().await;
    let text = RawFrame::json(kind::REPLY, &json!({"reply": "text", "text": "Hello ACK"}));
    let bytes = [text.encode(), RawFrame::new(kind::EOF, "{}").encode()].concat();
    let (text, (request, _stream)) =
        tokio::join!(client.message("Hello"), respond(&server, &bytes));
    assert_eq!(text, "Hello ACK");
    assert_eq!(request.value(), json!({"command": "message", "text": "Hello"}));
    server.close(5_u32.into(), b"");
    assert_eq!(client.wait_for_close().await, CloseReason::Code(5));
}

#[tokio::test]
async fn the_client_rejects_a_response_without_an_eof() {
    let (client, server) = connect_pair().await;
    let text = RawFrame::json(kind::REPLY, &json!({"reply": "text", "text": "Hello ACK"})).encode();
    for cut in [0, 1, 3, text.len() - 1, text.len()] {
        let request = client.try_request(json!({"command": "status"}));
        let (response, _) = tokio::join!(request, respond(&server, &text[..cut]));
        assert_eq!(response, Err(RawStreamError::Short), "{cut}");
    }
}

#[tokio::test]
#[should_panic(expected = "only the last Data frame is shorter")]
async fn the_client_rejects_a_short_data_frame_before_the_last() {
    let (client, server) = connect_pair().await;
    let head = RawFrame::json(kind::REPLY, &json!({"reply": "file", "size": 1025, "offset": 0}));
    let short = [RawFrame::new(kind::DATA, [7]), RawFrame::new(kind::DATA, vec![7; 1024])];
    let bytes = [head.encode(), short[0].encode(), short[1].encode()].concat();
    let (download, _stream) = tokio::join!(client.get("x"), respond(&server, &bytes));
    let _ = download.unwrap().finish().await;
}

#[tokio::test]
async fn a_request_survives_a_cut_of_the_relay() {
    let listener = Listener::new(&Key::new());
    let relay = UdpRelay::start(listener.address()).await;
    let dialer = Dialer::to_address(relay.address(), &listener.key().fingerprint());
    let (client, server) = tokio::join!(dialer.connect(), listener.accept());
    let client = client.unwrap();
    let eof = RawFrame::new(kind::EOF, "{}").encode();
    relay.cut();
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::hello("Ron")).await.unwrap();
    stream.finish();
    relay.wait_for_loss().await;
    relay.restore();
    // The client sends the lost packets again.
    let (request, _stream) = respond(&server, &eof).await;
    assert_eq!(request, RawFrame::hello("Ron"));
    wait_within(TIMEOUT, "a response", stream.read_response()).await.unwrap().eof();
}
