//! What hostile processes of the same user send to a socket, and fail to read: they are cut off, and the transfer goes on.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT, TransferWatch, wait_until, wait_within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

struct Target {
    _server: Server,
    home: Home,
    get: Process,
    socket: PathBuf,
}

impl Target {
    async fn start() -> Self {
        let server = Server::start().await;
        server.add_file("big", Random::new(3).bytes(48 * 1024 * 1024));
        let home = Home::new();
        let get = home.quiver_as(&server, "Ann", ["get", "big", "--limit", "400K"]).start();
        let socket = home.root().join(format!("state/quiver/run/{}.sock", get.id()));
        wait_until("a socket", || socket.exists()).await;
        Self { _server: server, home, get, socket }
    }

    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.socket).await.unwrap())
    }

    /// Checks that another process can still list and cancel the transfer.
    async fn assert_serves(mut self) {
        let mut stream = self.connect().await;
        let listed = request(&mut stream, &json!({"id": 1, "do": "transfers"})).await;
        assert_eq!(listed["ok"]["transfers"][0]["state"], "running", "{listed}");
        self.home.quiver(["cancel", "1"]).run().await.expect(0);
        assert_eq!(self.get.wait_for_exit(TIMEOUT).await.code(), Some(130));
    }
}

async fn send(stream: &mut BufReader<UnixStream>, message: &Value) {
    stream.write_all(format!("{message}\n").as_bytes()).await.unwrap();
}

async fn receive(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    wait_within(TIMEOUT, "a line", stream.read_line(&mut line)).await.unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

async fn request(stream: &mut BufReader<UnixStream>, message: &Value) -> Value {
    send(stream, message).await;
    receive(stream).await
}

/// Waits until the other end has closed the connection, and returns what it has sent before.
async fn read_to_end(stream: &mut BufReader<UnixStream>) -> Vec<u8> {
    let mut rest = Vec::new();
    // It may also reset the connection.
    let _ = wait_within(TIMEOUT, "the end of the connection", stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn lines_that_are_no_requests_end_the_connection() {
    let target = Target::start().await;
    let long = format!("{{\"id\": 1, \"do\": \"{}\"}}\n", "x".repeat(64 * 1024));
    let deep = format!("{}\n", "[".repeat(60_000));
    for text in [
        "\n",
        "hello\n",
        "[]\n",
        "{}\n",
        "{\"id\": -1}\n",
        "{\"do\":\"transfers\"}\n",
        "\0\n",
        "\u{7f}\n",
        &long,
        &deep,
    ] {
        let mut stream = target.connect().await;
        // It may be cut off before all is written.
        let _ = stream.write_all(text.as_bytes()).await;
        assert_eq!(read_to_end(&mut stream).await, b"", "{:?}", &text[..text.len().min(30)]);
    }
    // Without a line break, and without end.
    let mut stream = target.connect().await;
    let endless = async { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} };
    wait_within(TIMEOUT, "the end of an endless line", endless).await;
    target.assert_serves().await;
}

#[tokio::test]
async fn requests_that_do_not_exist_are_refused_and_the_connection_stays() {
    let target = Target::start().await;
    let mut stream = target.connect().await;
    for request_text in [
        json!({"id": 7, "do": "say", "to": "server", "text": "hi"}),
        json!({"id": 7, "do": "pause"}),
        json!({"id": 7, "do": "pause", "transfer": 1}),
        json!({"id": 7, "do": "settings", "change": {}}),
    ] {
        let reply = request(&mut stream, &request_text).await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(7), &json!("invalid_request")));
    }
    for name in ["", "1:1", "journal:0000000000000001", "x", &format!("{}:99", target.get.id())] {
        let reply = request(&mut stream, &json!({"id": 8, "do": "cancel", "transfer": name})).await;
        assert_eq!(
            (&reply["id"], &reply["error"]["code"]),
            (&json!(8), &json!("not_found")),
            "{name}"
        );
    }
    let name = format!("{}:1", target.get.id());
    let files = json!({"id": 9, "do": "transfer_files", "transfer": name, "after": 0, "limit": 5});
    let files = request(&mut stream, &files).await;
    assert_eq!(files["ok"]["files"][0]["source"], "big");
    target.assert_serves().await;
}

#[tokio::test]
async fn a_half_sent_line_times_out() {
    let target = Target::start().await;
    let mut stream = target.connect().await;
    let started = Instant::now();
    stream.write_all(b"{\"id\": 1, ").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, b"");
    let took = started.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(15), "{took:?}");
    target.assert_serves().await;
}

#[tokio::test]
async fn connections_are_bounded_and_free_again() {
    let target = Target::start().await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = target.connect().await;
        request(&mut stream, &json!({"id": 1, "do": "watch"})).await;
        streams.push(stream);
    }
    let mut refused = target.connect().await;
    assert_eq!(read_to_end(&mut refused).await, b"");
    streams.clear();
    let mut stream = target.connect().await;
    loop {
        send(&mut stream, &json!({"id": 1, "do": "transfers"})).await;
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            break;
        }
        // The others are just noticed to be gone.
        stream = target.connect().await;
    }
    target.assert_serves().await;
}

#[tokio::test]
async fn one_that_watches_and_does_not_read_is_cut_off_and_holds_nothing_up() {
    let target = Target::start().await;
    let mut slow = target.connect().await;
    send(&mut slow, &json!({"id": 1, "do": "watch"})).await;
    // Replies fill the socket.
    let filling = async {
        for id in 0.. {
            let request = json!({"id": id, "do": "transfers"});
            if slow.write_all(format!("{request}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    };
    let watch = async {
        let mut watch = TransferWatch::start(target.home.quiver([""; 0]));
        let first =
            watch.wait_for("the transfer", |view| view["received"].as_u64() > Some(0)).await;
        let received = first["received"].as_u64();
        watch.wait_for("more", |view| view["received"].as_u64() > received).await;
    };
    let ((), ()) = tokio::join!(wait_within(TIMEOUT, "the cut", filling), watch);
    target.assert_serves().await;
}

#[tokio::test]
async fn events_are_numbered_and_come_at_most_four_times_a_second() {
    let target = Target::start().await;
    let mut stream = target.connect().await;
    let watched = request(&mut stream, &json!({"id": 1, "do": "watch"})).await;
    let name = watched["ok"]["transfers"][0]["transfer"].clone();
    assert_eq!(name, format!("{}:1", target.get.id()));
    assert_eq!(watched["ok"]["transfers"][0]["number"], 1);
    let started = Instant::now();
    for number in 1..=8 {
        let event = receive(&mut stream).await;
        assert_eq!((&event["event"], &event["kind"]), (&json!(number), &json!("transfers")));
        assert_eq!(event["transfers"][0]["transfer"], name);
    }
    assert!(started.elapsed() > Duration::from_millis(8 * 240), "{:?}", started.elapsed());
    // A pause is an event, and then there is silence.
    send(&mut stream, &json!({"id": 2, "do": "pause", "transfer": name})).await;
    let mut is_paused = false;
    while !is_paused {
        let message = receive(&mut stream).await;
        is_paused = message["transfers"][0]["state"] == "paused";
    }
    let silence = async {
        loop {
            let event = receive(&mut stream).await;
            assert_eq!(event["transfers"][0]["state"], "paused", "{event}");
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(1), silence).await.is_err());
}
