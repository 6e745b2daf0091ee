//! Logs that cannot be written: the server keeps serving, stops in time, and logs how many lines it
//! dropped.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

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
use quiver_e2e::quiver::{QuiverCommand, finish};
use quiver_e2e::server::ServerOptions;
use quiver_e2e::sockets::{SocketKind, listen_address};
use quiver_e2e::terminal::Terminal;
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Home, MetricsResponse, Server, TIMEOUT, binary, wait_until, wait_within};

const DROPPED: &str = "quiver_log_lines_dropped_total";

/// Time in which a server must stop: longer than its grace of 8 seconds.
const STOP_LIMIT: Duration = Duration::from_secs(10);

fn options_with_metrics() -> ServerOptions {
    Server::options().argument("--metrics=0").max_clients(1000)
}

/// Waits for the address of the metrics page.
async fn metrics_address(server: &Server) -> SocketAddr {
    let mut address = None;
    wait_until("the metrics page", || {
        address = listen_address(server.id(), SocketKind::Tcp);
        address.is_some()
    })
    .await;
    address.unwrap()
}

/// The number of log lines that the server has dropped.
async fn dropped_lines(metrics: SocketAddr) -> f64 {
    let page = MetricsResponse::read(metrics).await;
    assert!(page.body.contains(&format!("\n{DROPPED} ")), "{}", page.body);
    page.number(DROPPED)
}

/// Connects a client, which makes the server log some lines, and sends a message. Returns the time
/// until its response.
async fn connect_and_message(server: &Server, name: &str) -> Duration {
    let client = Client::member(server, name).await;
    let started = Instant::now();
    client.assert_alive().await;
    let round_trip = started.elapsed();
    client.close().await;
    round_trip
}

async fn assert_stops_in_time(mut server: Server) {
    let started = Instant::now();
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(started.elapsed() < STOP_LIMIT, "{:?}", started.elapsed());
}

/// Reads the next line of a log.
fn read_log_line(reader: &mut BufReader<PipeReader>) -> String {
    let mut line = String::new();
    assert_ne!(reader.read_line(&mut line).unwrap(), 0, "the log has ended");
    line
}

#[tokio::test]
async fn a_server_keeps_serving_after_the_reader_of_its_log_closed_the_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = options_with_metrics().start_logging_to(writer).await;
    let metrics = metrics_address(&server).await;
    let mut reader = BufReader::new(reader);
    for _ in 0..3 {
        read_log_line(&mut reader);
    }
    drop(reader);
    for round in 0..20 {
        connect_and_message(&server, &format!("Ron{round}")).await;
    }
    assert!(dropped_lines(metrics).await > 0.0);
    assert_stops_in_time(server).await;
}

#[tokio::test]
async fn a_server_keeps_serving_while_the_disk_of_its_log_is_full() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let server = options_with_metrics().start_logging_to(full).await;
    let metrics = metrics_address(&server).await;
    for round in 0..20 {
        connect_and_message(&server, &format!("Ron{round}")).await;
    }
    assert!(dropped_lines(metrics).await >= 20.0);
    assert_stops_in_time(server).await;
}

#[tokio::test]
async fn a_server_logs_how_many_lines_it_dropped_once_its_disk_has_space_again() {
    if !small_disks_available() {
        return;
    }
    let home = Home::new();
    let disk = SmallDisk::mount(&home.folder(), "64k");
    let log = disk.folder().join("log");
    let file = File::options().create(true).append(true).open(&log).unwrap();
    let server = options_with_metrics().start_logging_to(file).await;
    let metrics = metrics_address(&server).await;
    std::fs::write(disk.folder().join("other"), vec![0; 128 * 1024]).unwrap_err();
    let mut round = 0;
    while dropped_lines(metrics).await == 0.0 {
        connect_and_message(&server, &format!("Ron{round}")).await;
        round += 1;
    }
    std::fs::remove_file(disk.folder().join("other")).unwrap();
    // The server logs the report although it has no other line to log.
    let log_text = || std::fs::read_to_string(&log).unwrap();
    wait_until("the report", || log_text().contains("dropped: standard error did not take")).await;
    assert_eq!(log_text().matches("dropped: standard error did not take").count(), 1);
    let count = dropped_lines(metrics).await;
    assert!(log_text().contains(&format!("\"{count} log line")), "{count}: {}", log_text());
    connect_and_message(&server, "Ben").await;
    wait_until("the next lines", || log_text().contains("Ben has disconnected")).await;
    for line in log_text().lines().filter(|line| !line.is_empty()) {
        // The server ends a line that the full disk cut off before it writes the next one.
        let is_whole = line.starts_with('{') && line.ends_with('}');
        assert!(is_whole || !line.contains("}{"), "{line}");
    }
    assert_stops_in_time(server).await;
}

#[tokio::test]
async fn clients_do_not_wait_for_a_log_that_is_not_read() {
    let (reader, writer) = std::io::pipe().unwrap();
    // The server logs a line for each packet: a few clients fill the queue.
    let server =
        options_with_metrics().environment("RUST_LOG", "trace").start_logging_to(writer).await;
    let metrics = metrics_address(&server).await;
    let mut slowest = Duration::ZERO;
    let mut round = 0;
    while dropped_lines(metrics).await == 0.0 {
        slowest = slowest.max(connect_and_message(&server, &format!("Ron{round}")).await);
        round += 1;
    }
    for number in 0..50 {
        slowest = slowest.max(connect_and_message(&server, &format!("Ben{number}")).await);
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");

    // Once the log is read, the server reports once how many lines it dropped.
    let (report_sender, report) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if line.contains(" log lines were dropped") {
                let _ = report_sender.send(line);
            }
        }
    });
    let report = report.recv_timeout(TIMEOUT).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["level"], "WARN");
    let count = dropped_lines(metrics).await;
    let expected = format!("{count} log lines were dropped: standard error did not take them");
    assert_eq!(report["message"], expected);
    connect_and_message(&server, "Pete").await;
    assert_stops_in_time(server).await;
    reading.join().unwrap();
}

