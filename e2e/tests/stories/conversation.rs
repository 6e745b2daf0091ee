//! What a client says to a server, and what it is told: every command, to the byte.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use quiver_e2e::random::Random;
use quiver_e2e::wire::{CloseReason, RawFrame, kind};
use quiver_e2e::{Client, Server, TIMEOUT, wait_within};
use serde_json::json;

/// 2024-10-19T17:45:47Z, the moment of all examples.
const MOMENT: Duration = Duration::from_secs(1_729_359_947);

fn set_moment(path: &Path) {
    File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + MOMENT).unwrap();
}

/// Says one request, as the text it is, and gives the frames that come back, as texts.
async fn exchange(client: &Client, request: &str) -> Vec<(u8, String)> {
    let mut stream = client.open().await.unwrap();
    stream.write_frame(&RawFrame::new(kind::REQUEST, request)).await.unwrap();
    stream.finish();
    let frames = wait_within(TIMEOUT, "an answer", stream.read_frames()).await.unwrap();
    frames.iter().map(|frame| (frame.kind, frame.text().to_owned())).collect()
}

fn reply(text: &str) -> (u8, String) {
    (kind::REPLY, text.to_owned())
}

fn eof(text: &str) -> (u8, String) {
    (kind::EOF, text.to_owned())
}

