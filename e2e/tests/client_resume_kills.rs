//! kill -9 at random points, of either end: the whole file in the end, and hardly anything twice.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::time::Duration;

use quiver_e2e::path::Path;
use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PATIENCE, Server, until};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 24 * MIB;

/// What may come a second time: a block that was not written, and what the window let pass.
const TWICE: u64 = 256 * 1024 + MIB;

/// Hellos, acknowledgements, searches for the path's width, and a farewell to somebody who is gone.
const TALK: u64 = 256 * 1024;

/// Bytes of content as they are on a path: with the headers of chunks and packets.
fn on_the_path(content: u64) -> u64 {
    content + content / 25
}

/// A server with `big`, a slow path to it, and the content.
async fn stage(seed: u64) -> (Server, Path, Vec<u8>) {
    let server = Server::start().await;
    let content = Random::new(seed).bytes(SIZE as usize);
    server.offer("big", &content);
    let path = Path::to(server.address()).await;
    path.slow(12 * MIB);
    (server, path, content)
}

/// Five points on the way, one after the other.
async fn a_client_is_killed(seed: u64) {
    let (server, path, content) = stage(seed).await;
    let mut random = Random::new(seed);
    let home = Home::new();
    let get = || {
        let quiver = home.quiver(["--name", "Ron", "get", "big"]);
        quiver.server(path.address(), &server.certificate())
    };
    for kill in 1..=5 {
        let here = home.part_length();
        let until_then = here + 1 + random.number() % (3 * MIB);
        let mut process = get().start();
        until("the point", || home.part_length() >= until_then).await;
        process.signal(Signal::KILL);
        process.ended(PATIENCE).await;
        assert!(home.part_length() > here, "kill {kill}");
        assert_eq!(home.names().len(), 1, "{:?}", home.names());
    }
    path.slow(0);
    get().run().await.expect(0);
    assert!(fs::read(home.file("big")).unwrap() == content, "seed {seed}: another content");
    assert_eq!(home.names(), ["big"]);
    assert!(home.journal().is_empty());
    // What was on its way to somebody who was gone counts too.
    let (came, most) = (path.came_back(), on_the_path(SIZE) + 5 * (TWICE + TALK) + TALK);
    assert!(came <= most, "{came} bytes for {SIZE}, {most} at most");
}

/// Two points on the way; the client goes on by itself.
async fn a_server_is_killed(seed: u64) {
    let (mut server, path, content) = stage(seed).await;
    let mut random = Random::new(seed);
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron", "get", "big", "--json"]);
    let mut process = quiver.server(path.address(), &server.certificate()).start();
    for _ in 0..2 {
        let until_then = home.part_length() + 1 + random.number() % (6 * MIB);
        until("the point", || home.part_length() >= until_then).await;
        server.is_killed_and_starts_again().await;
        path.lead_to(server.address());
    }
    let status = process.ended(2 * PATIENCE).await;
    let said = process.stderr.so_far().join("\n");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(fs::read(home.file("big")).unwrap() == content, "seed {seed}: another content");
    assert_eq!(home.names(), ["big"]);
    assert!(said.contains(": trying again for 60 s"), "{said}");
    assert!(said.contains("big: goes on at "), "{said}");
    let line: serde_json::Value = serde_json::from_str(&process.stdout.so_far()[0]).unwrap();
    let received = line["received"].as_u64().unwrap();
    assert!(received <= SIZE + 2 * TWICE, "{received} bytes came");
}

#[tokio::test]
async fn a_client_that_is_killed_ten_times_goes_on() {
    let mut stories = JoinSet::new();
    for seed in 1..=2 {
        stories.spawn(a_client_is_killed(seed));
    }
    stories.join_all().await;
}

#[tokio::test]
async fn a_server_that_is_killed_ten_times_is_found_again() {
    let mut stories = JoinSet::new();
    for seed in 11..=15 {
        stories.spawn(a_server_is_killed(seed));
    }
    tokio::time::timeout(Duration::from_secs(150), stories.join_all()).await.unwrap();
}
