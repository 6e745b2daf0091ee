//! Offers of standard input: served once it was read to its end, however long that takes, and never before.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::io::{PipeWriter, Write as _};
use std::time::Duration;

use quiver_e2e::process::Signal;
use quiver_e2e::wire::{RawFrame, kind};
use quiver_e2e::{Home, PeerProgram, RawPeer, Server, TIMEOUT, wait_within};
use serde_json::json;

/// Longer than a block, so that something of it is in the spool file.
const PART: usize = 1024 * 1024;

/// Starts `send Ron - --as big.tar` as Ben, with the first part of its input.
fn send(server: &Server, home: &Home) -> (PeerProgram, PipeWriter) {
    let arguments = ["send", "Ron", "-", "--as", "big.tar", "--json"];
    let (program, mut pipe) =
        PeerProgram::start_with_pipe(&home.quiver_as(server, "Ben", arguments));
    pipe.write_all(&[b'x'; PART]).unwrap();
    (program, pipe)
}

#[tokio::test]
async fn a_pipe_whose_reader_was_killed_is_never_delivered() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let (mut ben, pipe) = send(&server, &ben_home);
    receive.next_event("offer").await;
    ben.next_event("pending").await;
    ben.process.signal(Signal::KILL);
    ben.process.wait_for_exit(TIMEOUT).await;
    drop(pipe);
    let mut ben = PeerProgram::receive(&server, &ben_home, "Ben", &[]).await;
    let accepted = ron_home.quiver_as(&server, "Ron", ["accept", "1"]).run().await;
    assert_ne!(accepted.code(), 0, "{accepted:?}");
    assert_eq!(ron_home.names(), [""; 0]);
    let ended = ben.next_event("ended").await;
    assert_eq!(ended["state"], "failed", "{ended}");
    let offers = ben_home.quiver(["offers", "--all"]).run().await;
    let failed = "failed: cannot offer big.tar: standard input was not read to its end";
    assert!(offers.expect(0).stdout.contains(failed), "{}", offers.stdout);
}

#[tokio::test]
async fn an_offer_whose_pipe_is_not_read_to_its_end_is_withdrawn_by_an_interrupt() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let (mut ben, pipe) = send(&server, &ben_home);
    receive.next_event("offer").await;
    ben.next_event("pending").await;
    ben.process.signal(Signal::INT);
    ben.expect_exit(130).await;
    ben.next_event("withdrawn").await;
    drop(pipe);
    assert_eq!(receive.next_event("offer_settled").await["state"], "withdrawn");
    let offers = ben_home.quiver(["offers"]).run().await;
    assert_eq!(offers.expect(0).stdout, "");
}

#[tokio::test]
async fn another_process_serves_a_pipe_once_it_was_read_to_its_end() {
    let server = Server::start().await;
    let home = Home::new();
    let ron = RawPeer::sign_in(&server, "Ron").await;
    let mut listening = ron.client.listen().await;
    // A connection with a process that reads no pipe.
    let _receive = PeerProgram::receive(&server, &home, "Ben", &[]).await;
    let other = ron.connect("Ben").await;
    let (mut ben, mut pipe) = send(&server, &home);
    let connection = ron.accept(&mut listening).await;
    let (request, mut offer) = connection.next_request().await;
    assert_eq!((&request["command"], &request["bytes"]), (&json!("offer"), &json!(null)));
    offer.write_frame(&RawFrame::json(kind::REPLY, &json!({"reply": "accepted"}))).await.unwrap();
    let id = request["offer"].as_str().unwrap();
    let mut list = other.start_request(json!({"command": "list", "path": id})).await;
    // The list was requested before.
    let told = json!({"command": "tell", "id": "01".repeat(16), "text": "Hello"});
    other.request(told).await.eof();
    pipe.write_all(&[b'x'; PART]).unwrap();
    drop(pipe);
    let response = wait_within(TIMEOUT, "the list", list.read_response()).await.unwrap();
    assert_eq!(response.reply()["size"], json!(2 * PART), "{:?}", response.reply());
    let eof = json!({"files": 1, "bytes": 2 * PART});
    offer.write_frame(&RawFrame::json(kind::EOF, &eof)).await.unwrap();
    offer.finish();
    ben.expect_exit(0).await;
}

#[tokio::test]
async fn a_pipe_that_is_slower_than_the_timeout_is_sent() {
    let server = Server::start().await;
    let [ben_home, ron_home] = [(); 2].map(|()| Home::new());
    let mut receive = PeerProgram::receive(&server, &ron_home, "Ron", &[]).await;
    let (mut ben, mut pipe) = send(&server, &ben_home);
    receive.next_event("offer").await;
    receive.interrupt().await;
    let accept = ron_home.quiver_as(&server, "Ron", ["accept", "1", "--json", "--timeout", "5"]);
    let mut accept = PeerProgram::start(&accept);
    ben.next_event("accepted").await;
    // Longer than --timeout: the test is about this silence, so there is no event to wait for.
    tokio::time::sleep(Duration::from_secs(7)).await;
    pipe.write_all(b"the end").unwrap();
    drop(pipe);
    accept.expect_exit(0).await;
    ben.expect_exit(0).await;
    let content = fs::read(ron_home.file("big.tar")).unwrap();
    assert_eq!((content.len(), content.ends_with(b"the end")), (PART + 7, true));
}

#[tokio::test]
async fn requests_for_a_pipe_that_is_still_read_end_with_their_streams() {
    let server = Server::start().await;
    let home = Home::new();
    let ron = RawPeer::sign_in(&server, "Ron").await;
    let mut listening = ron.client.listen().await;
    let (mut ben, pipe) = send(&server, &home);
    let connection = ron.accept(&mut listening).await;
    let (request, mut offer) = connection.next_request().await;
    let id = request["offer"].as_str().unwrap();
    // More than may be open at once.
    for _ in 0..70 {
        for (command, path) in [("list", id.to_owned()), ("get", format!("{id}/big.tar"))] {
            let request = json!({"command": command, "path": path});
            // Stops the response; a reset might cancel the request before it is received.
            drop(connection.start_request(request).await);
        }
    }
    drop(pipe);
    let list = connection.request(json!({"command": "list", "path": id})).await;
    assert_eq!(list.reply()["size"], json!(PART), "{:?}", list.reply());
    offer
        .write_frame(&RawFrame::json(kind::EOF, &json!({"files": 1, "bytes": PART})))
        .await
        .unwrap();
    offer.finish();
    ben.expect_exit(0).await;
}
