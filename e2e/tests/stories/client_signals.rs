//! Ctrl-C, whenever it comes: the client leaves at once, with the same code, and leaves nothing half.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _, pipe};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use tokio::time::sleep;

/// Less than the client waits for a disk that does not come to an end.
const AT_ONCE: Duration = Duration::from_millis(1900);

/// Moments that are tried, of a command that takes less than the longest of them.
const MOMENTS: usize = 40;
const LONGEST: u64 = 60;

/// A server with a file that no pipe takes whole.
async fn server() -> Server {
    let server = Server::options().argument("--allow-upload").start().await;
    File::create(server.files().join("big")).unwrap().set_len(1 << 33).unwrap();
    server
}

/// A command with something in its standard input, which then falls silent, and a standard output that
/// nobody reads.
fn started(home: &Home, server: &Server, arguments: &[&str]) -> (Process, PipeWriter, PipeReader) {
    let (input, mut writer) = pipe().unwrap();
    let (reader, output) = pipe().unwrap();
    let mut command = home.quiver_as(server, "Ron", arguments).command();
    let process =
        Process::start_with_stdio(command.stdin(input).stdout(output).stderr(Stdio::piped()));
    writer.write_all(b"a beginning").unwrap();
    (process, writer, reader)
}

/// Interrupts it; how it ended, and how soon.
async fn interrupted(process: &mut Process) -> (ExitStatus, Duration) {
    process.signal(Signal::INT);
    let began = Instant::now();
    (process.wait_for_exit(TIMEOUT).await, began.elapsed())
}

#[tokio::test]
async fn an_output_that_nobody_reads_keeps_nobody() {
    let server = server().await;
    let home = Home::new();
    let (mut process, _writer, mut reader) = started(&home, &server, &["get", "big", "-o", "-"]);
    reader.read_exact(&mut [0]).unwrap();
    // What the pipe and both windows hold has been sent, and no more can be.
    server.log().wait_for("Client connected as Client 1: Ron").await;
    let (status, took) = interrupted(&mut process).await;
    assert_eq!(status.code(), Some(130));
    assert!(took < AT_ONCE, "{took:?}");
    server.log().wait_for("Client 1: Ron has disconnected").await;
    assert!(home.names().is_empty(), "{:?}", home.names());
}

#[tokio::test]
async fn every_moment_is_as_good_as_another() {
    let server = server().await;
    let home = Home::new();
    let mut random = Random::new(51);
    let commands: [&[&str]; 3] =
        [&["put", "-", "--as", "slow"], &["get", "big", "-o", "-"], &["list"]];
    for moment in 0..MOMENTS {
        let arguments = commands[moment % commands.len()];
        let (mut process, _writer, _reader) = started(&home, &server, arguments);
        sleep(Duration::from_millis(random.number() % LONGEST)).await;
        let (status, took) = interrupted(&mut process).await;
        let said = process.stderr.lines().join("\n");
        // Before the program hears signals, the system ends it; a list may be done already.
        let is_right = status.code() == Some(130)
            || status.signal() == Some(Signal::INT.as_raw())
            || (arguments == ["list"] && status.code() == Some(0));
        assert!(is_right, "moment {moment} of {arguments:?}: {status}: {said}");
        assert!(took < AT_ONCE, "moment {moment} of {arguments:?}: {took:?}");
        assert!(home.names().is_empty(), "{:?}", home.names());
    }
    // Whoever was welcomed has said goodbye, long before their silence would tell.
    let began = Instant::now();
    let gone = || server.log().count("has disconnected") == server.log().count("Client connected");
    wait_until("everybody's goodbye", gone).await;
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(server.stored_names(), ["big"]);
}
