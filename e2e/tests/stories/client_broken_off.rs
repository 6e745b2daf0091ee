//! A get that is broken off, by whomever: nothing half stands under a name, and the slot is free again.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::fs::File;
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::Step;
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{FakeServer, Home, PromptUser, Server, TIMEOUT, wait_until};
use serde_json::json;

/// Far more than passes while one looks away.
const HUGE: u64 = 8 * 1024 * 1024 * 1024;

/// A server with one slot and a file of so many bytes, which need no room.
async fn server(size: u64) -> Server {
    let server = Server::options().max_clients(1).start().await;
    File::create(server.files().join("big")).unwrap().set_len(size).unwrap();
    server
}

fn is_part(name: &str) -> bool {
    name.starts_with(".quiver-") && name.ends_with(".part")
}

/// Waits until content has reached the disk.
async fn content_comes(home: &Home) {
    wait_until("the first block on disk", || {
        home.names().iter().any(|name| {
            is_part(name) && fs::metadata(home.file(name)).is_ok_and(|part| part.len() > 0)
        })
    })
    .await;
}

/// What has come is kept, and nothing has the final name.
fn a_part_is_left(home: &Home) {
    let names = home.names();
    assert!(matches!(&names[..], [part] if is_part(part)), "{names:?}");
}

/// A get that is in the middle, and that does not wait for a lost server.
async fn begun(home: &Home, server: &Server) -> Process {
    let process = home.quiver_as(server, "Ron", ["get", "big", "--retry-timeout", "0"]).start();
    content_comes(home).await;
    process
}

/// Somebody else finds a free slot.
async fn the_slot_is_free(server: &Server) {
    let home = Home::new();
    home.quiver_as(server, "Ben", ["message", "Hello"]).run().await.expect(0);
}

#[tokio::test]
async fn a_killed_client_leaves_no_file_and_a_free_slot() {
    let server = server(HUGE).await;
    let home = Home::new();
    let mut process = begun(&home, &server).await;
    process.signal(Signal::KILL);
    let began = Instant::now();
    process.wait_for_exit(TIMEOUT).await;
    a_part_is_left(&home);
    server.log().wait_for("Client 1: Ron has disconnected").await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    server.log().wait_for("not delivered: big to Client 1: Ron").await;
    the_slot_is_free(&server).await;
    // What was left behind is in nobody's way.
    server.log().wait_for("Client 2: Ben has disconnected").await;
    server.add_file("small", "content");
    home.quiver_as(&server, "Ron", ["get", "small"]).run().await.expect(0);
    assert_eq!(fs::read_to_string(home.file("small")).unwrap(), "content");
}

#[tokio::test]
async fn an_interrupted_client_keeps_its_part_and_leaves_at_once() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = server(HUGE).await;
        let home = Home::new();
        let mut process = begun(&home, &server).await;
        let began = Instant::now();
        process.signal(signal);
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(code));
        a_part_is_left(&home);
        let said = process.stderr.lines().join("\n");
        assert!(said.contains("hint: the same command, or quiver resume, continues at "), "{said}");
        server.log().wait_for("Client 1: Ron has disconnected").await;
        // Long before its silence would tell.
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        the_slot_is_free(&server).await;
    }
}

#[tokio::test]
async fn a_killed_server_ends_the_client_in_bounded_time() {
    let mut server = server(HUGE).await;
    let home = Home::new();
    let mut process = begun(&home, &server).await;
    server.signal(Signal::KILL);
    let began = Instant::now();
    server.wait_for_exit(TIMEOUT).await;
    let status = process.wait_for_exit(TIMEOUT).await;
    let said = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(said.contains("error: cannot get big: connection lost: "), "{said}");
    a_part_is_left(&home);
}

#[tokio::test]
async fn a_server_that_stops_lets_a_get_end() {
    const SIZE: u64 = 32 * 1024 * 1024;
    let mut server = server(SIZE).await;
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    let quiver = home.quiver(["--name", "Ron", "get", "big"]);
    let mut process = quiver.server(path.address(), &server.certificate()).start();
    content_comes(&home).await;
    // The get stands still until the server is stopping.
    path.cut();
    server.signal(Signal::TERM);
    server.log().wait_for("stopping: running transfers may end").await;
    path.restore();
    let status = process.wait_for_exit(TIMEOUT).await;
    let said = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{said}");
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), SIZE);
    assert_eq!(home.names(), ["big"]);
    assert!(server.wait_for_exit(Duration::from_secs(12)).await.success());
    server.log().wait_for("delivered big (33554432 bytes) to Client 1: Ron").await;
}

#[tokio::test]
async fn a_get_that_a_stopping_server_breaks_off_fails() {
    let mut server = server(HUGE).await;
    let home = Home::new();
    let mut process = begun(&home, &server).await;
    server.signal(Signal::TERM);
    server.log().wait_for("stopping: running transfers may end").await;
    // The second one skips the grace.
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    let status = process.wait_for_exit(TIMEOUT).await;
    let said = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("error: cannot get big: connection lost: shutting down"), "{said}");
    a_part_is_left(&home);
}

#[tokio::test]
async fn ctrl_c_cancels_a_running_get_and_not_the_conversation() {
    // A server that says half of a file and then nothing.
    let impostor = FakeServer::start(|request| {
        (request["command"] == "get").then(|| {
            let head = json!({"reply": "file", "path": "big", "size": 1_048_576,
                "modified": "2024-10-19T17:45:47Z", "offset": 0});
            let chunks = (0..512).map(|_| Step::data(&[7; 1024]));
            [Step::reply(&head)].into_iter().chain(chunks).collect()
        })
    });
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(impostor.address(), &impostor.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    // As soon as it runs, and once it has made room for the next line.
    for waits in [false, true] {
        ron.terminal.type_line("get big");
        content_comes(&home).await;
        if waits {
            ron.terminal.wait_for("get big: continues in the background. ");
            ron.terminal.wait_for_end("\nRon:");
            assert_eq!(ron.enter("meanwhile"), "Server: meanwhile ACK");
        }
        ron.terminal.type_text("\x03");
        let cancelled = 1 + usize::from(waits);
        ron.terminal.wait_until("the end of the get", |screen| {
            screen.matches("Transfer cancelled.").count() == cancelled && screen.ends_with("\nRon:")
        });
        a_part_is_left(&home);
    }
    assert_eq!(ron.enter("still here"), "Server: still here ACK");
    ron.exit();
}

#[tokio::test]
async fn ctrl_c_cancels_an_answer_that_does_not_come() {
    let impostor = FakeServer::start(|request| {
        let is_silent = request["command"] == "message" && request["text"] == "are you there?";
        is_silent.then(Vec::new)
    });
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron"]);
    let quiver = quiver.server(impostor.address(), &impostor.certificate());
    let mut ron = PromptUser::at_terminal(quiver.start_at_terminal(), "Ron");
    ron.terminal.type_line("are you there?");
    impostor.wait_for_text("are you there?").await;
    ron.press("\x03");
    ron.terminal.wait_for("Cancelled.");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    ron.exit();
}
