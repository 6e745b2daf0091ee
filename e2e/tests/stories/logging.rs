//! Logs that cannot be written: the server serves on, stops in time, and says what its log lacks.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, PipeReader, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::finish;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::sockets::{SocketKind, listen_address};
use quiver_e2e::terminal::Terminal;
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Home, MetricsResponse, Server, TIMEOUT, binary, wait_until, wait_within};

const DROPPED: &str = "quiver_log_lines_dropped_total";

/// What a server has to stop, and to spare.
const STOPS: Duration = Duration::from_secs(10);

fn watched() -> ServerOptions {
    Server::options().argument("--metrics=0").max_clients(1000)
}

async fn metrics(server: &Server) -> SocketAddr {
    let mut address = None;
    wait_until("the metrics", || {
        address = listen_address(server.id(), SocketKind::Tcp);
        address.is_some()
    })
    .await;
    address.unwrap()
}

async fn dropped(metrics: SocketAddr) -> f64 {
    let page = MetricsResponse::read(metrics).await;
    assert!(page.body.contains(&format!("\n{DROPPED} ")), "{}", page.body);
    page.number(DROPPED)
}

/// Connects a client, which costs some lines, and expects an answer at once; returns how long that took.
async fn visit(server: &Server, name: &str) -> Duration {
    let client = Client::member(server, name).await;
    let began = Instant::now();
    client.assert_alive().await;
    let took = began.elapsed();
    client.close().await;
    took
}

async fn stops(mut server: Server) {
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(began.elapsed() < STOPS, "{:?}", began.elapsed());
}

/// Reads a line that was written already, or is about to be.
fn line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the log has ended");
    line
}

#[tokio::test]
async fn a_reader_of_the_log_that_leaves_does_not_end_the_server() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = watched().start_logging_to(writer).await;
    let metrics = metrics(&server).await;
    let mut reader = BufReader::new(reader);
    for _ in 0..3 {
        line(&mut reader);
    }
    drop(reader);
    for round in 0..20 {
        visit(&server, &format!("Ron{round}")).await;
    }
    assert!(dropped(metrics).await > 0.0);
    stops(server).await;
}

#[tokio::test]
async fn a_full_disk_under_the_log_does_not_end_the_server() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = watched().start_logging_to(full).await;
    let metrics = metrics(&server).await;
    for round in 0..20 {
        visit(&server, &format!("Ron{round}")).await;
    }
    assert!(dropped(metrics).await >= 20.0);
    stops(server).await;
}

#[tokio::test]
async fn once_the_disk_has_room_again_the_log_says_what_it_lacks() {
    if !small_disks_available() {
        return;
    }
    let home = Home::new();
    let disk = SmallDisk::mount(&home.folder(), "64k");
    let log = disk.folder().join("log");
    let file = File::options().create(true).append(true).open(&log).unwrap();
    let server = watched().start_logging_to(file).await;
    let metrics = metrics(&server).await;
    std::fs::write(disk.folder().join("other"), vec![0; 128 * 1024]).unwrap_err();
    let mut round = 0;
    while dropped(metrics).await == 0.0 {
        visit(&server, &format!("Ron{round}")).await;
        round += 1;
    }
    std::fs::remove_file(disk.folder().join("other")).unwrap();
    // No other line is logged meanwhile.
    let said = || std::fs::read_to_string(&log).unwrap();
    wait_until("the report", || said().contains("dropped: standard error did not take")).await;
    assert_eq!(said().matches("dropped: standard error did not take").count(), 1);
    let count = dropped(metrics).await;
    assert!(said().contains(&format!("\"{count} log line")), "{count}: {}", said());
    visit(&server, "Ben").await;
    wait_until("the next lines", || said().contains("Ben has disconnected")).await;
    for line in said().lines().filter(|line| !line.is_empty()) {
        // A line that the full disk cut off has an end of its own.
        let is_whole = line.starts_with('{') && line.ends_with('}');
        assert!(is_whole || !line.contains("}{"), "{line}");
    }
    stops(server).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_keeps_no_client_waiting() {
    let (reader, writer) = std::io::pipe().unwrap();
    // Every packet is a line: the queue is full after some clients.
    let server = watched().environment("RUST_LOG", "trace").start_logging_to(writer).await;
    let metrics = metrics(&server).await;
    let mut slowest = Duration::ZERO;
    let mut round = 0;
    while dropped(metrics).await == 0.0 {
        slowest = slowest.max(visit(&server, &format!("Ron{round}")).await);
        round += 1;
    }
    for more in 0..50 {
        slowest = slowest.max(visit(&server, &format!("Ben{more}")).await);
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");

    // Read again, it says once what it lacks.
    let (found, report) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if line.contains(" log lines were dropped") {
                let _ = found.send(line);
            }
        }
    });
    let report = report.recv_timeout(TIMEOUT).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["level"], "WARN");
    let count = dropped(metrics).await;
    let said = format!("{count} log lines were dropped: standard error did not take them");
    assert_eq!(report["message"], said);
    visit(&server, "Pete").await;
    stops(server).await;
    reading.join().unwrap();
}

