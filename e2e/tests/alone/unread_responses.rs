//! Responses that a client does not read: the server's memory for them is bounded, whatever their size.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failure here fails a test")]

use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::wire::{Dialer, RawFrame, RawStream};
use quiver_e2e::{Client, Key, Server, wait_until};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// KiB in a MiB.
const MIB: u64 = 1024;

/// Connections that one client may have, and streams that each may open.
const CONNECTIONS: u64 = 8;
const STREAMS: usize = 60;

/// The memory budget of docs/operations.md in KiB, for the server and eight busy members.
const BUDGET: u64 = 64 * MIB + CONNECTIONS * 25 * MIB / 4;

/// A server that uses no processor for so long has nothing to do.
const IDLE: Duration = Duration::from_millis(500);

/// Number of files in the listed folder: `QUIVER_ENTRIES`, or enough to exceed the budget without a bound.
fn entries() -> u64 {
    let entries = std::env::var("QUIVER_ENTRIES").ok();
    entries.map_or(20_000, |entries| entries.parse().expect("a number of files"))
}

/// The connections of one client that sends a request on every stream, and reads nothing.
async fn request_and_read_nothing(
    server: &Server,
    request: &Value,
) -> Vec<(Client, Vec<RawStream>)> {
    let (key, mut clients) = (Key::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        // The server can send no more than the first frames of a response.
        let dial = Dialer::new(server).key(&key).transport(|settings| {
            settings.stream_receive_window(1024_u32.into());
        });
        let client = dial.sign_in("Reader").await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            let mut stream = client.open().await.unwrap();
            stream.write_frame(&RawFrame::request(request)).await.unwrap();
            stream.finish();
            streams.push(stream);
        }
        clients.push((client, streams));
    }
    // The server has received and processed all requests.
    for (client, _) in &clients {
        client.assert_alive().await;
    }
    clients
}

/// Waits until the server has nothing more to do: it then holds all that it holds for unread responses.
async fn wait_until_idle(server: &Server) {
    let (mut spent, mut since) = (server.processor_time(), Instant::now());
    wait_until("the server to be idle", || {
        let now = server.processor_time();
        if now != spent {
            (spent, since) = (now, Instant::now());
        }
        since.elapsed() > IDLE
    })
    .await;
}

#[tokio::test]
async fn unread_lists_stay_within_the_memory_budget() {
    let server = Server::start().await;
    for number in 0..entries() {
        File::create(server.files().join(format!("a-file-with-a-name-{number}"))).unwrap();
    }
    let before = server.memory();
    let readers = request_and_read_nothing(&server, &json!({"command": "list", "path": ""})).await;
    let other = Client::member(&server, "Ron").await;
    let list = other.list("").await;
    assert_eq!(list.eof(), &json!({"entries": entries(), "not_served": 0}));
    assert!(list.replies.is_sorted_by_key(|entry| entry["path"].as_str().unwrap().to_owned()));
    // Lists are made in the background.
    wait_until_idle(&server).await;
    let memory = server.memory();
    eprintln!("{before:?} before {} unread lists, {memory:?} after", CONNECTIONS * STREAMS as u64);
    assert!(memory.peak < BUDGET, "{memory:?}");
    drop(readers);
}

#[tokio::test]
async fn unread_status_rows_stay_within_the_memory_budget() {
    const CLIENTS: usize = 3000;
    let server = Server::options().max_clients(20).start().await;
    let mut guests = JoinSet::new();
    for number in 0..CLIENTS {
        let dial = Dialer::new(&server).without_certificate();
        guests.spawn(async move { dial.sign_in(&format!("client-{number}")).await.close().await });
        if guests.len() == 15 {
            guests.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(left) = guests.join_next().await {
        left.unwrap();
    }
    let readers = request_and_read_nothing(&server, &json!({"command": "status"})).await;
    let rows = Client::member(&server, "Ron").await.status().await;
    assert_eq!(rows.len(), CLIENTS + 2);
    assert!(rows.is_sorted_by_key(|row| row["number"].as_u64().unwrap()));
    let memory = server.memory();
    assert!(memory.peak < BUDGET, "{memory:?}");
    drop(readers);
}
