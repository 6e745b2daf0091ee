//! What limited a transfer is said at both ends, in the same words, and only where it is so.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

const MIB: usize = 1024 * 1024;

/// A moment's share of what moves in a second.
const TICK: Duration = Duration::from_millis(50);

async fn server() -> Server {
    Server::options().argument("--allow-upload").argument("--keep-free=0").start().await
}

/// What a program and a person are told of a transfer that took over a second.
#[track_caller]
fn says(finished: &ProgramOutput, code: &str, words: &str) {
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    assert_eq!(line["limited_by"], code, "{line}");
    ends_with(finished, words);
}

#[track_caller]
fn ends_with(finished: &ProgramOutput, words: &str) {
    let said = finished.expect(0).stderr.trim_end();
    assert!(said.ends_with(&format!("/s, limited by {words}")), "{said}");
}

/// What the server's log says of a transfer, after the words that it begins with.
async fn logged(server: &Server, begins: &str, words: &str) {
    let said = server.log().wait_for(begins).await.message;
    assert!(said.ends_with(&format!(" MB/s, limited by {words}")), "{said}");
}

#[tokio::test]
async fn a_slow_network_is_named_at_both_ends() {
    let server = server().await;
    server.add_file("big", Random::new(1).bytes(6 * MIB));
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(3 * MIB as u64);
    let get = home.quiver(["--name", "Ron", "get", "big", "--json"]);
    let finished = get.server(path.address(), &server.certificate()).run().await;
    says(&finished, "network", "the network");
    logged(
        &server,
        "delivered big (6291456 bytes) to Client 1: Ron: 6291456 bytes went",
        "the network",
    )
    .await;
}

#[tokio::test]
async fn a_limit_is_named_at_both_ends() {
    let server = server().await;
    let content = Random::new(2).bytes(6 * MIB);
    server.add_file("big", &content);
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["get", "big", "--json", "--limit", "4MiB/s"]);
    says(&quiver.run().await, "limit", "--limit");
    logged(&server, "delivered big (6291456 bytes)", "the client's limit").await;
    fs::write(home.file("up"), &content).unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["put", "up", "--json", "--limit", "4MiB/s"]);
    says(&quiver.run().await, "limit", "--limit");
    logged(&server, "stored up (6291456 bytes)", "the client's limit").await;
}

#[tokio::test]
async fn a_pipe_that_takes_little_at_a_time_is_named_at_both_ends() {
    let server = server().await;
    server.add_file("big", Random::new(3).bytes(6 * MIB));
    let home = Home::new();
    let (mut output, writer) = std::io::pipe().unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["get", "big", "-o", "-"]).command();
    let process = Process::start_with_stdio(command.stdin(Stdio::null()).stdout(writer));
    drop(command);
    let reads = tokio::task::spawn_blocking(move || {
        // As a program that has something to do for each of the pieces.
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let (mut piece, mut sum) = (vec![0; 64 * 1024], 0);
        loop {
            assert!(receiver.recv_timeout(TICK / 2).is_err());
            match output.read(&mut piece).unwrap() {
                0 => return sum,
                count => sum += count,
            }
        }
    });
    let finished = finish(process).await;
    assert_eq!(reads.await.unwrap(), 6 * MIB);
    ends_with(&finished, "this pipe");
    logged(&server, "delivered big (6291456 bytes)", "the client's pipe").await;
}

#[tokio::test]
async fn a_pipe_that_gives_little_at_a_time_is_named_at_both_ends() {
    let server = server().await;
    let home = Home::new();
    let (process, mut input) =
        home.quiver_as(&server, "Ron", ["put", "-", "--as", "up", "--json"]).start_with_pipe();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let piece = Random::new(4).bytes(48 * 1024);
    for _ in 0..30 {
        ticks.tick().await;
        input.write_all(&piece).unwrap();
    }
    drop(input);
    says(&finish(process).await, "this_pipe", "this pipe");
    logged(&server, "stored up (1474560 bytes)", "the client's pipe").await;
}

#[tokio::test]
async fn what_is_over_at_once_is_limited_by_nothing() {
    let server = server().await;
    server.add_file("small", "content");
    let home = Home::new();
    let finished = home.quiver_as(&server, "Ron", ["get", "small", "--json"]).run().await;
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    assert_eq!(line["limited_by"], Value::Null, "{line}");
    let said =
        server.log().wait_for("delivered small (7 bytes) to Client 1: Ron: sent 7 bytes in").await;
    assert!(said.message.ends_with(" MB/s"), "{}", said.message);
}
