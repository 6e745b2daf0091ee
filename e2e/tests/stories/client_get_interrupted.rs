//! An interrupted get: the client keeps a partial file and nothing under the final name, and the server frees the
//! slot.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::Step;
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{FakeServer, Home, PromptUser, Server, TIMEOUT, wait_until};
use serde_json::json;

/// Too large to be transferred during a test.
const HUGE: u64 = 8 * 1024 * 1024 * 1024;

/// A server with one slot and a sparse file of `size` bytes.
async fn server(size: u64) -> Server {
    let server = Server::options().max_clients(1).start().await;
    File::create(server.files().join("big")).unwrap().set_len(size).unwrap();
    server
}

fn is_partial_file(name: &str) -> bool {
    name.starts_with(".quiver-") && name.ends_with(".part")
}

/// Waits until the client has content on its disk.
async fn wait_for_content(home: &Home) {
    wait_until("the first block on disk", || {
        home.names().iter().any(|name| {
            is_partial_file(name)
                && fs::metadata(home.file(name)).is_ok_and(|metadata| metadata.len() > 0)
        })
    })
    .await;
}

/// Checks that the client has a partial file and no other.
fn assert_only_partial_file(home: &Home) {
    let names = home.names();
    assert!(matches!(&names[..], [name] if is_partial_file(name)), "{names:?}");
}

/// Starts a get that does not retry, and waits until the client has content.
async fn start_get(home: &Home, server: &Server) -> Process {
    let process = home.quiver_as(server, "Ron", ["get", "big", "--retry-timeout", "0"]).start();
    wait_for_content(home).await;
    process
}

/// Checks that another client gets a slot.
async fn assert_slot_is_free(server: &Server) {
    let home = Home::new();
    home.quiver_as(server, "Ben", ["message", "Hello"]).run().await.expect(0);
}

#[tokio::test]
async fn a_killed_client_leaves_a_partial_file_and_a_free_slot() {
    let server = server(HUGE).await;
    let home = Home::new();
    let mut process = start_get(&home, &server).await;
    process.signal(Signal::KILL);
    let start = Instant::now();
    process.wait_for_exit(TIMEOUT).await;
    assert_only_partial_file(&home);
    server.log().wait_for("Client 1: Ron has disconnected").await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
    assert_slot_is_free(&server).await;
    // The partial file does not prevent other downloads.
    server.log().wait_for("Client 2: Ben has disconnected").await;
    server.add_file("small", "content");
    home.quiver_as(&server, "Ron", ["get", "small"]).run().await.expect(0);
    assert_eq!(fs::read_to_string(home.file("small")).unwrap(), "content");
}

#[tokio::test]
async fn an_interrupted_client_keeps_its_partial_file_and_disconnects_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = server(HUGE).await;
        let home = Home::new();
        let mut process = start_get(&home, &server).await;
        let start = Instant::now();
        process.signal(signal);
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(code));
        assert_only_partial_file(&home);
        let stderr = process.stderr.lines().join("\n");
        assert!(
            stderr.contains("hint: the same command, or quiver resume, continues at "),
            "{stderr}"
        );
        server.log().wait_for("Client 1: Ron has disconnected").await;
        // Long before the server's idle timeout.
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        assert_slot_is_free(&server).await;
    }
}

#[tokio::test]
async fn the_client_notices_a_killed_server_in_bounded_time() {
    let mut server = server(HUGE).await;
    let home = Home::new();
    let mut process = start_get(&home, &server).await;
    server.signal(Signal::KILL);
    let start = Instant::now();
    server.wait_for_exit(TIMEOUT).await;
    let status = process.wait_for_exit(TIMEOUT).await;
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(stderr.contains("error: cannot get big: connection lost: "), "{stderr}");
    assert_only_partial_file(&home);
}

#[tokio::test]
async fn a_stopping_server_lets_a_running_get_finish() {
    const SIZE: u64 = 32 * 1024 * 1024;
    let mut server = server(SIZE).await;
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut process = quiver.server(relay.address(), &server.certificate()).start();
    wait_for_content(&home).await;
    // The get stalls until the server is stopping.
    relay.cut();
    server.signal(Signal::TERM);
    server.log().wait_for("stopping: running transfers may end").await;
    assert_only_partial_file(&home);
    relay.restore();
    let status = process.wait_for_exit(TIMEOUT).await;
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), SIZE);
    assert_eq!(home.names(), ["big"]);
    assert!(server.wait_for_exit(Duration::from_secs(12)).await.success());
    server.log().wait_for("delivered big (33.6 MB) to Client 1: Ron").await;
}

#[tokio::test]
async fn a_get_fails_if_the_stopping_server_is_told_not_to_wait() {
    let mut server = server(HUGE).await;
    let home = Home::new();
    let mut process = start_get(&home, &server).await;
    server.signal(Signal::TERM);
    server.log().wait_for("stopping: running transfers may end").await;
    // The second signal skips the wait for running transfers.
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    let status = process.wait_for_exit(TIMEOUT).await;
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("error: cannot get big: connection lost: shutting down"), "{stderr}");
    assert_only_partial_file(&home);
}

#[tokio::test]
async fn ctrl_c_cancels_a_running_get_and_the_prompt_continues() {
    // It sends half of a file, and then nothing.
    let server = FakeServer::start(|request| {
        (request["command"] == "get").then(|| {
            let reply = json!({"reply": "file", "path": "big", "size": 1_048_576,
                "modified": "2024-10-19T17:45:47Z", "offset": 0});
            let chunks = (0..512).map(|_| Step::data(&[7; 1024]));
            [Step::reply(&reply)].into_iter().chain(chunks).collect()
        })
    });
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(server.address(), &server.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    // Ctrl-C while the get is in the foreground, and while it is in the background.
    for is_in_background in [false, true] {
        ron.terminal.type_line("get big");
        wait_for_content(&home).await;
        if is_in_background {
            ron.terminal.wait_for("get big: continues in the background. ");
            ron.terminal.wait_for_end("\nRon:");
            assert_eq!(ron.enter("meanwhile"), "Server: meanwhile ACK");
        }
        ron.terminal.type_text("\x03");
        let cancelled = 1 + usize::from(is_in_background);
        ron.terminal.wait_until("the end of the get", |screen| {
            screen.matches("Transfer cancelled: get big").count() == cancelled
                && screen.ends_with("\nRon:")
        });
        assert_only_partial_file(&home);
    }
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    ron.exit();
}

#[tokio::test]
async fn ctrl_c_cancels_a_message_without_a_response() {
    let server = FakeServer::start(|request| {
        let is_silent = request["command"] == "message" && request["text"] == "are you there?";
        is_silent.then(Vec::new)
    });
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(server.address(), &server.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    ron.terminal.type_line("are you there?");
    server.wait_for_text("are you there?").await;
    ron.press("\x03");
    ron.terminal.wait_for("Cancelled.");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    ron.exit();
}
