//! Limits of one client over all of its connections, on proofs and lists; and what ends proofs,
//! lists, and responses that it does not read.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

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

/// Processor time in which the server does many steps of a proof, and a short proof many times over.
const MANY_STEPS: Duration = Duration::from_millis(50);

/// How often a list is requested and abandoned on each of eight streams of eight connections.
const ROUNDS: u32 = 10;

/// One and a half times the server's timeout for an unread response (docs/protocol.md, 3).
const UNREAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Starts a server with metrics, a file that takes minutes to hash, and a small one.
async fn start_server() -> Server {
    let server = Server::options().argument("--metrics=0").max_clients(8).start().await;
    File::create(server.files().join("huge")).unwrap().set_len(HUGE).unwrap();
    server.add_file("small", vec![7; 100_000]);
    server
}

/// Requests a file, and offers a prefix of `size` bytes with a wrong hash, which the server has to
/// check.
async fn request_proof(client: &Client, path: &str, size: u64) -> RawStream {
    let have = json!({"size": size, "blake3": "0".repeat(64)});
    let mut stream = client.open().await.unwrap();
    let request = json!({"command": "get", "path": path, "have": have});
    stream.write_frame(&RawFrame::request(&request)).await.unwrap();
    stream
}

/// Reads the head of a requested file.
async fn read_head(stream: &mut RawStream) -> Value {
    let frame =
        wait_within(TIMEOUT, "the head of a file", stream.read_frame()).await.unwrap().unwrap();
    assert_eq!(frame.kind, kind::REPLY);
    frame.value()
}

/// Waits until a metric has this value.
async fn wait_for_metric(server: &Server, name: &str, number: u64) {
    let address = server.metrics_address().await;
    let counted =
        async { while MetricsResponse::read(address).await.number(name) != number as f64 {} };
    wait_within(TIMEOUT, &format!("{name} to be {number}"), counted).await;
}

#[tokio::test]
async fn the_server_checks_one_offer_of_a_client_at_a_time_over_all_its_connections() {
    let server = start_server().await;
    let key = Key::new();
    let first = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let second = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let other = Client::member(&server, "Ben").await;
    let long = request_proof(&first, "huge", HUGE).await;
    wait_for_metric(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    let mut waiting = request_proof(&second, "small", 70_000).await;
    wait_for_metric(&server, r#"quiver_transfers_running{direction="get"}"#, 2).await;
    // Another client's proof does not wait for it.
    let mut quick = request_proof(&other, "small", 70_000).await;
    assert_eq!(read_head(&mut quick).await["offset"], 0);
    let before = server.processor_time();
    wait_until("the long proof to continue", || server.processor_time() - before >= MANY_STEPS)
        .await;
    // Other commands of this client do not wait either.
    second.assert_alive().await;
    let second_proof = timeout(Duration::ZERO, waiting.recv.read_chunk(1, true)).await;
    assert!(second_proof.is_err(), "the server checked two offers at once");
    long.abandon();
    assert_eq!(read_head(&mut waiting).await["offset"], 0);
}

#[tokio::test]
async fn the_server_ends_a_proof_whose_stream_is_stopped_or_reset() {
    let server = start_server().await;
    let client = Client::member(&server, "Ron").await;
    let interrupted = r#"quiver_commands_total{command="get",outcome="broken_off"}"#;
    let mut stopped = request_proof(&client, "huge", HUGE).await;
    wait_for_metric(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    stopped.recv.stop(0_u32.into()).unwrap();
    wait_for_metric(&server, interrupted, 1).await;
    let mut reset = request_proof(&client, "huge", HUGE).await;
    wait_for_metric(&server, r#"quiver_transfers_running{direction="get"}"#, 1).await;
    reset.send.reset(0_u32.into()).unwrap();
    wait_for_metric(&server, interrupted, 2).await;
    client.assert_alive().await;
}

#[tokio::test]
async fn abandoned_lists_cost_no_more_than_their_requests() {
    let server = start_server().await;
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
        // The server has received all requests.
        for client in &clients {
            client.assert_alive().await;
        }
        for mut stream in streams {
            stream.recv.stop(0_u32.into()).unwrap();
        }
    }
    let interrupted = r#"quiver_commands_total{command="list",outcome="broken_off"}"#;
    let page = server.metrics_address().await;
    let all = async {
        loop {
            let page = MetricsResponse::read(page).await;
            if page.number(interrupted) == f64::from(ROUNDS * 64) {
                break;
            }
        }
    };
    wait_within(TIMEOUT, "the end of all lists", all).await;
    // They cost the server far less than that many lists.
    let abandoned = server.processor_time() - before;
    assert!(abandoned < one_list * ROUNDS * 64 / 4, "{abandoned:?}, and {one_list:?} for a list");
}

#[tokio::test]
async fn the_server_resets_a_response_that_is_not_read() {
    let server = start_server().await;
    for number in 0..200 {
        File::create(server.files().join(format!("a-file-with-a-name-{number}"))).unwrap();
    }
    let dialer = Dialer::new(&server).transport(|settings| {
        settings.stream_receive_window(1024_u32.into());
    });
    let client = dialer.sign_in("Ron").await;
    let (mut responses, mut requests) = (JoinSet::new(), Vec::new());
    let list = json!({"command": "list", "path": ""});
    let message = json!({"command": "message", "text": "x".repeat(10_000)});
    for request in [&list, &list, &message] {
        let RawStream { mut send, mut recv, .. } = client.open().await.unwrap();
        send.write_all(&RawFrame::request(request).encode()).await.unwrap();
        requests.push(send);
        responses.spawn(async move { recv.received_reset().await.unwrap() });
    }
    while let Some(response) =
        wait_within(UNREAD_TIMEOUT, "the end of a response", responses.join_next()).await
    {
        assert!(response.unwrap().is_some(), "the server finished the response");
    }
    client.assert_alive().await;
}

#[tokio::test]
async fn a_client_downloads_while_changes_of_others_wait_for_a_slow_disk() {
    if !faults_available() {
        return;
    }
    let slow = Faults::inject(&["mkdirat:delay_enter=10s"]);
    let options = Server::options().argument("--allow-upload").argument("--keep-free=0");
    let server = options.max_clients(8).faults(slow).start().await;
    server.add_file("large", vec![7; 1 << 20]);
    let (mut clients, mut responses) = (Vec::new(), JoinSet::new());
    // More changes than the server has threads for them.
    for name in ["Ron", "Ben"] {
        let key = Key::new();
        for connection in 0..8 {
            let client = Dialer::new(&server).key(&key).sign_in(name).await;
            for folder in 0..60 {
                let path = format!("{name}-{connection}-{folder}");
                let request = RawFrame::request(&json!({"command": "make_folder", "path": path}));
                let mut stream = client.open().await.unwrap();
                stream.write_frame(&request).await.unwrap();
                responses.spawn(async move { stream.read_response().await.unwrap() });
            }
            client.assert_alive().await;
            clients.push(client);
        }
    }
    let other = Client::member(&server, "Pete").await;
    assert_eq!(other.get_code("large").await, "");
    while responses.try_join_next().is_some() {}
    assert!(responses.len() > 800, "{} folders wait", responses.len());
}
