//! Input that violates the protocol: the server ends that stream with an error, and the connection continues.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::wire::{Dialer, RawFrame, RawStream, kind};
use quiver_e2e::{Client, Server, TIMEOUT, wait_within};
use serde_json::json;

/// A Request frame with this payload.
fn request_frame(text: impl AsRef<[u8]>) -> Vec<u8> {
    RawFrame::new(kind::REQUEST, text.as_ref()).encode()
}

/// Bytes that do not start with a valid request, and the code of the refusal.
fn malformed_requests() -> Vec<(Vec<u8>, &'static str)> {
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "bad_request"),
        (vec![0], "bad_request"),
        (vec![0, 0], "bad_request"),
        (vec![0, 0, 5, b'{', b'}'], "bad_request"),
        (vec![0, 0x0f, 0xff], "bad_request"),
        // The length exceeds that of any request, whether the payload follows or not.
        (vec![0, 0xff, 0xff], "too_large"),
        ([vec![0, 0xff, 0xff], vec![b' '; 65_535]].concat(), "too_large"),
    ];
    for kind in [7, 8, 0x7f, 0x80, 0xff] {
        cases.push((vec![kind, 0, 2, b'{', b'}'], "bad_request"));
        cases.push((vec![kind, 0xff, 0xff], "bad_request"));
    }
    let others = [kind::REPLY, kind::DATA, kind::EOF, kind::ERROR, kind::RECEIVED, kind::PACKET];
    for kind in others {
        cases.push((RawFrame::new(kind, r#"{"command":"status"}"#).encode(), "bad_request"));
        cases.push((RawFrame::new(kind, "").encode(), "bad_request"));
    }
    let texts: [&[u8]; 22] = [
        b"",
        b" ",
        b"{",
        b"}",
        b"{}",
        b"null",
        b"7",
        b"\"status\"",
        b"[]",
        b"[\"status\"]",
        b"{\"command\":null}",
        b"{\"command\":7}",
        b"{\"command\":[\"status\"]}",
        b"{\"command\":{\"status\":{}}}",
        b"{\"Command\":\"status\"}",
        b"{\"command\":\"status\",\"command\":\"status\"}",
        b"{\"command\":\"status\"} {}",
        b"{\"command\":\"status\"}\0",
        b"\xef\xbb\xbf{\"command\":\"status\"}",
        b"{\"command\":\"stat\xffus\"}",
        b"{\"command\":\"\\ud83c\"}",
        b"{\"command\":\"status\",\"x\":\"\xc0\xaf\"}",
    ];
    cases.extend(texts.map(|text| (request_frame(text), "bad_request")));
    // The deepest nesting that fits into a frame must not overflow the server's stack.
    let deep = format!("{{\"command\":\"status\",\"x\":{}", "[".repeat(4000));
    cases.push((request_frame(deep), "bad_request"));
    cases.push((request_frame("[".repeat(4000)), "bad_request"));
    cases
}

#[tokio::test]
async fn a_malformed_request_of_a_member_ends_only_its_stream() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let requests: [&[u8]; 12] = [
        b"{\"command\":\"message\"}",
        b"{\"command\":\"message\",\"text\":7}",
        b"{\"command\":\"message\",\"text\":null}",
        b"{\"command\":\"message\",\"text\":\"\xff\"}",
        b"{\"command\":\"message\",\"text\":\"\\udc00\"}",
        b"{\"command\":\"message\",\"text\":\"a\",\"text\":\"b\"}",
        b"{\"command\":\"get\"}",
        b"{\"command\":\"get\",\"path\":[\"a\"]}",
        b"{\"command\":\"get\",\"path\":\"\xff\xfe\"}",
        b"{\"command\":\"list\"}",
        b"{\"command\":\"list\",\"path\":null}",
        b"{\"command\":\"hello\",\"version\":\"1\",\"name\":\"Ron\"}",
    ];
    let requests = requests.map(|text| (request_frame(text), "bad_request"));
    for (bytes, code) in malformed_requests().into_iter().chain(requests) {
        let response = client.exchange(&bytes).await;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert_eq!(response.code(), code, "{shown:?}");
        assert!(response.replies.is_empty() && !response.message().is_empty(), "{shown:?}");
        client.assert_alive().await;
    }
}

#[tokio::test]
async fn a_guest_may_send_a_third_request_after_two_malformed_ones() {
    let server = Server::options().max_clients(1000).start().await;
    let hellos: [&[u8]; 5] = [
        b"{\"command\":\"hello\"}",
        b"{\"command\":\"hello\",\"version\":1}",
        b"{\"command\":\"hello\",\"name\":\"Ron\"}",
        b"{\"command\":\"hello\",\"version\":1,\"name\":7}",
        b"{\"command\":\"hello\",\"version\":1.0,\"name\":\"Ron\"}",
    ];
    let hellos = hellos.map(|text| (request_frame(text), "bad_request"));
    for (number, (bytes, code)) in malformed_requests().into_iter().chain(hellos).enumerate() {
        let guest = Client::guest(&server).await;
        for _ in 0..2 {
            assert_eq!(guest.exchange(&bytes).await.code(), code, "{bytes:?}");
        }
        assert_eq!(guest.hello(&format!("guest-{number}")).await.reply()["reply"], "welcome");
        guest.close().await;
    }
}

#[tokio::test]
async fn an_unknown_command_ends_only_its_stream() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    for command in ["dance", "", "Status", "STATUS", "status ", "Put", "Introduce", "get\0"] {
        let response = client.request(json!({"command": command, "path": "a"})).await;
        assert_eq!(response.code(), "unknown_command", "{command:?}");
        client.assert_alive().await;
    }
    let guest = Client::guest(&server).await;
    assert_eq!(guest.request(json!({"command": "dance"})).await.code(), "unknown_command");
    assert_eq!(guest.hello("Ben").await.reply()["reply"], "welcome");
}

