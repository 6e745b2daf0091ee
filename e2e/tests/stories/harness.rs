//! The harness itself: its two ends understand each other, and it sees what a story needs it to see.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{CloseReason, Dialer, Listener, RawFrame, RawStream, RawStreamError, kind};
use quiver_e2e::{Client, Key, TIMEOUT, wait_within};
use serde_json::json;

/// A client, and the other end of its connection.
async fn pair() -> (Client, quinn::Connection) {
    let listener = Listener::new(&Key::new());
    let dial = Dialer::to_address(listener.address(), &listener.key().fingerprint());
    let (client, connection) = tokio::join!(dial.connect(), listener.accept());
    (client.unwrap(), connection)
}

/// Answers the next request with these bytes.
async fn answer(connection: &quinn::Connection, bytes: &[u8]) -> (RawFrame, RawStream) {
    let mut stream = Listener::accept_stream(connection).await;
    let request = wait_within(TIMEOUT, "a request", stream.read_frame()).await.unwrap().unwrap();
    stream.write(bytes).await.unwrap();
    stream.finish();
    (request, stream)
}

#[tokio::test]
async fn both_ends_understand_each_other() {
    let (client, server) = pair().await;
    let text = RawFrame::json(kind::REPLY, &json!({"reply": "text", "text": "Hello ACK"}));
    let bytes = [text.encode(), RawFrame::new(kind::EOF, "{}").encode()].concat();
    let (said, (request, _stream)) = tokio::join!(client.message("Hello"), answer(&server, &bytes));
    assert_eq!(said, "Hello ACK");
    assert_eq!(request.value(), json!({"command": "message", "text": "Hello"}));
    server.close(5_u32.into(), b"");
    assert_eq!(client.wait_for_close().await, CloseReason::Code(5));
}

#[tokio::test]
async fn an_answer_without_an_end_is_none() {
    let (client, server) = pair().await;
    let text = RawFrame::json(kind::REPLY, &json!({"reply": "text", "text": "Hello ACK"})).encode();
    for cut in [0, 1, 3, text.len() - 1, text.len()] {
        let request = client.try_request(json!({"command": "status"}));
        let (said, _) = tokio::join!(request, answer(&server, &text[..cut]));
        assert_eq!(said, Err(RawStreamError::Short), "{cut}");
    }
}

#[tokio::test]
#[should_panic(expected = "only the last Data frame is shorter")]
async fn content_that_is_cut_wrongly_is_noticed() {
    let (client, server) = pair().await;
    let head = RawFrame::json(kind::REPLY, &json!({"reply": "file", "size": 1025, "offset": 0}));
    let short = [RawFrame::new(kind::DATA, [7]), RawFrame::new(kind::DATA, vec![7; 1024])];
    let bytes = [head.encode(), short[0].encode(), short[1].encode()].concat();
    let (download, _stream) = tokio::join!(client.get("x"), answer(&server, &bytes));
    let _ = download.unwrap().finish().await;
}

#[tokio::test]
async fn a_path_can_be_cut_and_healed() {
    let listener = Listener::new(&Key::new());
    let path = UdpRelay::start(listener.address()).await;
    let dial = Dialer::to_address(path.address(), &listener.key().fingerprint());
    let (client, server) = tokio::join!(dial.connect(), listener.accept());
    let client = client.unwrap();
    let eof = RawFrame::new(kind::EOF, "{}").encode();
    path.cut();
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::hello("Ron")).await.unwrap();
    stream.finish();
    path.wait_for_loss().await;
    path.restore();
    // What was lost is sent again.
    let heard = answer(&server, &eof).await;
    assert_eq!(heard.0, RawFrame::hello("Ron"));
    wait_within(TIMEOUT, "an answer", stream.read_response()).await.unwrap().eof();
}
