//! The metrics page, read as Prometheus reads it: the numbers are right, and its readers cannot
//! harm the server.

use std::net::{SocketAddr, TcpListener};

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::sockets::{SocketKind, listen_address};
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Key, MetricsResponse, Server, TIMEOUT, wait_within};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MIB: usize = 1024 * 1024;

fn options_with_metrics() -> ServerOptions {
    Server::options().argument("--metrics=0")
}

#[track_caller]
fn assert_numbers(page: &MetricsResponse, numbers: &[(&str, usize)]) {
    for (name, number) in numbers {
        assert_eq!(page.number(name), *number as f64, "{name} in {}", page.body);
    }
}

#[tokio::test]
async fn the_page_counts_connections_commands_and_verified_transfers() {
    let server = options_with_metrics().argument("--allow-upload").start().await;
    let metrics = server.metrics_address().await;
    assert!(metrics.ip().is_loopback(), "without an address, the page is local");
    let at_start = MetricsResponse::read(metrics).await;
    assert_numbers(
        &at_start,
        &[
            ("quiver_clients", 0),
            ("quiver_max_clients", 3),
            ("quiver_connections_total", 0),
            ("quiver_transfers_total{direction=\"get\",outcome=\"verified\"}", 0),
        ],
    );
    assert!(
        at_start.body.contains("\nquiver_content_sent_bytes_total 0\n"),
        "the page shows zeros"
    );
    assert!(at_start.body.contains("quiver_build_info{version=\""), "{}", at_start.body);
    assert!(at_start.number("process_start_time_seconds") > 1.7e9);

    server.add_file("secret.txt", Random::new(1).bytes(3 * MIB));
    let client = Client::member(&server, "Ron").await;
    assert_eq!(client.get_code("secret.txt").await, "");
    let content = Random::new(2).bytes(5 * MIB);
    let upload = client.put("up", json!(content.len())).await.unwrap();
    upload.send_file(&content).await.unwrap();
    client.assert_alive().await;
    server.log().wait_for("delivered secret.txt").await;
    server.log().wait_for("stored up").await;
    let page = MetricsResponse::read(metrics).await;
    assert_numbers(
        &page,
        &[
            ("quiver_clients", 1),
            ("quiver_members", 1),
            ("quiver_guests", 0),
            ("quiver_connections_total", 1),
            ("quiver_content_sent_bytes_total", 3 * MIB),
            ("quiver_content_received_bytes_total", 5 * MIB),
            ("quiver_content_verified_bytes_total{direction=\"get\"}", 3 * MIB),
            ("quiver_content_verified_bytes_total{direction=\"put\"}", 5 * MIB),
            ("quiver_transfers_total{direction=\"get\",outcome=\"verified\"}", 1),
            ("quiver_transfers_total{direction=\"put\",outcome=\"verified\"}", 1),
            ("quiver_transfers_running{direction=\"get\"}", 0),
            ("quiver_transfers_running{direction=\"put\"}", 0),
            ("quiver_transfer_seconds_count{direction=\"get\"}", 1),
            ("quiver_transfer_seconds_count{direction=\"put\"}", 1),
            ("quiver_commands_total{command=\"hello\",outcome=\"done\"}", 1),
            ("quiver_commands_total{command=\"get\",outcome=\"done\"}", 1),
            ("quiver_commands_total{command=\"put\",outcome=\"done\"}", 1),
            ("quiver_commands_total{command=\"message\",outcome=\"done\"}", 1),
            ("quiver_failures_total", 0),
        ],
    );
    let limits =
        page.body.lines().filter(|line| line.starts_with("quiver_transfers_limited_total"));
    assert_eq!(limits.count(), 2, "one of each direction: {}", page.body);
    for secret in ["Ron", "secret", "up\"", "127.0.0.1"] {
        assert!(!page.body.contains(secret), "{secret} in {}", page.body);
    }
    client.close().await;
    server.log().wait_for("client count: 0 of 3").await;
    assert_numbers(
        &MetricsResponse::read(metrics).await,
        &[("quiver_clients", 0), ("quiver_connections_total", 1)],
    );
}

