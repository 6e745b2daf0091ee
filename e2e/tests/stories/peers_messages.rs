//! Messages between clients: delivered once, with an honest outcome, and shown without control characters.

use quiver_e2e::wire::{RawFrame, RawStream, kind};
use quiver_e2e::{Home, PeerProgram, PromptUser, RawPeer, Server};
use serde_json::{Value, json};

fn tell(id: &str, text: &str) -> Value {
    json!({"command": "tell", "id": id.repeat(16), "text": text})
}

/// Ron, who listens, and Ben's `tell Ron Hello`.
async fn start_message(server: &Server, home: &Home) -> (RawPeer, RawStream, PeerProgram) {
    let ron = RawPeer::sign_in(server, "Ron").await;
    let listening = ron.client.listen().await;
    let ben = home.quiver_as(server, "Ben", ["tell", "Ron", "Hello", "--json"]);
    (ron, listening, PeerProgram::start(&ben))
}

#[tokio::test]
async fn a_message_whose_confirmation_is_lost_is_sent_once_more_and_then_unknown() {
    let server = Server::start().await;
    let home = Home::new();
    let (ron, mut listening, mut ben) = start_message(&server, &home).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let connection = ron.accept(&mut listening).await;
        let (request, _stream) = connection.next_request().await;
        assert_eq!([&request["command"], &request["text"]], ["tell", "Hello"]);
        ids.push(request["id"].clone());
        connection.connection.close(0_u32.into(), b"");
        // The close is sent before the relay ends.
        connection.wait_idle().await;
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ben.next_event("told").await["outcome"], "unknown");
    ben.expect_exit(1).await;
}

#[tokio::test]
async fn a_message_whose_first_attempt_is_lost_is_delivered_by_the_second() {
    let server = Server::start().await;
    let home = Home::new();
    let (ron, mut listening, mut ben) = start_message(&server, &home).await;
    let connection = ron.accept(&mut listening).await;
    let (first, _stream) = connection.next_request().await;
    connection.connection.close(0_u32.into(), b"");
    connection.wait_idle().await;
    let connection = ron.accept(&mut listening).await;
    let (second, mut stream) = connection.next_request().await;
    assert_eq!(first, second);
    stream.write_frame(&RawFrame::json(kind::EOF, &json!({}))).await.unwrap();
    stream.finish();
    assert_eq!(ben.next_event("told").await["outcome"], "delivered");
    ben.expect_exit(0).await;
}

#[tokio::test]
async fn a_message_that_is_sent_twice_is_shown_once_also_after_a_restart() {
    let server = Server::start().await;
    let home = Home::new();
    let ben = RawPeer::sign_in(&server, "Ben").await;
    let mut shown = Vec::new();
    for text in ["first", "second"] {
        let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
        let connection = ben.connect("Ron").await;
        connection.request(tell("01", "Hello")).await.eof();
        connection.request(tell("01", "Hello")).await.eof();
        connection.request(tell("02", "Hello")).await.eof();
        connection.request(tell(if text == "first" { "03" } else { "04" }, text)).await.eof();
        while ron.next_event("message").await["text"] != text {}
        shown.extend(ron.events_called("message"));
        ron.interrupt().await;
        server.log().wait_for("Ron has disconnected").await;
    }
    assert_eq!(shown.len(), 4, "{shown:?}");
}

#[tokio::test]
async fn messages_of_a_link_that_is_lost_at_once_are_shown_all_the_same() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let ben = RawPeer::sign_in(&server, "Ben").await;
    for number in 0..10 {
        let id = format!("{number:02x}");
        let connection = ben.connect("Ron").await;
        // Lost right after the confirmation; what was confirmed is shown.
        connection.request(tell(&id, &id)).await.eof();
        connection.connection.close(0_u32.into(), b"");
        assert_eq!(ron.next_event("message").await["text"], id);
    }
}

#[tokio::test]
async fn the_prompt_escapes_what_other_clients_write_and_are_called() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    connection
        .request(tell("01", "\u{1b}[2J\u{1b}]52;c;eA==\u{7}\r\nRon: exit\u{202e}"))
        .await
        .eof();
    ron.terminal.wait_for("[Mallory] \\u{1b}[2J\\u{1b}]52;c;eA==\\u{7}\\r\\nRon: exit\\u{202e}");
    let offer = json!({
        "command": "offer", "offer": "0a".repeat(16), "count": 1, "files": 1, "bytes": 5,
        "entries": [{"name": "\u{202e}gpj.exe", "kind": "file", "size": 5}],
    });
    let mut stream = connection.start_request(offer).await;
    assert_eq!(stream.next_reply().await["reply"], "pending");
    ron.terminal.wait_for("Mallory offers 1 file (5 B): \\u{202e}gpj.exe (5 B). /accept 1");
    let raw = String::from_utf8_lossy(&ron.terminal.raw_output()).into_owned();
    assert!(!raw.contains("\u{1b}]52") && !raw.contains('\u{202e}'), "{raw:?}");
    ron.exit();
}