#[tokio::test]
async fn the_server_refuses_bytes_after_a_request() {
    let server = Server::start().await;
    File::create(server.files().join("big")).unwrap().set_len(32 * 1024 * 1024).unwrap();
    let client = Client::member(&server, "Ron").await;
    for command in ["status", "exit"] {
        let one = request_frame(json!({"command": command}).to_string());
        for more in [one.clone(), b"x".to_vec(), RawFrame::new(kind::RECEIVED, "{}").encode()] {
            let response = client.exchange(&[one.clone(), more].concat()).await;
            assert_eq!(response.code(), "bad_request", "{command}");
            client.assert_alive().await;
        }
    }
    // Nor in the middle of the content.
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    download.stream.write(b"x").await.unwrap();
    assert_eq!(download.finish().await.unwrap_err().code(), "bad_request");
    client.assert_alive().await;
}

/// A request frame whose payload has exactly `length` bytes.
fn padded_request(mut request: serde_json::Value, length: usize) -> Vec<u8> {
    request["padding"] = json!("");
    let unpadded = request.to_string().len();
    request["padding"] = json!("x".repeat(length - unpadded));
    let frame = RawFrame::request(&request);
    assert_eq!(frame.payload.len(), length);
    frame.encode()
}

#[tokio::test]
async fn the_server_accepts_requests_up_to_the_documented_lengths() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let cases = [
        (json!({"command": "message", "text": "Hello"}), 16_384, ""),
        (json!({"command": "status"}), 8192, ""),
        (json!({"command": "list", "path": ""}), 8192, ""),
        (json!({"command": "get", "path": "none"}), 8192, "not_found"),
        (json!({"command": "dance"}), 8192, "unknown_command"),
        (json!({"command": "hello", "version": 1, "name": "Ron"}), 4096, "bad_request"),
    ];
    for (request, limit, code) in cases {
        assert_eq!(
            client.exchange(&padded_request(request.clone(), limit)).await.code(),
            code,
            "{request}"
        );
        for length in [limit + 1, 16_385] {
            let response = client.exchange(&padded_request(request.clone(), length)).await;
            assert_eq!(response.code(), "too_large", "{request} of {length}");
        }
        client.assert_alive().await;
    }
    // The response to the longest message is complete.
    let text = "x".repeat(16_384 - json!({"command": "message", "text": ""}).to_string().len());
    assert_eq!(client.message(&text).await, text + " ACK");

    let guest = Client::guest(&server).await;
    let hello = json!({"command": "hello", "version": 1, "name": "Ben"});
    assert_eq!(guest.exchange(&padded_request(hello.clone(), 4097)).await.code(), "too_large");
    assert_eq!(guest.exchange(&padded_request(hello, 4096)).await.code(), "");
}

#[tokio::test]
async fn the_server_refuses_an_incomplete_request_after_ten_seconds() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let start = Instant::now();
    let mut streams = Vec::new();
    for start_of_request in [&b"\0"[..], b"\0\0\x14", b"\0\0\x14{\"command\""] {
        let mut stream = client.open().await.unwrap();
        stream.write(start_of_request).await.unwrap();
        streams.push(stream);
    }
    client.assert_alive().await;
    for mut stream in streams {
        let response = wait_within(TIMEOUT, "a response", stream.read_response()).await.unwrap();
        assert_eq!(response.code(), "bad_request");
        let elapsed = start.elapsed();
        let (min, max) = (Duration::from_secs(9), Duration::from_secs(14));
        assert!(elapsed > min && elapsed < max, "{elapsed:?}");
    }
    client.assert_alive().await;
}

