//! A server that restarts while clients are connected: commands from a pipe continue, and so do transfers in the
//! background of the prompt.

use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use quiver_e2e::process::Process;
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PromptUser, Server, TIMEOUT, wait_until, wait_within};

const MIB: usize = 1024 * 1024;

/// Waits until a program has printed a line with `text` to standard output or standard error.
async fn wait_for_line(process: &Process, text: &str) {
    let line = async {
        tokio::select! {
            biased;
            Some(()) = process.stdout.wait(|line| line.contains(text).then_some(())) => {}
            Some(()) = process.stderr.wait(|line| line.contains(text).then_some(())) => {}
            else => panic!("ended before {text:?}: {}", process.stderr.lines().join("\n")),
        }
    };
    wait_within(TIMEOUT, text, line).await;
}

#[tokio::test]
async fn commands_from_a_pipe_continue_after_a_restart() {
    let mut server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    let (mut process, mut lines) = home.quiver_as(&server, "Ron", [""; 0]).start_with_pipe();
    lines.write_all(b"before\n").unwrap();
    wait_for_line(&process, "before ACK").await;
    server.restart().await;
    wait_for_line(&process, "Connection lost: ").await;
    lines.write_all(b"\nget a\nafter\n").unwrap();
    wait_for_line(&process, "after ACK").await;
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "content");
    drop(lines);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(0));
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(stderr.matches("Connection lost: ").count(), 1, "{stderr}");
    assert_eq!(stderr.matches("Connected to the server again.").count(), 1, "{stderr}");
    server.log().wait_for("delivered a (7 B) to Client 1: Ron").await;
}

#[tokio::test]
async fn the_next_command_from_a_pipe_fails_without_a_server() {
    let mut server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["--timeout", "2"]);
    let (mut process, mut lines) = quiver.start_with_pipe();
    lines.write_all(b"before\n").unwrap();
    wait_for_line(&process, "before ACK").await;
    server.signal(quiver_e2e::process::Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    wait_for_line(&process, "Connection lost: ").await;
    lines.write_all(b"help\nlist\nnever\n").unwrap();
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(3));
    let stderr = process.stderr.lines().join("\n");
    assert!(stderr.contains(": cannot connect to "), "{stderr}");
    assert_eq!(process.stdout.lines(), ["before ACK"]);
}

#[tokio::test]
async fn a_get_from_a_pipe_resumes_and_the_next_command_runs() {
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
    let stderr = process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("big: resuming at "), "{stderr}");
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(process.stdout.lines(), ["after ACK"]);
    assert_eq!(home.names(), ["big"]);
}

/// Shorter than the idle timeout of a connection.
const MAX_RECONNECT_TIME: Duration = Duration::from_secs(10);

#[tokio::test]
async fn transfers_resume_as_soon_as_the_server_runs_again() {
    let mut server = Server::options().argument("--allow-upload").start().await;
    let content = Random::new(83).bytes(12 * MIB);
    server.add_file("get-file", &content);
    let homes = [Home::new(), Home::new()];
    fs::write(homes[1].file("put-file"), &content).unwrap();
    let start_transfer = |home: &Home, name, arguments: [&str; 2]| {
        home.quiver_as(&server, name, arguments).arguments(["--limit", "4MB/s"]).start()
    };
    let mut get = start_transfer(&homes[0], "Ron", ["get", "get-file"]);
    let mut put = start_transfer(&homes[1], "Ben", ["put", "put-file"]);
    wait_until("some of the get", || homes[0].partial_length() > 2 * MIB as u64).await;
    let is_large = |name: &String| {
        let metadata = fs::metadata(server.files().join(name));
        name.starts_with(".quiver-")
            && metadata.is_ok_and(|metadata| metadata.len() > 2 * MIB as u64)
    };
    wait_until("some of the put", || names(&server.files()).iter().any(is_large)).await;
    server.restart().await;
    let start = Instant::now();
    for process in [&get, &put] {
        // The restarted server sends a reset for the unknown connection; the clients wait for no timeout.
        wait_for_line(
            process,
            "connection lost (reset by the other side): trying again for 10 min",
        )
        .await;
    }
    server.log().wait_for_nth("Client connected as ", 2).await;
    assert!(start.elapsed() < MAX_RECONNECT_TIME, "{:?}", start.elapsed());
    for (process, file) in
        [(&mut get, "get-file: resuming at "), (&mut put, "put-file: resuming at ")]
    {
        let status = process.wait_for_exit(TIMEOUT).await;
        let stderr = process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert!(stderr.contains(file), "{stderr}");
    }
    assert!(fs::read(homes[0].file("get-file")).unwrap() == content);
    assert!(fs::read(server.files().join("put-file")).unwrap() == content);
}

#[tokio::test]
async fn a_get_in_the_background_of_the_prompt_resumes() {
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
    // No command was needed to reconnect, and the prompt did not ask for one.
    let screen = ron.terminal.contents();
    assert!(!screen.contains("The next command"), "{screen}");
    assert_eq!(screen.matches("trying again for ").count(), 1, "{screen}");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    ron.exit();
    server.log().wait_for("delivered big").await;
}

#[tokio::test]
async fn the_prompt_reconnects_by_itself_if_its_get_does_not_retry() {
    let mut server = Server::start().await;
    server.add_file("big", vec![7; 12 * MIB]);
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("get big --limit 4MB/s --retry-timeout 0");
    ron.terminal.wait_for("continues in the background. ");
    wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
    server.restart().await;
    ron.terminal.wait_for("error: cannot get big: connection lost: ");
    ron.terminal.wait_for("Connected to the server again.");
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    assert_eq!(ron.terminal.contents().matches("Connected to the server again.").count(), 1);
    ron.exit();
}

#[tokio::test]
async fn an_idle_prompt_connects_again_by_itself() {
    let mut server = Server::start().await;
    let home = Home::new();
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    server.restart().await;
    ron.terminal.wait_for("Connection lost: ");
    ron.terminal.wait_for(". Connecting again ...");
    ron.terminal.wait_for("Connected to the server again.");
    server.log().wait_for("Client connected as Client 1: Ron").await;
    assert_eq!(ron.enter("Hello"), "Server: Hello ACK");
    assert_eq!(ron.terminal.contents().matches("Connected to the server again.").count(), 1);
    ron.exit();
}