#[tokio::test]
async fn the_page_counts_failed_and_refused_commands() {
    let server = options_with_metrics().max_clients(1).account("Ron", "tomato").start().await;
    let metrics = server.metrics_address().await;
    server.add_file("big", Random::new(3).bytes(8 * MIB));
    let client = Dialer::new(&server).connect().await.unwrap();
    assert_eq!(client.sign_in("Ron", "wrong").await.code(), "sign_in_failed");
    assert_eq!(client.sign_in("Ron", "tomato").await.reply()["reply"], "welcome");
    assert_eq!(client.get_code("missing").await, "not_found");
    assert_eq!(client.exchange(b"\x00\x00\x02{}").await.code(), "bad_request");
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    assert_numbers(
        &MetricsResponse::read(metrics).await,
        &[("quiver_transfers_running{direction=\"get\"}", 1)],
    );
    client.close().await;
    let log = server.log();
    log.wait_for("not delivered: big to Client 1: Ron: ").await;
    let page = MetricsResponse::read(metrics).await;
    assert_numbers(
        &page,
        &[
            ("quiver_sign_in_failures_total{reason=\"wrong\"}", 1),
            ("quiver_commands_total{command=\"hello\",outcome=\"refused\"}", 1),
            ("quiver_commands_total{command=\"hello\",outcome=\"done\"}", 1),
            ("quiver_commands_total{command=\"get\",outcome=\"refused\"}", 1),
            ("quiver_commands_total{command=\"unknown\",outcome=\"refused\"}", 1),
            ("quiver_transfers_total{direction=\"get\",outcome=\"failed\"}", 1),
            ("quiver_transfers_total{direction=\"get\",outcome=\"verified\"}", 0),
            ("quiver_transfers_running{direction=\"get\"}", 0),
            ("quiver_content_verified_bytes_total{direction=\"get\"}", 0),
        ],
    );
    assert!(page.number("quiver_content_sent_bytes_total") > 0.0, "the server sent some content");
}

#[tokio::test]
async fn the_page_counts_clients_that_are_refused_as_busy() {
    let server = options_with_metrics().max_clients(1).start().await;
    let metrics = server.metrics_address().await;
    let _ron = Client::member(&server, "Ron").await;
    let ben = Client::guest(&server).await;
    assert_eq!(ben.hello("Ben").await.code(), "busy");
    assert_numbers(
        &MetricsResponse::read(metrics).await,
        &[("quiver_busy_refusals_total", 1), ("quiver_clients", 1)],
    );
}

#[tokio::test]
async fn the_page_shows_partial_files_of_interrupted_uploads() {
    let server =
        options_with_metrics().argument("--allow-upload").argument("--keep-free=0").start().await;
    let metrics = server.metrics_address().await;
    let key = Key::new();
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let content = Random::new(4).bytes(4 * MIB);
    let mut upload = client.put("up", json!(content.len())).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..2 * MIB]).await;
    let progress = async {
        while upload.stream.read_frame().await.unwrap().unwrap().value()["stored"].as_u64().unwrap()
            == 0
        {}
    };
    wait_within(TIMEOUT, "stored content", progress).await;
    client.close().await;
    let shown = async {
        loop {
            let page = MetricsResponse::read(metrics).await;
            if page.number("quiver_kept_parts") == 1.0 {
                return page;
            }
        }
    };
    let page = wait_within(TIMEOUT, "the page to show the partial file", shown).await;
    assert_numbers(&page, &[("quiver_transfers_total{direction=\"put\",outcome=\"failed\"}", 1)]);
    let bytes = page.number("quiver_kept_parts_bytes");
    assert!(0.0 < bytes && bytes <= (2 * MIB) as f64, "{bytes}");
}

#[tokio::test]
async fn the_page_has_two_formats_and_serves_no_other_path_or_method() {
    let server = options_with_metrics().start().await;
    let metrics = server.metrics_address().await;
    let page = MetricsResponse::read(metrics).await;
    assert_eq!(page.status(), "200 OK");
    assert!(page.head.to_lowercase().contains("content-type: text/plain; version=0.0.4"));
    assert!(!page.body.contains("# EOF"));
    let open =
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: application/openmetrics-text\r\n\r\n";
    let page = MetricsResponse::request(metrics, open).await;
    assert!(page.head.to_lowercase().contains("content-type: application/openmetrics-text; "));
    assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
    let status = async |request: &str| {
        MetricsResponse::request(metrics, &format!("{request}\r\nHost: localhost\r\n\r\n"))
            .await
            .status()
            .to_owned()
    };
    assert_eq!(status("HEAD /metrics HTTP/1.1").await, "200 OK");
    assert_eq!(status("GET / HTTP/1.1").await, "404 Not Found");
    assert_eq!(status("GET /metrics/../secret HTTP/1.1").await, "404 Not Found");
    assert_eq!(status("POST /metrics HTTP/1.1").await, "405 Method Not Allowed");
    assert_eq!(
        status("PUT /metrics HTTP/1.1\r\nContent-Length: 9999999999").await,
        "405 Method Not Allowed"
    );
}

