//! Requests and responses of every command, byte for byte.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use quiver_e2e::random::Random;
use quiver_e2e::wire::{CloseReason, RawFrame, kind};
use quiver_e2e::{Client, Server, TIMEOUT, wait_within};
use quiver_protocol::units;
use serde_json::json;

/// 2024-10-19T17:45:47Z, the time in all examples.
const EXAMPLE_TIME: Duration = Duration::from_secs(1_729_359_947);

fn set_example_time(path: &Path) {
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(UNIX_EPOCH + EXAMPLE_TIME)
        .unwrap();
}

/// Sends one request as JSON text, and returns the kinds and texts of the response's frames.
async fn exchange(client: &Client, request: &str) -> Vec<(u8, String)> {
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::new(kind::REQUEST, request)).await.unwrap();
    stream.finish();
    let frames = wait_within(TIMEOUT, "a response", stream.read_frames()).await.unwrap();
    frames.iter().map(|frame| (frame.kind, frame.text().to_owned())).collect()
}

fn reply(text: &str) -> (u8, String) {
    (kind::REPLY, text.to_owned())
}

fn eof(text: &str) -> (u8, String) {
    (kind::EOF, text.to_owned())
}

/// The seconds from midnight to a time as it is written on the wire.
fn seconds_of_day(time: &str) -> f64 {
    let (_, time) = time.strip_suffix('Z').unwrap().split_once('T').unwrap();
    time.split(':').fold(0.0, |sum, unit| sum * 60.0 + unit.parse::<f64>().unwrap())
}

