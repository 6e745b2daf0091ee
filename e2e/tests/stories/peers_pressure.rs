//! Clients that use up what another one has: streams, offers, memory. It stays usable, and everything is released.

use std::fs;

use quiver_e2e::deadline::wait_until;
use quiver_e2e::process::Signal;
use quiver_e2e::wire::{RawFrame, kind};
use quiver_e2e::{Home, PeerProgram, RawPeer, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

/// More than a process's own counting fluctuates by, in KiB.
const MEMORY_MARGIN: u64 = 8 * 1024;

fn offer(number: usize) -> Value {
    json!({
        "command": "offer", "offer": format!("{number:032x}"), "count": 1, "files": 1, "bytes": 5,
        "entries": [{"name": "a.txt", "kind": "file", "size": 5}],
    })
}

fn tell(number: usize) -> Value {
    json!({"command": "tell", "id": format!("{number:032x}"), "text": "Hello"})
}

#[tokio::test]
async fn two_hundred_offers_that_are_cancelled_leave_nothing() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let warm = mallory.connect("Ron").await;
    warm.request(tell(0)).await.eof();
    let baseline = (ron.process.descriptors(), server.descriptors());
    let memory = (ron.process.memory().resident, server.memory().resident);
    for number in 0..200 {
        let mut stream = warm.start_request(offer(number)).await;
        assert_eq!(stream.next_reply().await["reply"], "pending", "{number}");
        // Some are withdrawn before the stream ends, others after it.
        let withdraw = json!({"command": "withdraw", "offer": format!("{number:032x}")});
        if number % 2 == 0 {
            stream.abandon();
            warm.request(withdraw).await.eof();
        } else {
            warm.request(withdraw).await.eof();
            let ended = wait_within(TIMEOUT, "its end", stream.read_response()).await.unwrap();
            assert_eq!(ended.code(), "declined");
        }
        assert_eq!(ron.next_event("offer_settled").await["state"], "withdrawn");
    }
    warm.request(tell(1)).await.eof();
    wait_until("the descriptors of before", || {
        (ron.process.descriptors(), server.descriptors()) == baseline
    })
    .await;
    let after = (ron.process.memory().resident, server.memory().resident);
    assert!(after.0 < memory.0 + MEMORY_MARGIN, "{memory:?} {after:?}");
    assert!(after.1 < memory.1 + MEMORY_MARGIN, "{memory:?} {after:?}");
    let offers = home.quiver(["offers"]).run().await;
    assert_eq!(offers.expect(0).stdout, "");
    assert_eq!(home.names(), [""; 0]);
    drop(warm);
    mallory.client.close().await;
    server.log().wait_for("Client 2: Mallory has disconnected").await;
}

#[tokio::test]
async fn sixty_four_silent_streams_of_one_client_do_not_keep_another_one_out() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ron = PeerProgram::receive(&server, &home, "Ron", &[]).await;
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let connection = mallory.connect("Ron").await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut stream = connection.open_stream().await;
        // The first byte of a frame, which makes the stream exist at the other side.
        stream.write(&[1]).await.unwrap();
        silent.push(stream);
    }
    let more = tokio::time::timeout(std::time::Duration::ZERO, connection.connection.open_bi());
    assert!(more.await.is_err(), "another stream was permitted");
    let ben = RawPeer::sign_in(&server, "Ben").await;
    let other = ben.connect("Ron").await;
    other.request(tell(1)).await.eof();
    assert_eq!(ron.next_event("message").await["from"], "Ben");
    // Each stream is given up after 10 seconds at the latest, or with its connection.
    drop(silent);
    connection.request(tell(2)).await.eof();
    assert_eq!(ron.next_event("message").await["from"], "Mallory");
}

#[tokio::test]
async fn a_client_that_stops_reading_files_costs_its_sender_little_memory() {
    let server = Server::start().await;
    let home = Home::new();
    fs::write(home.file("big"), vec![7; 64 * 1024 * 1024]).unwrap();
    let mallory = RawPeer::sign_in(&server, "Mallory").await;
    let mut listening = mallory.client.listen().await;
    let command = home.quiver_as(&server, "Ben", ["send", "Mallory", "big", "--json"]);
    let mut ben = PeerProgram::start(&command);
    let connection = mallory.accept(&mut listening).await;
    let (offered, mut answer) = connection.next_request().await;
    assert_eq!(offered["command"], "offer");
    let reply = RawFrame::json(kind::REPLY, &json!({"reply": "accepted"}));
    answer.write_frame(&reply).await.unwrap();
    ben.next_event("accepted").await;
    let before = ben.process.memory().resident;
    let path = format!("{}/big", offered["offer"].as_str().unwrap());
    let mut unread = Vec::new();
    for _ in 0..60 {
        let request = json!({"command": "get", "path": path});
        unread.push(connection.start_request(request).await);
    }
    // The connection's window is full before the last replies are sent.
    assert_eq!(unread[0].next_reply().await["size"], 64 * 1024 * 1024);
    // Messages still pass in both directions.
    let told = RawPeer::sign_in(&server, "Pete").await;
    let other = told.connect("Ben").await;
    other.request(tell(1)).await.eof();
    ben.next_event("message").await;
    let after = ben.process.memory().resident;
    assert!(after < before + 48 * 1024, "{before} KiB before, {after} KiB now");
    drop(unread);
    drop(connection);
    // The offer stays open: `send` waits for the recipient.
    ben.process.signal(Signal::INT);
    ben.expect_exit(130).await;
}
