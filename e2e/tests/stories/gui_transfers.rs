//! Transfers of the page while tabs come and go: seen from each, steered from each, and kept when the process ends.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, PageProgram, PageSocket, Server, TIMEOUT};
use serde_json::{Value, json};

/// The size of a file that takes several seconds at [`RATE`], in bytes.
const SIZE: usize = 24 * 1024 * 1024;
const RATE: u64 = 4_000_000;

/// A server with a large file, behind a slow relay.
async fn slow_server() -> (Server, UdpRelay, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(1).bytes(SIZE);
    server.add_file("large.bin", &content);
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(RATE);
    (server, relay, content)
}

/// Signs in over the relay, and starts to fetch the large file.
async fn start(socket: &mut PageSocket, server: &Server, relay: &UdpRelay, home: &Home) -> Value {
    let request = json!({
        "do": "connect",
        "server": relay.address().to_string(),
        "name": "Ann",
        "certificate": server.certificate(),
    });
    socket.request(request).await.unwrap();
    let get = json!({
        "do": "get", "paths": ["large.bin"], "folder": home.folder(), "on_conflict": "ask",
    });
    socket.request(get).await.unwrap()["transfer"].take()
}

/// Waits until `wanted` accepts the transfer.
async fn wait_for(
    socket: &mut PageSocket,
    transfer: &Value,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let find = |event: &Value| {
        let mut transfers = event["transfers"].as_array().unwrap().iter();
        transfers.find(|view| view["transfer"] == *transfer && wanted(view)).cloned()
    };
    let event = socket.wait_for_event("transfers", |event| find(event).is_some()).await;
    find(&event).unwrap()
}

fn has_state(state: &str) -> impl Fn(&Value) -> bool {
    move |view| view["state"] == state
}

/// Whether some of the content is there.
fn has_begun(view: &Value) -> bool {
    view["state"] == "running" && view["received"].as_u64() > Some(2_000_000)
}

#[tokio::test]
async fn a_transfer_survives_its_tab_and_is_steered_from_another() {
    let (server, relay, content) = slow_server().await;
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let secret = page.secret().await;
    let mut first = PageSocket::open(page.address(), &secret).await;
    let transfer = start(&mut first, &server, &relay, &home).await;
    wait_for(&mut first, &transfer, has_begun).await;
    drop(first);
    let mut second = PageSocket::open(page.address(), &secret).await;
    let snapshot = second.snapshot().await;
    let view = &snapshot["transfers"][0];
    assert_eq!((&view["transfer"], &view["state"]), (&transfer, &json!("running")));
    assert_eq!(view["can"], json!(["pause", "cancel", "show"]));
    second.request(json!({"do": "pause", "transfer": transfer})).await.unwrap();
    let paused = wait_for(&mut second, &transfer, has_state("paused")).await;
    assert_eq!(paused["can"], json!(["resume", "cancel", "show"]));
    relay.limit_rate(0);
    second.request(json!({"do": "resume", "transfer": transfer})).await.unwrap();
    let done = wait_for(&mut second, &transfer, has_state("done")).await;
    assert_eq!(done["verified"], SIZE);
    assert_ne!(done["ended"], Value::Null);
    assert_eq!(fs::read(home.file("large.bin")).unwrap(), content);
}

#[tokio::test]
async fn transfers_are_reported_at_most_four_times_a_second() {
    let (server, relay, _) = slow_server().await;
    // Each of these files has events of its own.
    for number in 0..300 {
        server.add_file(format!("small/{number}.txt"), "content");
    }
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let large = start(&mut socket, &server, &relay, &home).await;
    let get = json!({
        "do": "get", "paths": ["small"], "folder": home.folder(), "on_conflict": "ask",
    });
    let small = socket.request(get).await.unwrap()["transfer"].take();
    let (started, mut reports) = (Instant::now(), 0);
    let mut is_small_done = false;
    while started.elapsed() < Duration::from_secs(3) || !is_small_done {
        let event = socket.wait_for_event("transfers", |_| true).await;
        reports += 1;
        let transfers = event["transfers"].as_array().unwrap();
        is_small_done |=
            transfers.iter().any(|view| view["transfer"] == small && view["state"] == "done");
    }
    let most = started.elapsed().as_secs_f64() * 4.0 + 2.0;
    // More than one, because the large transfer runs all the time.
    assert!((4..=most as usize).contains(&reports), "{reports} of at most {most}");
    socket.request(json!({"do": "cancel", "transfer": large})).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_transfer_is_repeated_from_where_it_was() {
    let (server, relay, content) = slow_server().await;
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let transfer = start(&mut socket, &server, &relay, &home).await;
    let has_half = |view: &Value| view["received"].as_u64() > Some(SIZE as u64 / 2);
    wait_for(&mut socket, &transfer, has_half).await;
    socket.request(json!({"do": "cancel", "transfer": transfer})).await.unwrap();
    let cancelled = wait_for(&mut socket, &transfer, has_state("cancelled")).await;
    assert_eq!(cancelled["can"], json!(["retry", "remove", "show"]));
    let stored = home.partial_length();
    assert!(stored > SIZE as u64 / 4, "{stored}");
    let before = relay.traffic_to_clients().bytes;
    relay.limit_rate(0);
    let retry = json!({"do": "retry", "transfer": transfer});
    let again = socket.request(retry).await.unwrap()["transfer"].take();
    assert_ne!(again, transfer);
    let done = wait_for(&mut socket, &again, has_state("done")).await;
    assert_eq!(done["verified"], SIZE);
    let moved = relay.traffic_to_clients().bytes - before;
    assert!(moved < SIZE as u64 - stored / 2, "{moved} bytes after {stored}");
    assert_eq!(fs::read(home.file("large.bin")).unwrap(), content);
    let transfers = socket.request(json!({"do": "transfers"})).await.unwrap();
    assert_eq!(transfers["transfers"].as_array().unwrap().len(), 1, "{transfers}");
}

#[tokio::test]
async fn a_signal_keeps_what_a_transfer_has_and_resume_continues_it() {
    let (server, relay, content) = slow_server().await;
    let home = Home::new();
    let mut page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let mut socket = page.open().await;
    let transfer = start(&mut socket, &server, &relay, &home).await;
    wait_for(&mut socket, &transfer, has_begun).await;
    page.process.signal(Signal::INT);
    assert_eq!(page.process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let said = page.process.stderr.lines().join("\n");
    assert!(said.contains("quiver resume"), "{said}");
    assert!(home.partial_length() > 0);
    relay.limit_rate(0);
    home.quiver(["resume"]).run().await.expect(0);
    assert_eq!(fs::read(home.file("large.bin")).unwrap(), content);
}
