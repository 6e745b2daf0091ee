//! Ctrl-C at any moment: the client exits at once with code 130, and leaves no partial file.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use tokio::time::sleep;

/// Limit for an exit. The client waits longer than this for a slow disk.
const EXIT_LIMIT: Duration = Duration::from_millis(1900);

/// Number of interrupted commands, and the longest time in milliseconds before an interrupt.
const ROUNDS: usize = 40;
const MAX_DELAY: u64 = 60;

/// A server with a file that is larger than any pipe.
async fn server() -> Server {
    let server = Server::options().argument("--allow-upload").start().await;
    File::create(server.files().join("big")).unwrap().set_len(1 << 33).unwrap();
    server
}

/// Starts a command whose standard input has a few bytes and stays open, and whose standard output
/// is not read.
fn start_with_pipes(
    home: &Home,
    server: &Server,
    arguments: &[&str],
) -> (Process, PipeWriter, PipeReader) {
    let (input, mut writer) = pipe().unwrap();
    let (reader, output) = pipe().unwrap();
    let mut command = home.quiver_as(server, "Ron", arguments).command();
    let process =
        Process::start_with_stdio(command.stdin(input).stdout(output).stderr(Stdio::piped()));
    writer.write_all(b"first bytes").unwrap();
    (process, writer, reader)
}

/// Interrupts the client, and returns its exit status and the time until it exited.
async fn interrupt(process: &mut Process) -> (ExitStatus, Duration) {
    process.signal(Signal::INT);
    let start = Instant::now();
    (process.wait_for_exit(TIMEOUT).await, start.elapsed())
}

#[tokio::test]
async fn ctrl_c_ends_a_client_whose_output_is_not_read() {
    let server = server().await;
    let home = Home::new();
    let (mut process, _writer, mut reader) =
        start_with_pipes(&home, &server, &["get", "big", "-o", "-"]);
    reader.read_exact(&mut [0]).unwrap();
    // The server has sent what fits into the pipe and both windows.
    server.log().wait_for("Client connected as Client 1: Ron").await;
    let (status, elapsed) = interrupt(&mut process).await;
    assert_eq!(status.code(), Some(130));
    assert!(elapsed < EXIT_LIMIT, "{elapsed:?}");
    server.log().wait_for("Client 1: Ron has disconnected").await;
    assert!(home.names().is_empty(), "{:?}", home.names());
}

#[tokio::test]
async fn ctrl_c_ends_a_client_at_any_moment() {
    let server = server().await;
    let home = Home::new();
    let mut random = Random::new(51);
    let commands: [&[&str]; 3] =
        [&["put", "-", "--as", "slow"], &["get", "big", "-o", "-"], &["list"]];
    for round in 0..ROUNDS {
        let arguments = commands[round % commands.len()];
        let (mut process, _writer, _reader) = start_with_pipes(&home, &server, arguments);
        if round == 0 {
            // At least one client is interrupted after its sign-in, however slow the machine is.
            server.log().wait_for("Client connected").await;
        } else {
            // Not a wait for something: the moment of the interrupt is the input of the test.
            sleep(Duration::from_millis(random.number() % MAX_DELAY)).await;
        }
        let (status, elapsed) = interrupt(&mut process).await;
        let stderr = process.stderr.lines().join("\n");
        // The signal kills a program that has not installed its handler; a list may have finished.
        let is_expected = status.code() == Some(130)
            || status.signal() == Some(Signal::INT.as_raw())
            || (arguments == ["list"] && status.code() == Some(0));
        assert!(is_expected, "round {round}, {arguments:?}: {status}: {stderr}");
        assert!(elapsed < EXIT_LIMIT, "round {round}, {arguments:?}: {elapsed:?}");
        assert!(home.names().is_empty(), "{:?}", home.names());
    }
    // Each client closed its connection: the server did not need the idle timeout.
    let start = Instant::now();
    let all_closed =
        || server.log().count("has disconnected") == server.log().count("Client connected");
    wait_until("the end of all connections", all_closed).await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(server.stored_names(), ["big"]);
}
