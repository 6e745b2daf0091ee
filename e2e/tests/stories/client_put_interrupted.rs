//! A `quiver put` in the middle of which something happens: it goes on where it stopped, and what changed
//! meanwhile is not stored.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use quiver_e2e::process::{Process, ProgramOutput, Signal};
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until, wait_within};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

async fn server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

/// `quiver put ...` as Ron.
async fn put(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["put"]).arguments(arguments).run().await
}

/// A put of `big` that is in the middle: slow enough that it can be met there.
async fn begun(home: &Home, server: &Server) -> Process {
    let process = home.quiver_as(server, "Ron", ["put", "big", "--limit", "4MB/s"]).start();
    content_comes(server).await;
    process
}

async fn content_comes(server: &Server) {
    wait_until("content on the server's disk", || {
        names(&server.files()).iter().any(|name| {
            name.starts_with(".quiver-")
                && fs::metadata(server.files().join(name))
                    .is_ok_and(|part| part.len() > 2 * MIB as u64)
        })
    })
    .await;
}

#[tokio::test]
async fn the_same_command_goes_on_after_ctrl_c() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(23).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = begun(&home, &server).await;
    process.signal(Signal::INT);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let said = process.stderr.lines().join("\n");
    assert!(said.contains("the same command"), "{said}");
    assert!(server.stored_names().is_empty());
    server.log().wait_for("Client 1: Ron has disconnected").await;
    goes_on(&home, &server, &content).await;
}

#[tokio::test]
async fn the_same_command_goes_on_after_a_kill() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(24).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = begun(&home, &server).await;
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
    // The server takes it for alive, and it has the part, for 11 seconds more.
    let killed = Instant::now();
    goes_on(&home, &server, &content).await;
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());
    server.log().wait_for("Client 1: Ron goes on with big").await;
}

/// Puts `big` again: from where it stopped.
async fn goes_on(home: &Home, server: &Server, content: &[u8]) {
    let finished = put(home, server, &["big", "--json"]).await;
    let said: Value = serde_json::from_str(&finished.expect(0).stdout).unwrap();
    let (sent, resumed) = (said["sent"].as_u64().unwrap(), said["resumed_at"].as_u64().unwrap());
    assert!(resumed > 2 * MIB as u64, "{said}");
    assert_eq!(sent + resumed, content.len() as u64, "{said}");
    assert!(finished.stderr.contains("big: resuming at "), "{}", finished.stderr);
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(names(&server.files()), ["big"]);
}

/// The end of a put that met with something, and went on by itself.
async fn went_on(mut process: Process, server: &Server, content: &[u8]) {
    let status = process.wait_for_exit(Duration::from_secs(60)).await;
    let said = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("big: resuming at "), "{said}");
    assert!(fs::read(server.files().join("big")).unwrap() == content);
}

#[tokio::test]
async fn a_put_outlives_its_server() {
    let mut server = server().await;
    let home = Home::new();
    let content = Random::new(25).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let process = begun(&home, &server).await;
    server.restart().await;
    went_on(process, &server, &content).await;
}

#[tokio::test]
async fn a_put_outlives_its_network() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(33).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let path = UdpRelay::start(server.address()).await;
    let quiver = home.quiver(["--name", "Ron", "put", "big", "--limit", "4MB/s"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    content_comes(&server).await;
    path.cut();
    let lost = process.stderr.wait(|line| line.contains("trying again").then_some(()));
    wait_within(TIMEOUT, "the client to notice", lost).await.unwrap();
    path.restore();
    went_on(process, &server, &content).await;
}

#[tokio::test]
async fn a_put_that_is_stopped_for_long_goes_on() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(26).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let process = begun(&home, &server).await;
    // As Ctrl-Z does, and fg long after the connection is gone.
    process.signal(Signal::STOP);
    server.log().wait_for("Client 1: Ron has disconnected").await;
    process.signal(Signal::CONT);
    went_on(process, &server, &content).await;
}

#[tokio::test]
async fn another_file_under_the_name_starts_over() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(27).bytes(16 * MIB)).unwrap();
    let mut process = begun(&home, &server).await;
    process.signal(Signal::INT);
    process.wait_for_exit(TIMEOUT).await;
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let other = Random::new(28).bytes(5 * MIB);
    fs::write(home.file("big"), &other).unwrap();
    let finished = put(&home, &server, &["big"]).await;
    assert!(finished.expect(0).stderr.contains("big changed on this machine: starting over"));
    assert!(fs::read(server.files().join("big")).unwrap() == other);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_sent_is_not_stored() {
    type Change = fn(&File);
    let change: [(&str, Change); 2] = [
        ("truncated", |file| file.set_len(MIB as u64).unwrap()),
        ("rewritten", |file| file.write_all_at(b"other", 15 * MIB as u64).unwrap()),
    ];
    for (what, change) in change {
        let server = server().await;
        let home = Home::new();
        fs::write(home.file("big"), Random::new(29).bytes(16 * MIB)).unwrap();
        let mut process = begun(&home, &server).await;
        change(&File::options().write(true).open(home.file("big")).unwrap());
        let status = process.wait_for_exit(TIMEOUT).await;
        let said = process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(9), "{what}: {said}");
        assert!(said.contains("the file changed while it was sent"), "{what}: {said}");
        assert!(server.stored_names().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn what_is_appended_meanwhile_is_not_sent() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(30).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = begun(&home, &server).await;
    let mut file = File::options().append(true).open(home.file("big")).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert!(fs::read(server.files().join("big")).unwrap() == content);
}