#[tokio::test]
async fn a_request_with_a_foreign_host_name_is_misdirected() {
    let options = options_with_metrics().argument("--metrics-host=quiver.example.org");
    let server = options.argument("--metrics-host=monitored").start().await;
    let metrics = server.metrics_address().await;
    let get = async |lines: &str| {
        MetricsResponse::request(metrics, &format!("GET {lines}\r\n\r\n")).await
    };
    let get_from_host = async |host: &str| get(&format!("/metrics HTTP/1.1\r\nHost: {host}")).await;
    let port = metrics.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]:9464",
        "quiver.example.org",
        &format!("Monitored:{port}"),
        // An address, with the port of a mapping.
        "192.0.2.7:1",
    ] {
        let page = get_from_host(host).await;
        assert_eq!(page.status(), "200 OK", "{host}");
        assert!(page.body.contains("quiver_clients 0"), "{}", page.body);
    }
    for host in ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example"] {
        let page = get_from_host(host).await;
        assert_eq!(page.status(), "421 Misdirected Request", "{host}");
        assert!(page.body.contains("--metrics-host"), "{}", page.body);
        assert!(!page.body.contains("quiver_clients"), "{}", page.body);
    }
    // A foreign host in the request line, no host, and two hosts are refused.
    let line = get("http://evil.example/metrics HTTP/1.1\r\nHost: 127.0.0.1").await;
    assert_eq!(line.status(), "421 Misdirected Request");
    assert_eq!(get("/metrics HTTP/1.1").await.status(), "400 Bad Request");
    let both = "/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example";
    assert_eq!(get(both).await.status(), "400 Bad Request");
    // HTTP/1.0 has no Host header.
    assert!(get("/metrics HTTP/1.0").await.head.starts_with("HTTP/1.0 200 OK"));
    let options = Server::options().argument("--metrics=0").argument("--metrics-host=a:9464");
    let failed = options.expect_start_failure(|_| {}).await;
    assert_eq!(failed.code(), 2, "{}", failed.stderr);
    assert!(failed.stderr.contains("expected the name of a host without a port"));
}

#[tokio::test]
async fn silent_and_endless_requests_do_not_block_other_readers() {
    let server = options_with_metrics().start().await;
    let metrics = server.metrics_address().await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(metrics).await.unwrap());
    }
    assert_eq!(MetricsResponse::read(metrics).await.status(), "200 OK");
    // The server closed the oldest connection.
    let mut byte = [0; 1];
    let ended = wait_within(TIMEOUT, "the end of a connection", silent[0].read(&mut byte)).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // The headers of this request never end.
    let mut endless = TcpStream::connect(metrics).await.unwrap();
    endless.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
    let send_headers = async { while endless.write_all(b"A: b\r\n").await.is_ok() {} };
    wait_within(TIMEOUT, "the end of the endless request", send_headers).await;
    assert_eq!(MetricsResponse::read(metrics).await.status(), "200 OK");
    let client = Client::member(&server, "Ron").await;
    client.assert_alive().await;
}

#[tokio::test]
async fn a_server_whose_metrics_address_is_taken_or_invalid_does_not_start() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let options = Server::options().argument(format!("--metrics={address}"));
    let failed = options.expect_start_failure(|_| {}).await;
    assert_eq!(failed.code(), 1);
    let error = format!("error: cannot show metrics on {address}: Address already in use");
    assert!(failed.stderr.contains(&error), "{}", failed.stderr);
    assert!(failed.stderr.contains("\nhint: choose another address with --metrics"));
    for invalid in ["nowhere", "127.0.0.1", "70000"] {
        let options = Server::options().argument(format!("--metrics={invalid}"));
        let failed = options.expect_start_failure(|_| {}).await;
        assert_eq!(failed.code(), 2, "{}", failed.stderr);
        assert!(failed.stderr.contains("expected a port or an address with one"));
    }
}

#[tokio::test]
async fn the_page_can_be_read_until_the_server_exits() {
    let mut server = options_with_metrics().argument("--allow-upload").start().await;
    let metrics: SocketAddr = server.metrics_address().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(5).bytes(MIB);
    let mut upload = client.put("up", json!(content.len())).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..1024]).await;
    let mut silent = TcpStream::connect(metrics).await.unwrap();
    server.signal(Signal::TERM);
    server.log().wait_for("stopping").await;
    // The server lets the put end, and serves the page until then.
    let page = MetricsResponse::read(metrics).await;
    assert_numbers(&page, &[("quiver_transfers_running{direction=\"put\"}", 1)]);
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    let ended = wait_within(TIMEOUT, "the end of a connection", silent.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    assert!(TcpStream::connect(metrics).await.is_err(), "the server still listens");
}

#[tokio::test]
async fn a_server_without_the_metrics_option_has_no_page() {
    let server = Server::start().await;
    assert_eq!(server.log().count("metrics"), 0);
    assert_eq!(listen_address(server.id(), SocketKind::Tcp), None);
}
