//! Client and server report the same bottleneck of a transfer, and none for a short transfer.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

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

/// Interval between the pieces of a slow pipe.
const INTERVAL: Duration = Duration::from_millis(50);

async fn server() -> Server {
    Server::options().argument("--allow-upload").argument("--keep-free=0").start().await
}

/// Checks the bottleneck in the JSON output of a client.
#[track_caller]
fn expect_bottleneck(finished: &ProgramOutput, code: &str) {
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    assert_eq!(line["limited_by"], code, "{line}");
}

/// Checks it in the text of a client whose transfer took more than a second.
#[track_caller]
fn expect_bottleneck_text(finished: &ProgramOutput, text: &str) {
    let stderr = finished.expect(0).stderr.trim_end();
    assert!(stderr.ends_with(&format!("/s, limited by {text}")), "{stderr}");
}

/// Checks the bottleneck in the server's log line of a transfer, which contains `line`.
async fn expect_logged_bottleneck(server: &Server, line: &str, bottleneck: &str) {
    let message = server.log().wait_for(line).await.message;
    let limited = format!(" MB/s, limited by {bottleneck}; round trip ");
    assert!(message.contains(&limited), "{message}");
}

#[tokio::test]
async fn client_and_server_name_a_slow_network() {
    let server = server().await;
    server.add_file("big", Random::new(1).bytes(6 * MIB));
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(3 * MIB as u64);
    let get = home.quiver(["--name", "Ron", "get", "big", "--json"]);
    let finished = get.server(relay.address(), &server.certificate()).run().await;
    expect_bottleneck(&finished, "network");
    let line: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(line["network_limit"], "path", "{line}");
    expect_logged_bottleneck(
        &server,
        "delivered big (6.3 MB) to Client 1: Ron: sent 6.3 MB in",
        "the network (path)",
    )
    .await;
}

#[tokio::test]
async fn client_and_server_name_the_clients_limit() {
    let server = server().await;
    let content = Random::new(2).bytes(6 * MIB);
    server.add_file("big", &content);
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["get", "big", "--json", "--limit", "4MiB/s"]);
    expect_bottleneck(&quiver.run().await, "limit");
    expect_logged_bottleneck(&server, "delivered big (6.3 MB)", "the client's limit").await;
    fs::write(home.file("up"), &content).unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["put", "up", "--json", "--limit", "4MiB/s"]);
    expect_bottleneck(&quiver.run().await, "limit");
    expect_logged_bottleneck(&server, "stored up (6.3 MB)", "the client's limit").await;
}

#[tokio::test]
async fn client_and_server_name_a_slowly_read_pipe() {
    let server = server().await;
    server.add_file("big", Random::new(3).bytes(6 * MIB));
    let home = Home::new();
    let (mut output, writer) = std::io::pipe().unwrap();
    let mut command = home.quiver_as(&server, "Ron", ["get", "big", "-o", "-"]).command();
    let process = Process::start_with_stdio(command.stdin(Stdio::null()).stdout(writer));
    drop(command);
    let reader = tokio::task::spawn_blocking(move || {
        // Like a program that works on each piece before it reads the next.
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let (mut piece, mut sum) = (vec![0; 64 * 1024], 0);
        loop {
            assert!(receiver.recv_timeout(INTERVAL / 2).is_err());
            match output.read(&mut piece).unwrap() {
                0 => return sum,
                count => sum += count,
            }
        }
    });
    let finished = finish(process).await;
    assert_eq!(reader.await.unwrap(), 6 * MIB);
    expect_bottleneck_text(&finished, "this pipe");
    expect_logged_bottleneck(&server, "delivered big (6.3 MB)", "the client's pipe").await;
}

#[tokio::test]
async fn client_and_server_name_a_slowly_written_pipe() {
    let server = server().await;
    let home = Home::new();
    let (process, mut input) =
        home.quiver_as(&server, "Ron", ["put", "-", "--as", "up", "--json"]).start_with_pipe();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let piece = Random::new(4).bytes(48 * 1024);
    for _ in 0..30 {
        ticks.tick().await;
        input.write_all(&piece).unwrap();
    }
    drop(input);
    expect_bottleneck(&finish(process).await, "this_pipe");
    expect_logged_bottleneck(&server, "stored up (1.5 MB)", "the client's pipe").await;
}

#[tokio::test]
async fn client_and_server_name_no_bottleneck_of_a_short_transfer() {
    let server = server().await;
    server.add_file("small", "content");
    let home = Home::new();
    let finished = home.quiver_as(&server, "Ron", ["get", "small", "--json"]).run().await;
    let line: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    assert_eq!(line["limited_by"], Value::Null, "{line}");
    let entry = server.log().wait_for("delivered small (7 B) to Client 1: Ron: sent 7 B in").await;
    // Nor is there a rate: the time of so few bytes says nothing about a network or a disk.
    assert!(entry.message.ends_with(" s"), "{}", entry.message);
}