#[tokio::test]
async fn a_server_stops_although_nobody_reads_its_log() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut full = OwnedFd::from(writer.try_clone().unwrap());
    fill(&mut full);
    let server = watched().start_logging_to(writer).await;
    let client = Client::member(&server, "Ron").await;
    client.assert_alive().await;
    // A transfer that does not end: the whole grace is used.
    server.add_file("big", vec![7; 32 * 1024 * 1024]);
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    stops(server).await;
    drop(reader);
}

/// Fills a pipe to the last byte.
fn fill(pipe: &mut OwnedFd) {
    let pipe = pipe.try_clone().unwrap();
    let flags = rustix::fs::fcntl_getfl(&pipe).unwrap();
    rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
    let mut file = File::from(pipe.try_clone().unwrap());
    for size in [4096, 1] {
        while file.write(&vec![b'\n'; size]).is_ok() {}
    }
    rustix::fs::fcntl_setfl(&pipe, flags).unwrap();
}

#[tokio::test]
async fn a_terminal_that_is_stopped_does_not_stop_the_server() {
    let home = Home::new();
    let mut command = CommandBuilder::new(binary::server());
    for folder in ["files", "certs"] {
        std::fs::create_dir_all(home.file(folder)).unwrap();
    }
    command.args(["--listen", "127.0.0.1:0"]);
    command.cwd(home.folder());
    let mut terminal = Terminal::start(command);
    terminal.wait_for("listening on");
    let shown = terminal.contents();
    let fingerprint = shown.split_once("fingerprint ").unwrap().1;
    let fingerprint = fingerprint.split_whitespace().next().unwrap();
    let address = listen_address(terminal.id(), SocketKind::Udp).unwrap();
    terminal.type_text("\x13");
    for round in 0..20 {
        let client = Dialer::to_address(address, fingerprint).sign_in(&format!("Ron{round}")).await;
        client.assert_alive().await;
        client.close().await;
    }
    let id = rustix::process::Pid::from_raw(terminal.id().cast_signed()).unwrap();
    let began = Instant::now();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert!(terminal.wait_for_exit().success());
    assert!(began.elapsed() < STOPS, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_last_lines_of_a_server_are_written() {
    let mut server = Server::start().await;
    server.signal(Signal::TERM);
    server.wait_for_exit(TIMEOUT).await;
    assert_eq!(server.log().entries().last().unwrap().message, "stopped");

    // What keeps it from starting is said too.
    let refused =
        Server::options().argument("--metrics=192.0.2.7:1").expect_start_failure(|_| {}).await;
    assert_eq!(refused.status.code(), Some(1));
    let error = "\nerror: cannot show metrics on 192.0.2.7:1: ";
    let said = format!("\n{}", refused.stderr);
    assert!(said.contains(error), "{}", refused.stderr);
    assert!(said.lines().last().unwrap().starts_with("hint: "), "{}", refused.stderr);
}

#[tokio::test]
async fn a_server_that_cannot_say_why_ends_all_the_same() {
    let home = Home::new();
    for arguments in [&["--files", "missing"][..], &["cert", "show", "--certs", "missing"]] {
        for stderr in broken() {
            let mut command = std::process::Command::new(binary::server());
            command.args(arguments).current_dir(home.folder());
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            let process = Process::start_with_stderr(&mut command, stderr);
            drop(command);
            assert_eq!(finish(process).await.code(), 1, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_verbose_client_works_although_its_log_cannot_be_written() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 4 * 1024 * 1024]);
    for stderr in broken() {
        let home = Home::new();
        let mut command = home.quiver_as(&server, "Ron", ["-v", "get", "a"]).command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = Process::start_with_stderr(&mut command, stderr);
        drop(command);
        assert_eq!(finish(process).await.code(), 0);
        assert_eq!(std::fs::read(home.file("a")).unwrap(), vec![7; 4 * 1024 * 1024]);
    }
}

#[tokio::test]
async fn a_verbose_client_does_not_wait_for_its_log() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 4 * 1024 * 1024]);
    let home = Home::new();
    let (reader, writer) = std::io::pipe().unwrap();
    fill(&mut OwnedFd::from(writer.try_clone().unwrap()));
    let mut command = home.quiver_as(&server, "Ron", ["-v", "--quiet", "get", "a"]).command();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let process = Process::start_with_stderr(&mut command, writer);
    drop(command);
    assert_eq!(finish(process).await.code(), 0);
    assert_eq!(std::fs::read(home.file("a")).unwrap(), vec![7; 4 * 1024 * 1024]);
    drop(reader);
}

#[tokio::test]
async fn a_verbose_client_writes_its_log_before_its_last_words() {
    let server = Server::start().await;
    let home = Home::new();
    let failed = home.quiver_as(&server, "Ron", ["-v", "get", "missing"]).run().await;
    failed.expect(7);
    let lines: Vec<_> = failed.stderr.lines().collect();
    let error = lines.iter().position(|line| line.starts_with("error: ")).unwrap();
    let log = lines.iter().rposition(|line| line.contains(" DEBUG ")).unwrap();
    assert!(log < error, "{}", failed.stderr);
}

/// Standard errors that cannot be written to.
fn broken() -> [Stdio; 2] {
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    [File::options().write(true).open("/dev/full").unwrap().into(), closed.into()]
}

#[tokio::test]
async fn a_server_without_standard_error_serves() {
    let server = Server::options().start_logging_to(Stdio::null()).await;
    wait_within(TIMEOUT, "a visit", visit(&server, "Ron")).await;
    stops(server).await;
}