#[tokio::test]
async fn the_server_accepts_a_request_that_arrives_byte_by_byte() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let mut stream = client.open().await.unwrap();
    for byte in request_frame(r#"{"command":"message","text":"Hello"}"#) {
        stream.write(&[byte]).await.unwrap();
        // Lets the connection send the byte before the next one is written.
        tokio::task::yield_now().await;
    }
    let response = wait_within(TIMEOUT, "a response", stream.read_response()).await.unwrap();
    assert_eq!(response.reply()["text"], "Hello ACK");
}

#[tokio::test]
async fn the_connection_survives_abandoned_streams() {
    let server = Server::start().await;
    File::create(server.files().join("big")).unwrap().set_len(32 * 1024 * 1024).unwrap();
    let client = Client::member(&server, "Ron").await;
    for round in 0..200 {
        let mut stream = client.open().await.unwrap();
        let get = request_frame(r#"{"command":"get","path":"big"}"#);
        match round % 4 {
            0 => stream.write(&get[..10]).await.unwrap(),
            1 => stream.write(&get).await.unwrap(),
            2 => {
                stream.write(&get).await.unwrap();
                stream.read_frame().await.unwrap();
            }
            _ => {
                stream.write(&get).await.unwrap();
                let _ = stream.recv.stop(0_u32.into());
                stream.finish();
                continue;
            }
        }
        stream.abandon();
    }
    client.assert_alive().await;
    // The client may use its full limit of sixteen downloads at once again.
    let mut downloads = Vec::new();
    for _ in 0..16 {
        let mut download = client.get("big").await.unwrap();
        download.read_at_least(1).await;
        downloads.push(download);
    }
    server
        .log()
        .wait_for("not delivered: big to Client 1: Ron: the other side stopped reading")
        .await;
}

#[tokio::test]
async fn the_server_logs_a_delivery_only_after_a_valid_received() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let mut undelivered = 0;
    for name in ["correct", "wrong", "none", "garbled", "other", "abandoned"] {
        server.add_file(name, "content");
        let content = client.get(name).await.unwrap().finish().await.unwrap();
        match name {
            "correct" => content.acknowledge().await,
            "wrong" => content.acknowledge_with(&"0".repeat(64)).await,
            "none" => content.into_stream().finish(),
            "garbled" => {
                send_last_frame(content.into_stream(), &RawFrame::new(kind::RECEIVED, "[]")).await
            }
            "other" => {
                send_last_frame(content.into_stream(), &RawFrame::new(kind::EOF, "{}")).await
            }
            _ => content.into_stream().abandon(),
        }
        if name == "correct" {
            server.log().wait_for("delivered correct (7 B) to Client 1: Ron").await;
        } else {
            undelivered += 1;
            server.log().wait_for(&format!("not delivered: {name} to Client 1: Ron")).await;
        }
    }
    client.assert_alive().await;
    assert_eq!(server.log().count("not delivered"), undelivered);

    // Nor does it log one if the client closes the connection instead.
    server.add_file("last", "content");
    let content = client.get("last").await.unwrap().finish().await.unwrap();
    client.close().await;
    server.log().wait_for("not delivered: last to Client 1: Ron").await;
    drop(content);
}

async fn send_last_frame(mut stream: RawStream, frame: &RawFrame) {
    stream.write_frame(frame).await.unwrap();
    stream.finish();
}

#[tokio::test]
async fn the_server_refuses_other_protocols_than_quiver_1() {
    let server = Server::start().await;
    for alpn in [&b"quiver/2"[..], b"h3", b"quiver"] {
        let error = Dialer::new(&server).alpn(alpn).connect().await.unwrap_err();
        // The TLS alert no_application_protocol.
        assert!(error.to_string().contains("error 120"), "{error}");
    }
    Client::member(&server, "Ron").await.assert_alive().await;
}

#[tokio::test]
async fn the_servers_fingerprint_is_that_of_its_public_key() {
    let server = Server::start().await;
    let imposter = Server::start().await;
    let wrong = Dialer::new(&server).fingerprint(imposter.fingerprint());
    assert!(wrong.connect().await.is_err());
    // The dialer computes the fingerprint from the certificate, as docs/protocol.md describes, and compares it
    // with the one in the server's log.
    Dialer::new(&server).connect().await.unwrap();
}
