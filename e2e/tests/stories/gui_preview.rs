//! A look at files of the server on the page: texts and pictures, recognised by their content, with limits.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, PageProgram, PageSocket, Server, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Opens a page that has signed in as Ann, with the secret of its tab.
async fn open(home: &Home, server: &Server, address: &str) -> (PageProgram, String, PageSocket) {
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let secret = page.secret().await;
    let mut socket = PageSocket::open(page.address(), &secret).await;
    let request = json!({
        "do": "connect", "server": address, "name": "Ann", "certificate": server.certificate(),
    });
    socket.request(request).await.unwrap();
    (page, secret, socket)
}

#[tokio::test]
async fn texts_and_pictures_are_shown_and_nothing_else() {
    let server = Server::start().await;
    let long = "a".repeat(256 * 1024 - 1) + "€€€";
    let picture = [PNG, &vec![0; 1_000_000]].concat();
    server.add_file("notes/ü b.txt", "Grüße\n");
    server.add_file("long.txt", &long);
    server.add_file("empty", "");
    server.add_file("evil.html", "<script>alert(1)</script>");
    server.add_file("drawing.svg", "<svg onload='alert(1)'/>");
    server.add_file("picture.txt", &picture);
    server.add_file("huge.png", [PNG, &vec![0; 16 * 1024 * 1024]].concat());
    server.add_file("binary.txt", b"text\0text");
    server.add_file("latin1.txt", b"Gr\xfc\xdfe");
    let home = Home::new();
    let (page, secret, mut socket) = open(&home, &server, &server.address().to_string()).await;
    for (path, shown) in [
        ("notes%2F%C3%BC%20b.txt", "Grüße\n"),
        ("long.txt", &long[..256 * 1024 - 1]),
        ("empty", ""),
        ("evil.html", "<script>alert(1)</script>"),
        ("drawing.svg", "<svg onload='alert(1)'/>"),
    ] {
        let response = page.preview(&secret, path).await;
        assert_eq!((response.status, response.body.as_str()), (200, shown), "{path}");
        assert_eq!(response.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(response.header("x-content-type-options"), "nosniff");
        assert_eq!(response.header("cache-control"), "no-store");
        let policy = response.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && policy.ends_with("sandbox"),
            "{policy}"
        );
    }
    let response = page.preview(&secret, "picture.txt").await;
    assert_eq!((response.status, response.header("content-type")), (200, "image/png"));
    assert_eq!(response.content, picture);
    for (path, status, code) in [
        ("huge.png", 415, "invalid_request"),
        ("binary.txt", 415, "invalid_request"),
        ("latin1.txt", 415, "invalid_request"),
        ("notes", 415, "invalid_request"),
        ("none", 404, "not_found"),
        ("..%2Fetc%2Fpasswd", 400, "invalid_request"),
        // A path of the server, as people type it.
        ("%2Fetc%2Fpasswd", 404, "not_found"),
        ("%FF", 400, "invalid_request"),
        ("empty&path=long.txt", 400, "invalid_request"),
        ("", 400, "invalid_request"),
    ] {
        let response = page.preview(&secret, path).await;
        assert_eq!(response.status, status, "{path}: {response:?}");
        assert_eq!(response.header("content-type"), "application/json");
        let body: serde_json::Value = serde_json::from_str(&response.body).unwrap();
        assert_eq!(body["code"], code, "{path}: {body}");
    }
    // A look is no transfer.
    let transfers = socket.request(json!({"do": "transfers"})).await.unwrap();
    assert_eq!(transfers, json!({"transfers": []}));
    assert_eq!(home.journal().len(), 0);
}

#[tokio::test]
async fn only_the_page_itself_gets_a_preview() {
    let server = Server::start().await;
    server.add_file("a.txt", "content");
    let home = Home::new();
    let (page, secret, mut socket) = open(&home, &server, &server.address().to_string()).await;
    let host = format!("Host: {}", page.host());
    let own = format!("X-Quiver-Secret: {secret}");
    for (headers, status) in [
        (vec![host.clone(), own.clone()], 200),
        (vec![host.clone()], 401),
        (vec![host.clone(), "X-Quiver-Secret: x".to_owned()], 401),
        (vec![host.clone(), own.clone(), own.clone()], 401),
        (vec![host.clone(), own.clone(), "Origin: http://evil.example".to_owned()], 403),
        (vec![host.clone(), own.clone(), "Sec-Fetch-Site: same-site".to_owned()], 403),
        (vec![host.clone(), own.clone(), "Sec-Fetch-Site: cross-site".to_owned()], 403),
        (vec!["Host: evil.example".to_owned(), own.clone()], 421),
    ] {
        let response = page.send("GET /preview?path=a.txt", &headers, "").await;
        assert_eq!(response.status, status, "{headers:?}");
    }
    let posted = [host, own, format!("Origin: http://{}", page.host())];
    assert_eq!(page.send("POST /preview?path=a.txt", &posted, "").await.status, 405);
    socket.request(json!({"do": "disconnect"})).await.unwrap();
    let response = page.preview(&secret, "a.txt").await;
    assert_eq!(response.status, 503);
}

#[tokio::test]
async fn a_preview_ends_with_its_tab_and_few_run_at_once() {
    let server = Server::start().await;
    server.add_file("slow.png", [PNG, &vec![0; 15_000_000]].concat());
    server.add_file("a.txt", "content");
    let relay = UdpRelay::start(server.address()).await;
    let home = Home::new();
    let (page, secret, _socket) = open(&home, &server, &relay.address().to_string()).await;
    let before = server.descriptors();
    relay.limit_rate(2_000_000);
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(page.address()).await.unwrap();
        let request = format!(
            "GET /preview?path=slow.png HTTP/1.1\r\nHost: {}\r\nX-Quiver-Secret: {secret}\r\n\r\n",
            page.host()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    // They end once the tab is closed, and not only when everything has been received, which takes 30 seconds.
    let started = std::time::Instant::now();
    let waiting = page.preview(&secret, "a.txt");
    let closed = async {
        let mut byte = [0; 1];
        let early = std::time::Duration::from_millis(500);
        let answered = tokio::time::timeout(early, streams[0].read(&mut byte)).await;
        assert!(answered.is_err(), "{answered:?}");
        streams.clear();
    };
    let (response, ()) = tokio::join!(waiting, closed);
    assert_eq!((response.status, response.body.as_str()), (200, "content"));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    wait_until("no open file of the server", || server.descriptors() == before).await;
}
