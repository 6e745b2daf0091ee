//! A server that is started anew while somebody talks to it: commands out of a pipe go on, and so does
//! what a person at the prompt has left in the background.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use quiver_e2e::process::Process;
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PromptUser, Server, TIMEOUT, wait_until, wait_within};

const MIB: usize = 1024 * 1024;

/// Waits until a program has said a line with `text`, on standard error or output.
async fn says(process: &Process, text: &str) {
    let said = async {
        tokio::select! {
            biased;
            Some(()) = process.stdout.wait(|line| line.contains(text).then_some(())) => {}
            Some(()) = process.stderr.wait(|line| line.contains(text).then_some(())) => {}
            else => panic!("ended before {text:?}: {}", process.stderr.lines().join("\n")),
        }
    };
    wait_within(TIMEOUT, text, said).await;
}

#[tokio::test]
async fn commands_out_of_a_pipe_go_on_after_a_restart() {
    let mut server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    let (mut process, mut lines) = home.quiver_as(&server, "Ron", [""; 0]).start_with_pipe();
    lines.write_all(b"before\n").unwrap();
    says(&process, "before ACK").await;
    server.restart().await;
    says(&process, "Connection lost: ").await;
    lines.write_all(b"\nget a\nafter\n").unwrap();
    says(&process, "after ACK").await;
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "content");
    drop(lines);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    let said = process.stderr.lines().join("\n");
    assert_eq!(said.matches("Connection lost: ").count(), 1, "{said}");
    assert_eq!(said.matches("Connected to the server again.").count(), 1, "{said}");
    server.log().wait_for("delivered a (7 bytes) to Client 1: Ron").await;
}

#[tokio::test]
async fn a_pipe_without_a_server_ends_with_the_next_command() {
    let mut server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["--timeout", "2"]);
    let (mut process, mut lines) = quiver.start_with_pipe();
    lines.write_all(b"before\n").unwrap();
    says(&process, "before ACK").await;
    server.signal(quiver_e2e::process::Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    says(&process, "Connection lost: ").await;
    lines.write_all(b"help\nlist\nnever\n").unwrap();
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(3));
    let said = process.stderr.lines().join("\n");
    assert!(said.contains("error: cannot connect to "), "{said}");
    assert_eq!(process.stdout.lines(), ["before ACK"]);
}

#[tokio::test]
async fn a_get_out_of_a_pipe_goes_on_and_so_do_the_next_commands() {
    let mut server = Server::start().await;
    let content = Random::new(81).bytes(12 * MIB);
    server.add_file("big", &content);
    let home = Home::new();
    let (mut process, mut lines) = home.quiver_as(&server, "Ron", [""; 0]).start_with_pipe();
    lines.write_all(b"get big --limit 4MB/s\nafter\n").unwrap();
    drop(lines);
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    server.restart().await;
    let status = process.wait_for_exit(TIMEOUT).await;
    let said = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("big: resuming at "), "{said}");
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(process.stdout.lines(), ["after ACK"]);
    assert_eq!(home.names(), ["big"]);
}

/// Less than a connection lives without a sign of life.
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn transfers_go_on_as_soon_as_the_server_is_there_again() {
    let mut server = Server::options().argument("--allow-upload").start().await;
    let content = Random::new(83).bytes(12 * MIB);
    server.add_file("here", &content);
    let homes = [Home::new(), Home::new()];
    fs::write(homes[1].file("there"), &content).unwrap();
    let begin = |home: &Home, name, arguments: [&str; 2]| {
        home.quiver_as(&server, name, arguments).arguments(["--limit", "4MB/s"]).start()
    };
    let mut get = begin(&homes[0], "Ron", ["get", "here"]);
    let mut put = begin(&homes[1], "Ben", ["put", "there"]);
    wait_until("some of the get", || homes[0].partial_length() > 2 * MIB as u64).await;
    let is_large = |name: &String| {
        let part = fs::metadata(server.files().join(name));
        name.starts_with(".quiver-") && part.is_ok_and(|part| part.len() > 2 * MIB as u64)
    };
    wait_until("some of the put", || names(&server.files()).iter().any(is_large)).await;
    server.restart().await;
    let began = Instant::now();
    for process in [&get, &put] {
        // Not its silence: that it knows nothing of the connection.
        says(process, "connection lost (reset by the other side): trying again for 60 s").await;
    }
    server.log().wait_for_nth("Client connected as ", 2).await;
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    for (process, file) in [(&mut get, "here: resuming at "), (&mut put, "there: resuming at ")] {
        let status = process.wait_for_exit(TIMEOUT).await;
        let said = process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains(file), "{said}");
    }
    assert!(fs::read(homes[0].file("here")).unwrap() == content);
    assert!(fs::read(server.files().join("there")).unwrap() == content);
}

#[tokio::test]
async fn the_prompt_goes_on_with_what_runs_in_the_background() {
    let mut server = Server::start().await;
    let content = Random::new(82).bytes(12 * MIB);
    server.add_file("big", &content);
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("get big --limit 4MB/s");
    ron.terminal.wait_for("continues in the background. ");
    ron.terminal.wait_for_end("\nRon:");
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    server.restart().await;
    ron.terminal.wait_for("Connected to the server again.");
    ron.terminal.wait_until("the end of the get", |screen| {
        screen.contains("File received successfully: big") && screen.ends_with("\nRon:")
    });
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(home.names(), ["big"]);
    // No command was needed for that, and nobody was told that one was.
    let seen = ron.terminal.contents();
    assert!(!seen.contains("The next command"), "{seen}");
    assert_eq!(seen.matches("trying again for ").count(), 1, "{seen}");
    assert_eq!(ron.enter("still here"), "Server: still here ACK");
    ron.exit();
    server.log().wait_for("delivered big").await;
}

#[tokio::test]
async fn the_prompt_says_what_comes_next_when_a_get_does_not_wait() {
    let mut server = Server::start().await;
    server.add_file("big", vec![7; 12 * MIB]);
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("get big --limit 4MB/s --retry-timeout 0");
    ron.terminal.wait_for("continues in the background. ");
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    server.restart().await;
    ron.terminal.wait_for("error: cannot get big: connection lost: ");
    ron.terminal.wait_for("The next command connects again.");
    let answer = ron.enter("still here");
    assert_eq!(answer, "Connected to the server again.\nServer: still here ACK");
    assert_eq!(ron.terminal.contents().matches("The next command").count(), 1);
    ron.exit();
}
