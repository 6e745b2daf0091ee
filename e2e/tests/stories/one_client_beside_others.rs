//! What one client may have the server do, over all of its connections, and what ends it: proofs, lists, and
//! answers that it does not read.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;
use std::time::Duration;

use quiver_e2e::wire::{Dialer, RawFrame, RawStream, kind};
use quiver_e2e::{
    Client, Faults, Key, MetricsResponse, Server, TIMEOUT, faults_available, wait_until,
    wait_within,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Bytes whose hashing takes minutes on any machine.
const HUGE: u64 = 1 << 41;

/// Processor time in which many steps of a proof are done, and a short proof beside it many times over.
const MANY_STEPS: Duration = Duration::from_millis(50);

/// How often a list is asked for and given up on each of eight streams of eight connections.
const ROUNDS: u32 = 10;

/// How long the server lets an answer wait (docs/protocol.md, 3), and half as much again.
const UNREAD: Duration = Duration::from_secs(90);

/// A server with a file that takes minutes to hash and one that takes none, and with metrics.
async fn server() -> Server {
    let server = Server::options().argument("--metrics=0").max_clients(8).start().await;
    File::create(server.files().join("huge")).unwrap().set_len(HUGE).unwrap();
    server.add_file("small", vec![7; 100_000]);
    server
}

/// Asks for a file of which `size` bytes are had, as the client says.
async fn ask_for_a_proof(client: &Client, path: &str, size: u64) -> RawStream {
    let have = json!({"size": size, "blake3": "0".repeat(64)});
    let mut stream = client.open().await.unwrap();
    let request = json!({"command": "get", "path": path, "have": have});
    stream.write_frame(&RawFrame::request(&request)).await.unwrap();
    stream
}

/// The head of a file that was asked for.
async fn head(stream: &mut RawStream) -> Value {
    let frame =
        wait_within(TIMEOUT, "the head of a file", stream.read_frame()).await.unwrap().unwrap();
    assert_eq!(frame.kind, kind::REPLY);
    frame.value()
}

/// Waits until a number of the metrics is what it should be.
async fn until_counted(server: &Server, name: &str, number: u64) {
    let address = server.metrics_address().await;
    let counted =
        async { while MetricsResponse::read(address).await.number(name) != number as f64 {} };
    wait_within(TIMEOUT, &format!("{name} to be {number}"), counted).await;
}

#[tokio::test]
async fn a_client_has_one_proof_at_a_time_over_all_of_its_connections() {
    let server = server().await;
    let key = Key::new();
    let first = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let second = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let other = Client::member(&server, "Ben").await;
    let long = ask_for_a_proof(&first, "huge", HUGE).await;
    until_counted(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    let mut waits = ask_for_a_proof(&second, "small", 70_000).await;
    until_counted(&server, r#"quiver_transfers_running{direction="get"}"#, 2).await;
    // Another client's does not wait for it.
    let mut quick = ask_for_a_proof(&other, "small", 70_000).await;
    assert_eq!(head(&mut quick).await["offset"], 0);
    let before = server.processor_time();
    wait_until("the long proof to go on", || server.processor_time() - before >= MANY_STEPS).await;
    // Nor do other commands of this one.
    second.assert_alive().await;
    let at_once = timeout(Duration::ZERO, waits.recv.read_chunk(1, true)).await;
    assert!(at_once.is_err(), "two proofs at once");
    long.abandon();
    assert_eq!(head(&mut waits).await["offset"], 0);
}

#[tokio::test]
async fn a_proof_ends_when_its_stream_is_stopped_or_reset() {
    let server = server().await;
    let client = Client::member(&server, "Ron").await;
    let broken_off = r#"quiver_commands_total{command="get",outcome="broken_off"}"#;
    let mut stopped = ask_for_a_proof(&client, "huge", HUGE).await;
    until_counted(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    stopped.recv.stop(0_u32.into()).unwrap();
    until_counted(&server, broken_off, 1).await;
    let mut reset = ask_for_a_proof(&client, "huge", HUGE).await;
    until_counted(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    reset.send.reset(0_u32.into()).unwrap();
    until_counted(&server, broken_off, 2).await;
    client.assert_alive().await;
}

#[tokio::test]
async fn lists_that_were_given_up_hold_up_nobody() {
    let server = server().await;
    for number in 0..20_000 {
        File::create(server.files().join(format!("a-file-with-a-name-{number}"))).unwrap();
    }
    let (key, mut clients) = (Key::new(), Vec::new());
    for _ in 0..8 {
        clients.push(Dialer::new(&server).key(&key).sign_in("Ron").await);
    }
    let other = Client::member(&server, "Ben").await;
    let before = server.processor_time();
    assert_eq!(other.list("").await.eof()["entries"], 20_002);
    let one_list = server.processor_time() - before;
    let before = server.processor_time();
    for _ in 0..ROUNDS {
        let mut streams = Vec::new();
        for client in &clients {
            for _ in 0..8 {
                let mut stream = client.open().await.unwrap();
                let list = RawFrame::request(&json!({"command": "list", "path": ""}));
                stream.write_frame(&list).await.unwrap();
                stream.finish();
                streams.push(stream);
            }
        }
        // All have come.
        for client in &clients {
            client.assert_alive().await;
        }
        for mut stream in streams {
            stream.recv.stop(0_u32.into()).unwrap();
        }
    }
    let ended = r#"quiver_commands_total{command="list",outcome="broken_off"}"#;
    let page = server.metrics_address().await;
    let all = async {
        loop {
            let page = MetricsResponse::read(page).await;
            if page.number(ended) == f64::from(ROUNDS * 64) {
                break;
            }
        }
    };
    wait_within(TIMEOUT, "the end of all lists", all).await;
    // They cost what their requests cost, and not what so many lists would.
    let given_up = server.processor_time() - before;
    assert!(given_up < one_list * ROUNDS * 64 / 4, "{given_up:?}, and {one_list:?} for a list");
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_given_up() {
    let server = server().await;
    for number in 0..200 {
        File::create(server.files().join(format!("a-file-with-a-name-{number}"))).unwrap();
    }
    let dial = Dialer::new(&server).transport(|settings| {
        settings.stream_receive_window(1024_u32.into());
    });
    let client = dial.sign_in("Ron").await;
    let (mut answers, mut requests) = (JoinSet::new(), Vec::new());
    let list = json!({"command": "list", "path": ""});
    let message = json!({"command": "message", "text": "x".repeat(10_000)});
    for request in [&list, &list, &message] {
        let RawStream { mut send, mut recv, .. } = client.open().await.unwrap();
        send.write_all(&RawFrame::request(request).encode()).await.unwrap();
        requests.push(send);
        answers.spawn(async move { recv.received_reset().await.unwrap() });
    }
    while let Some(answer) = wait_within(UNREAD, "the end of an answer", answers.join_next()).await
    {
        assert!(answer.unwrap().is_some(), "it was finished");
    }
    client.assert_alive().await;
}

#[tokio::test]
async fn changes_that_wait_for_a_slow_disk_leave_threads_to_others() {
    if !faults_available() {
        return;
    }
    let slow = Faults::inject(&["mkdirat:delay_enter=10s"]);
    let options = Server::options().argument("--allow-upload").argument("--keep-free=0");
    let server = options.max_clients(8).faults(slow).start().await;
    server.add_file("large", vec![7; 1 << 20]);
    let (mut clients, mut answers) = (Vec::new(), JoinSet::new());
    // More than the server has threads for such work, in all.
    for name in ["Ron", "Ben"] {
        let key = Key::new();
        for connection in 0..8 {
            let client = Dialer::new(&server).key(&key).sign_in(name).await;
            for folder in 0..60 {
                let path = format!("{name}-{connection}-{folder}");
                let request = RawFrame::request(&json!({"command": "make_folder", "path": path}));
                let mut stream = client.open().await.unwrap();
                stream.write_frame(&request).await.unwrap();
                answers.spawn(async move { stream.read_response().await.unwrap() });
            }
            client.assert_alive().await;
            clients.push(client);
        }
    }
    let other = Client::member(&server, "Pete").await;
    assert_eq!(other.get_code("large").await, "");
    while answers.try_join_next().is_some() {}
    assert!(answers.len() > 800, "{} folders wait", answers.len());
}