#[tokio::test]
async fn a_server_stops_in_time_although_its_log_is_not_read() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut full = OwnedFd::from(writer.try_clone().unwrap());
    fill(&mut full);
    let server = options_with_metrics().start_logging_to(writer).await;
    let client = Client::member(&server, "Ron").await;
    client.assert_alive().await;
    // This download does not end, so the server uses its whole grace.
    server.add_file("big", vec![7; 32 * 1024 * 1024]);
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    assert_stops_in_time(server).await;
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
async fn a_server_serves_and_stops_although_its_terminal_is_paused() {
    let home = Home::new();
    let mut command = CommandBuilder::new(binary::server());
    for folder in ["files", "certs"] {
        std::fs::create_dir_all(home.file(folder)).unwrap();
    }
    command.args(["--listen", "127.0.0.1:0"]);
    command.cwd(home.folder());
    let mut terminal = Terminal::start(command);
    terminal.wait_for("listening on");
    let screen = terminal.contents();
    let fingerprint = screen.split_once("fingerprint ").unwrap().1;
    let fingerprint = fingerprint.split_whitespace().next().unwrap();
    let address = listen_address(terminal.id(), SocketKind::Udp).unwrap();
    // Control-S pauses the terminal's output.
    terminal.type_text("\x13");
    for round in 0..20 {
        let client = Dialer::to_address(address, fingerprint).sign_in(&format!("Ron{round}")).await;
        client.assert_alive().await;
        client.close().await;
    }
    let id = rustix::process::Pid::from_raw(terminal.id().cast_signed()).unwrap();
    let started = Instant::now();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert!(terminal.wait_for_exit().success());
    assert!(started.elapsed() < STOP_LIMIT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_writes_its_last_lines_before_it_exits() {
    let mut server = Server::start().await;
    server.signal(Signal::TERM);
    server.wait_for_exit(TIMEOUT).await;
    assert_eq!(server.log().entries().last().unwrap().message, "stopped");

    // A server that cannot start writes why.
    let failed =
        Server::options().argument("--metrics=192.0.2.7:1").expect_start_failure(|_| {}).await;
    assert_eq!(failed.status.code(), Some(1));
    let error = "\nerror: cannot show metrics on 192.0.2.7:1: ";
    let stderr = format!("\n{}", failed.stderr);
    assert!(stderr.contains(error), "{stderr}");
    assert!(stderr.lines().last().unwrap().starts_with("hint: "), "{stderr}");
}

#[tokio::test]
async fn a_server_that_cannot_write_its_error_still_exits_with_code_1() {
    let home = Home::new();
    for arguments in [&["--files", "missing"][..], &["cert", "show", "--certs", "missing"]] {
        for stderr in unwritable_outputs() {
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
async fn a_client_downloads_although_it_cannot_write_its_log() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 4 * 1024 * 1024]);
    for stderr in unwritable_outputs() {
        let home = Home::new();
        let mut command = logging(home.quiver_as(&server, "Ron", ["-v", "get", "a"])).command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = Process::start_with_stderr(&mut command, stderr);
        drop(command);
        assert_eq!(finish(process).await.code(), 0);
        assert_eq!(std::fs::read(home.file("a")).unwrap(), vec![7; 4 * 1024 * 1024]);
    }
}

#[tokio::test]
async fn a_client_does_not_wait_for_its_log() {
    let server = Server::start().await;
    server.add_file("a", vec![7; 4 * 1024 * 1024]);
    let home = Home::new();
    let (reader, writer) = std::io::pipe().unwrap();
    fill(&mut OwnedFd::from(writer.try_clone().unwrap()));
    let mut command = logging(home.quiver_as(&server, "Ron", ["--quiet", "get", "a"])).command();
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let process = Process::start_with_stderr(&mut command, writer);
    drop(command);
    assert_eq!(finish(process).await.code(), 0);
    assert_eq!(std::fs::read(home.file("a")).unwrap(), vec![7; 4 * 1024 * 1024]);
    drop(reader);
}

#[tokio::test]
async fn a_client_writes_its_log_before_its_error() {
    let server = Server::start().await;
    let home = Home::new();
    let failed = logging(home.quiver_as(&server, "Ron", ["get", "missing"])).run().await;
    failed.expect(7);
    let lines: Vec<_> = failed.stderr.lines().collect();
    let error = lines.iter().position(|line| line.starts_with("error: ")).unwrap();
    let log = lines.iter().rposition(|line| line.contains(" DEBUG ")).unwrap();
    assert!(log < error, "{}", failed.stderr);
}

/// A client that logs for developers.
fn logging(quiver: QuiverCommand) -> QuiverCommand {
    quiver.environment("QUIVER_LOG", "debug")
}

/// A full disk and a closed pipe, as standard errors that cannot be written to.
fn unwritable_outputs() -> [Stdio; 2] {
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    [File::options().write(true).open("/dev/full").unwrap().into(), closed.into()]
}

#[tokio::test]
async fn a_server_without_standard_error_serves() {
    let server = Server::options().start_logging_to(Stdio::null()).await;
    wait_within(TIMEOUT, "a message", connect_and_message(&server, "Ron")).await;
    assert_stops_in_time(server).await;
}
