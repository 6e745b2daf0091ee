//! An interrupted `quiver put`: it resumes at its offset, and a file that changed in the meantime is not stored.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

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

/// Runs `quiver put` as Ron.
async fn put(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["put"]).arguments(arguments).run().await
}

/// Starts a put of `big` that takes several seconds, and waits until the server has content.
async fn start_put(home: &Home, server: &Server) -> Process {
    let process = home.quiver_as(server, "Ron", ["put", "big", "--limit", "4MB/s"]).start();
    wait_for_content(server).await;
    process
}

/// Waits until the server has more than 2 MiB in a partial file.
async fn wait_for_content(server: &Server) {
    wait_until("content on the server's disk", || {
        names(&server.files()).iter().any(|name| {
            name.starts_with(".quiver-")
                && fs::metadata(server.files().join(name))
                    .is_ok_and(|metadata| metadata.len() > 2 * MIB as u64)
        })
    })
    .await;
}

#[tokio::test]
async fn the_same_command_resumes_a_put_after_ctrl_c() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(23).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = start_put(&home, &server).await;
    process.signal(Signal::INT);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
    let stderr = process.stderr.lines().join("\n");
    assert!(stderr.contains("the same command"), "{stderr}");
    assert!(server.stored_names().is_empty());
    server.log().wait_for("Client 1: Ron has disconnected").await;
    put_again(&home, &server, &content).await;
}

#[tokio::test]
async fn the_same_command_resumes_a_put_after_a_kill() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(24).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = start_put(&home, &server).await;
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
    // The server considers the killed client alive, with the lock of the partial file, for 11 more seconds.
    let killed = Instant::now();
    put_again(&home, &server, &content).await;
    assert!(killed.elapsed() < Duration::from_secs(8), "{:?}", killed.elapsed());
    server.log().wait_for("Client 1: Ron goes on with big").await;
}

/// Puts `big` again, and checks that the put resumes and stores the file.
async fn put_again(home: &Home, server: &Server, content: &[u8]) {
    let output = put(home, server, &["big", "--json"]).await;
    let object: Value = serde_json::from_str(&output.expect(0).stdout).unwrap();
    let (sent, resumed) =
        (object["sent"].as_u64().unwrap(), object["resumed_at"].as_u64().unwrap());
    assert!(resumed > 2 * MIB as u64, "{object}");
    assert_eq!(sent + resumed, content.len() as u64, "{object}");
    assert!(output.stderr.contains("big: resuming at "), "{}", output.stderr);
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(names(&server.files()), ["big"]);
}

/// Waits for the end of an interrupted put, and checks that it resumed by itself and stored the file.
async fn assert_resumed(mut process: Process, server: &Server, content: &[u8]) {
    let status = process.wait_for_exit(Duration::from_secs(60)).await;
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("big: resuming at "), "{stderr}");
    assert!(fs::read(server.files().join("big")).unwrap() == content);
}

#[tokio::test]
async fn a_put_resumes_after_a_restart_of_the_server() {
    let mut server = server().await;
    let home = Home::new();
    let content = Random::new(25).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let process = start_put(&home, &server).await;
    server.restart().await;
    assert_resumed(process, &server, &content).await;
}

#[tokio::test]
async fn a_put_resumes_after_a_network_failure() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(33).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let relay = UdpRelay::start(server.address()).await;
    let quiver = home.quiver(["--name", "Ron", "put", "big", "--limit", "4MB/s"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_for_content(&server).await;
    relay.cut();
    let lost = process.stderr.wait(|line| line.contains("trying again").then_some(()));
    wait_within(TIMEOUT, "the client to notice the loss", lost).await.unwrap();
    relay.restore();
    assert_resumed(process, &server, &content).await;
}

#[tokio::test]
async fn a_put_resumes_after_a_long_stop_of_its_process() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(26).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let process = start_put(&home, &server).await;
    // As Ctrl-Z does, followed by `fg` long after the connection timed out.
    process.signal(Signal::STOP);
    server.log().wait_for("Client 1: Ron has disconnected").await;
    process.signal(Signal::CONT);
    assert_resumed(process, &server, &content).await;
}

#[tokio::test]
async fn a_put_of_a_changed_file_starts_over() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(27).bytes(16 * MIB)).unwrap();
    let mut process = start_put(&home, &server).await;
    process.signal(Signal::INT);
    process.wait_for_exit(TIMEOUT).await;
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let other = Random::new(28).bytes(5 * MIB);
    fs::write(home.file("big"), &other).unwrap();
    let output = put(&home, &server, &["big"]).await;
    assert!(output.expect(0).stderr.contains("big changed on this machine: starting over"));
    assert!(fs::read(server.files().join("big")).unwrap() == other);
}

#[tokio::test]
async fn the_server_does_not_store_a_file_that_changes_during_the_put() {
    type EditFile = fn(&File);
    let edits: [(&str, EditFile); 2] = [
        ("truncated", |file| file.set_len(MIB as u64).unwrap()),
        ("rewritten", |file| file.write_all_at(b"other", 15 * MIB as u64).unwrap()),
    ];
    for (what, edit) in edits {
        let server = server().await;
        let home = Home::new();
        fs::write(home.file("big"), Random::new(29).bytes(16 * MIB)).unwrap();
        let mut process = start_put(&home, &server).await;
        edit(&File::options().write(true).open(home.file("big")).unwrap());
        let status = process.wait_for_exit(TIMEOUT).await;
        let stderr = process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(9), "{what}: {stderr}");
        assert!(stderr.contains("the file changed while it was sent"), "{what}: {stderr}");
        assert!(server.stored_names().is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_put_does_not_send_bytes_that_are_appended_meanwhile() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(30).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let mut process = start_put(&home, &server).await;
    let mut file = File::options().append(true).open(home.file("big")).unwrap();
    file.write_all(b"more").unwrap();
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    assert!(fs::read(server.files().join("big")).unwrap() == content);
}