#[tokio::test]
async fn a_conversation_goes_as_the_description_shows() {
    let server = Server::start().await;
    set_moment(&server.add_file("notes/2024.txt", "It was a good year."));
    set_moment(&server.add_file("secret.txt", "twelve bytes"));
    let client = Client::guest(&server).await;

    let welcome = r#"{"reply":"welcome","client":1,"name":"Ron","message":"Connected to the server successfully.","max_clients":3,"limits":{"message":16384,"request":8192,"streams":64,"connections":8}}"#;
    let answer = exchange(&client, r#"{"command":"hello","version":1,"name":"Ron"}"#).await;
    assert_eq!(answer, [reply(welcome), eof("{}")]);

    let answer = exchange(&client, r#"{"command":"message","text":"Hello"}"#).await;
    assert_eq!(answer, [reply(r#"{"reply":"text","text":"Hello ACK"}"#), eof("{}")]);

    let answer = exchange(&client, r#"{"command":"list","path":"notes"}"#).await;
    let entry = r#"{"reply":"entry","path":"notes/2024.txt","kind":"file","size":19,"modified":"2024-10-19T17:45:47Z"}"#;
    assert_eq!(answer, [reply(entry), eof(r#"{"entries":1,"not_served":0}"#)]);

    let answer = exchange(&client, r#"{"command":"status"}"#).await;
    let (row, start) = answer[0].1.split_once(r#""start":""#).unwrap();
    assert_eq!(row, r#"{"reply":"client","number":1,"name":"Ron","#);
    assert!(start.ends_with(r#"Z","end":null}"#), "{start}");
    assert_eq!(answer[1..], [eof("{}")]);

    let answer = exchange(&client, r#"{"command":"exit"}"#).await;
    assert_eq!(answer, [reply(r#"{"reply":"goodbye"}"#), eof("{}")]);
    assert_eq!(client.wait_for_close().await, CloseReason::Code(0));
}

#[tokio::test]
async fn a_get_is_these_bytes() {
    let server = Server::start().await;
    let content: Vec<u8> = (0..1025).map(|number| (number % 251) as u8).collect();
    set_moment(&server.add_file("count.bin", &content));
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
    let answer = wait_within(TIMEOUT, "the answer", stream.recv.read_to_end(10_000)).await.unwrap();
    assert!(answer == expected, "{}", String::from_utf8_lossy(&answer));

    let received =
        br#"{"blake3":"d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"}"#;
    stream.write_frame(&RawFrame::new(kind::RECEIVED, received)).await.unwrap();
    stream.finish();
    server.log().wait_for("delivered count.bin (1025 bytes) to Client 1: Ron").await;
}

#[tokio::test]
async fn the_answer_does_not_wait_for_the_end_of_the_stream() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let mut stream = client.open().await.unwrap();
    let request = RawFrame::request(&json!({"command": "message", "text": "Hello"}));
    stream.write_frame(&request).await.unwrap();
    let answer = wait_within(TIMEOUT, "the answer", stream.read_response()).await.unwrap();
    assert_eq!(answer.reply()["text"], "Hello ACK");
    // The server wants no more of a stream that it has answered.
    let stopped = wait_within(TIMEOUT, "the stop", stream.send.stopped()).await.unwrap();
    assert!(stopped.is_some());
}

#[tokio::test]
async fn whatever_is_said_is_acknowledged() {
    let server = Server::start().await;
    let client = Client::member(&server, "Ron").await;
    let texts =
        ["", " ", "Hello", "naïve שלום 🏹", "a\nb\r\t\0\u{1b}[2J", "\"\\/", "\u{202e}\u{feff}"];
    for text in texts {
        assert_eq!(client.message(text).await, format!("{text} ACK"));
    }
}

#[tokio::test]
async fn status_tells_who_came_and_who_went() {
    let server = Server::start().await;
    let ben = Client::member(&server, "Ben").await;
    let ron = Client::member(&server, "Ron").await;
    let pete = Client::member(&server, "Pete").await;
    let present = |rows: &[serde_json::Value]| -> Vec<(u64, String, bool)> {
        let present = |row: &serde_json::Value| {
            let name = row["name"].as_str().unwrap().to_owned();
            (row["number"].as_u64().unwrap(), name, row["end"].is_null())
        };
        rows.iter().map(present).collect()
    };
    let row = |number: u64, name: &str, here: bool| (number, name.to_owned(), here);
    let all = [row(1, "Ben", true), row(2, "Ron", true), row(3, "Pete", true)];
    assert_eq!(present(&pete.status().await), all);

    ben.request(json!({"command": "exit"})).await.eof();
    let rows = ron.status().await;
    assert_eq!(present(&rows), [row(1, "Ben", false), row(2, "Ron", true), row(3, "Pete", true)]);
    // RFC 3339 in UTC to the millisecond: texts of the same length compare as the moments do.
    let (start, end) = (rows[0]["start"].as_str().unwrap(), rows[0]["end"].as_str().unwrap());
    assert!(start[..19] <= end[..19], "{start} {end}");

    // Who comes again has a row and a number of its own.
    let _ben = Client::member(&server, "Ben").await;
    let rows = present(&ron.status().await);
    assert_eq!(rows[0], row(1, "Ben", false));
    assert_eq!(rows[3], row(4, "Ben", true));
    assert_eq!(rows.len(), 4);
}

#[tokio::test]
async fn the_log_tells_of_comings_and_goings() {
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
async fn messages_are_answered_while_a_large_get_runs() {
    let server = Server::start().await;
    let big = File::create(server.files().join("big")).unwrap();
    big.set_len(256 * 1024 * 1024).unwrap();
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    let mut answered = 0;
    let messages = async {
        loop {
            assert_eq!(client.message("Hello").await, "Hello ACK");
            answered += 1;
        }
    };
    let content = tokio::select! {
        content = download.finish() => content.unwrap(),
        () = messages => unreachable!("there is always one more message"),
    };
    assert_eq!(content.bytes, 256 * 1024 * 1024);
    content.acknowledge().await;
    assert!(answered >= 20, "only {answered} messages were answered during the get");
}

#[tokio::test]
async fn content_comes_in_frames_of_1024_bytes_whatever_its_size() {
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
        // That all but the last are full is checked where they are read.
        let got = download.finish().await.unwrap();
        assert_eq!((got.frames, got.bytes), (size.div_ceil(1024) as u64, size as u64));
        assert_eq!(got.hash, blake3::hash(&content).to_hex().as_str());
        got.acknowledge().await;
        server.log().wait_for(&format!("delivered {name} ({size} bytes) to Client 1: Ron")).await;
    }
}

#[tokio::test]
async fn a_file_of_300_mib_arrives_as_it_is() {
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
    let got = client.get("big").await.unwrap().finish().await.unwrap();
    assert_eq!((got.frames, got.bytes), (SIZE / 1024, SIZE));
    assert_eq!(got.hash, hasher.finalize().to_hex().as_str());
    got.acknowledge().await;
}

#[tokio::test]
async fn any_name_that_is_no_danger_can_be_had() {
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
        let got = client.get(name).await.unwrap().finish().await.unwrap();
        assert_eq!(got.hash, blake3::hash(name.as_bytes()).to_hex().as_str(), "{name}");
        got.acknowledge().await;
    }
    let list = client.list("").await;
    let mut listed: Vec<_> = list.replies.iter().map(|e| e["path"].as_str().unwrap()).collect();
    let mut expected = names.to_vec();
    *expected.last_mut().unwrap() = "very";
    expected.sort_unstable_by_key(|name| name.as_bytes());
    assert_eq!(listed, expected, "in the order of their bytes");
    listed.dedup();
    assert_eq!(list.eof(), &json!({"entries": listed.len(), "not_served": 0}));
}

#[tokio::test]
async fn fields_nobody_knows_are_ignored() {
    let server = Server::start().await;
    let client = Client::guest(&server).await;
    let hello = json!({"mood": [1, {"a": null}], "command": "hello", "version": 1, "name": "Ron"});
    assert_eq!(client.request(hello).await.reply()["reply"], "welcome");
    let message = json!({"command": "message", "text": "Hello", "path": "/etc/passwd", "x": {}});
    assert_eq!(client.request(message).await.reply()["text"], "Hello ACK");
}