#[tokio::test]
async fn a_conversation_matches_the_protocol_description() {
    let server = Server::start().await;
    set_example_time(&server.add_file("notes/2024.txt", "It was a good year."));
    set_example_time(&server.add_file("secret.txt", "twelve bytes"));
    let client = Client::guest(&server).await;

    let welcome = r#"{"reply":"welcome","client":1,"name":"Ron","message":"Connected to the server successfully.","max_clients":3,"limits":{"message":16384,"request":8192,"streams":64,"connections":8}}"#;
    let response = exchange(&client, r#"{"command":"hello","version":1,"name":"Ron"}"#).await;
    assert_eq!(response, [reply(welcome), eof("{}")]);

    let response = exchange(&client, r#"{"command":"message","text":"Hello"}"#).await;
    assert_eq!(response, [reply(r#"{"reply":"text","text":"Hello ACK"}"#), eof("{}")]);

    let response = exchange(&client, r#"{"command":"list","path":"notes"}"#).await;
    let entry = r#"{"reply":"entry","path":"notes/2024.txt","kind":"file","size":19,"modified":"2024-10-19T17:45:47Z"}"#;
    assert_eq!(response, [reply(entry), eof(r#"{"entries":1,"not_served":0}"#)]);

    let response = exchange(&client, r#"{"command":"status"}"#).await;
    let (row, start) = response[0].1.split_once(r#""start":""#).unwrap();
    assert_eq!(row, r#"{"reply":"client","number":1,"name":"Ron","#);
    assert!(start.ends_with(r#"Z","end":null}"#), "{start}");
    assert_eq!(response[1..], [eof("{}")]);

    let response = exchange(&client, r#"{"command":"exit"}"#).await;
    assert_eq!(response, [reply(r#"{"reply":"goodbye"}"#), eof("{}")]);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(0));
}

#[tokio::test]
async fn a_get_has_the_documented_bytes() {
    let server = Server::start().await;
    let content: Vec<u8> = (0..1025).map(|number| (number % 251) as u8).collect();
    set_example_time(&server.add_file("count.bin", &content));
    let client = Client::member(&server, "Ron").await;

    let mut stream = client.open().await.unwrap();
    stream.write(b"\x00\x00\x24{\"command\":\"get\",\"path\":\"count.bin\"}").await.unwrap();
    let mut expected = b"\x01\x00\x5c{\"reply\":\"file\",\"path\":\"count.bin\",\"size\":1025,\
        \"modified\":\"2024-10-19T17:45:47Z\",\"offset\":0}"
        .to_vec();
    expected.extend(b"\x02\x04\x00");
    expected.extend(&content[..1024]);
    expected.extend(b"\x02\x00\x01\x14");
    // The hash is the one in BLAKE3's published test vectors.
    expected.extend(
        b"\x03\x00\x59{\"size\":1025,\
        \"blake3\":\"d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444\"}",
    );
    let response =
        wait_within(TIMEOUT, "the response", stream.recv.read_to_end(10_000)).await.unwrap();
    assert!(response == expected, "{}", String::from_utf8_lossy(&response));

    let received =
        br#"{"blake3":"d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"}"#;
    stream.write_frame(&RawFrame::new(kind::RECEIVED, received)).await.unwrap();
    stream.finish();
    server.log().wait_for("delivered count.bin (1.0 kB) to Client 1: Ron").await;
}

#[tokio::test]
async fn the_server_responds_before_the_end_of_the_stream() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let mut stream = client.open().await.unwrap();
    let request = RawFrame::request(&json!({"command": "message", "text": "Hello"}));
    stream.write_frame(&request).await.unwrap();
    let response = wait_within(TIMEOUT, "the response", stream.read_response()).await.unwrap();
    assert_eq!(response.reply()["text"], "Hello ACK");
    // After its response, the server stops the request's direction of the stream.
    let stopped = wait_within(TIMEOUT, "the stop", stream.send.stopped()).await.unwrap();
    assert!(stopped.is_some());
}

#[tokio::test]
async fn the_server_acknowledges_any_text() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let texts =
        ["", " ", "Hello", "naïve שלום 🏹", "a\nb\r\t\0\u{1b}[2J", "\"\\/", "\u{202e}\u{feff}"];
    for text in texts {
        assert_eq!(client.message(text).await, format!("{text} ACK"));
    }
}

#[tokio::test]
async fn status_shows_connected_and_disconnected_clients() {
    let server = Server::start().await;
    let before_ben = Instant::now();
    let ben = Client::member(&server, "Ben").await;
    let connected_ben = Instant::now();
    let ron = Client::member(&server, "Ron").await;
    let pete = Client::member(&server, "Pete").await;
    let summary = |rows: &[serde_json::Value]| -> Vec<(u64, String, bool)> {
        let summary = |row: &serde_json::Value| {
            let name = row["name"].as_str().unwrap().to_owned();
            (row["number"].as_u64().unwrap(), name, row["end"].is_null())
        };
        rows.iter().map(summary).collect()
    };
    let row = |number: u64, name: &str, is_connected: bool| (number, name.to_owned(), is_connected);
    let expected = [row(1, "Ben", true), row(2, "Ron", true), row(3, "Pete", true)];
    assert_eq!(summary(&pete.status().await), expected);

    let shortest = connected_ben.elapsed().as_secs_f64();
    ben.request(json!({"command": "exit"})).await.eof();
    let rows = ron.status().await;
    let longest = before_ben.elapsed().as_secs_f64();
    assert_eq!(summary(&rows), [row(1, "Ben", false), row(2, "Ron", true), row(3, "Pete", true)]);
    let (start, end) = (rows[0]["start"].as_str().unwrap(), rows[0]["end"].as_str().unwrap());
    let duration = (seconds_of_day(end) - seconds_of_day(start)).rem_euclid(86_400.0);
    // Times are truncated to milliseconds. Between Ben's sign-in and exit are two more sign-ins.
    assert!(duration > 0.0, "{start} {end}");
    let possible = shortest - 0.0011..longest + 0.0011;
    assert!(possible.contains(&duration), "{start} {end}: {duration} s, not {possible:?}");

    // A client that reconnects gets a new number and a new row.
    let _ben = Client::member(&server, "Ben").await;
    let rows = summary(&ron.status().await);
    assert_eq!(rows[0], row(1, "Ben", false));
    assert_eq!(rows[3], row(4, "Ben", true));
    assert_eq!(rows.len(), 4);
}

#[tokio::test]
async fn the_server_logs_connects_and_disconnects() {
    let server = Server::options().max_clients(1).start().await;
    let log = server.log();
    log.wait_for("listening on 127.0.0.1:").await;
    let ron = Client::member(&server, "Ron").await;
    log.wait_for("connection from 127.0.0.1:").await;
    log.wait_for("Client connected as Client 1: Ron").await;
    log.wait_for("client count: 1 of 1").await;
    let ben = Client::guest(&server).await;
    assert_eq!(ben.hello("Ben").await.code(), "busy");
    log.wait_for("Max clients reached. Rejecting Client 2: Ben").await;
    ron.close().await;
    log.wait_for("Client 1: Ron has disconnected").await;
    log.wait_for("client count: 0 of 1").await;
}

#[tokio::test]
async fn the_server_answers_messages_during_a_large_get() {
    let server = Server::start().await;
    let big = File::create(server.files().join("big")).unwrap();
    big.set_len(256 * 1024 * 1024).unwrap();
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    let mut responses = 0;
    let messages = async {
        loop {
            assert_eq!(client.message("Hello").await, "Hello ACK");
            responses += 1;
        }
    };
    let content = tokio::select! {
        content = download.finish() => content.unwrap(),
        () = messages => unreachable!("the loop never ends"),
    };
    assert_eq!(content.bytes, 256 * 1024 * 1024);
    content.acknowledge().await;
    assert!(responses >= 20, "only {responses} responses during the get");
}

#[tokio::test]
async fn the_server_sends_content_of_any_size_in_frames_of_1024_bytes() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let mut random = Random::new(1);
    for size in [0, 1, 1023, 1024, 1025, 2048, 1024 * 1024 + 1] {
        let content = random.bytes(size);
        let name = format!("{size}.bin");
        server.add_file(&name, &content);
        let download = client.get(&name).await.unwrap();
        assert_eq!(download.head["path"], name);
        assert_eq!(download.head["offset"], 0);
        // `RawDownload` checks that all frames but the last are full.
        let received = download.finish().await.unwrap();
        assert_eq!((received.frames, received.bytes), (size.div_ceil(1024) as u64, size as u64));
        assert_eq!(received.hash, blake3::hash(&content).to_hex().as_str());
        received.acknowledge().await;
        let shown = units::bytes(size as u64);
        server.log().wait_for(&format!("delivered {name} ({shown}) to Client 1: Ron")).await;
    }
}

#[tokio::test]
async fn a_client_receives_a_file_of_300_mib() {
    const SIZE: u64 = 300 * 1024 * 1024;
    let server = Server::start().await;
    let mut file = File::create(server.files().join("big")).unwrap();
    let (mut random, mut hasher) = (Random::new(2), blake3::Hasher::new());
    for _ in 0..SIZE / (1024 * 1024) {
        let piece = random.bytes(1024 * 1024);
        hasher.update(&piece);
        std::io::Write::write_all(&mut file, &piece).unwrap();
    }
    let client = Client::member(&server, "Ron").await;
    let content = client.get("big").await.unwrap().finish().await.unwrap();
    assert_eq!((content.frames, content.bytes), (SIZE / 1024, SIZE));
    assert_eq!(content.hash, hasher.finalize().to_hex().as_str());
    content.acknowledge().await;
}

#[tokio::test]
async fn the_server_serves_files_with_any_safe_name() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let longest = "é".repeat(127) + "x";
    assert_eq!(longest.len(), 255);
    let names = [
        " leading and inner spaces",
        "\"double\" and 'single' quotes",
        "🏹 and 👩‍🚀",
        "-rf",
        "--help",
        ".hidden",
        "..a",
        "%2e%2e",
        "$(echo)",
        "*?|<>:",
        "a\u{202e}gpj.exe",
        &longest,
        "very/deep/folder/with a file",
    ];
    for name in names {
        server.add_file(name, name);
    }
    for name in names {
        let content = client.get(name).await.unwrap().finish().await.unwrap();
        assert_eq!(content.hash, blake3::hash(name.as_bytes()).to_hex().as_str(), "{name}");
        content.acknowledge().await;
    }
    let list = client.list("").await;
    let mut listed: Vec<_> =
        list.replies.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    let mut expected = names.to_vec();
    *expected.last_mut().unwrap() = "very";
    expected.sort_unstable_by_key(|name| name.as_bytes());
    assert_eq!(listed, expected, "names are sorted by their bytes");
    listed.dedup();
    assert_eq!(list.eof(), &json!({"entries": listed.len(), "not_served": 0}));
}

#[tokio::test]
async fn the_server_ignores_unknown_fields() {
    let server = Server::start().await;
    let client = Client::guest(&server).await;
    let hello = json!({"mood": [1, {"a": null}], "command": "hello", "version": 1, "name": "Ron"});
    assert_eq!(client.request(hello).await.reply()["reply"], "welcome");
    let message = json!({"command": "message", "text": "Hello", "path": "/etc/passwd", "x": {}});
    assert_eq!(client.request(message).await.reply()["text"], "Hello ACK");
}
