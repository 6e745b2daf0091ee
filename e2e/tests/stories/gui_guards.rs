//! Who may use the page of `quiver gui`: only the page itself, in a browser of this computer, opened by a fresh link.

use std::time::Duration;

use quiver_e2e::process::Signal;
use quiver_e2e::{Home, PageMessage, PageProgram, PageSocket};
use serde_json::json;

const NO_OPEN: [&str; 2] = ["gui", "--no-open"];

async fn start(home: &Home) -> PageProgram {
    PageProgram::start(&home.quiver(NO_OPEN)).await
}

#[tokio::test]
async fn only_the_exact_host_is_answered_before_a_body_is_read() {
    let home = Home::new();
    let page = start(&home).await;
    let port = page.port;
    for host in [format!("127.0.0.1:{port}"), format!("[::1]:{port}"), format!("localhost:{port}")]
    {
        let response = page.send("GET /", &[format!("Host: {host}")], "").await;
        assert_eq!(response.status, 200, "{host}: {response:?}");
        assert!(response.header("content-security-policy").contains(&format!("ws://{host};")));
    }
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", &format!("evil.example:{port}")] {
        for request in ["GET /", "GET /index.html", "POST /session", "GET /socket", "GET /none"] {
            // The body is announced, and not sent.
            let headers = [
                format!("Host: {host}"),
                format!("Origin: http://{host}"),
                "Content-Length: 100".to_owned(),
            ];
            let response = page.send(request, &headers, "").await;
            assert_eq!(response.status, 421, "{host} {request}: {response:?}");
        }
    }
    assert_eq!(page.send("GET /", &["X-A: b".to_owned()], "").await.status, 421);
}

#[tokio::test]
async fn other_origins_and_sites_are_refused() {
    let home = Home::new();
    let page = start(&home).await;
    let host = page.host();
    let other_port = format!("http://127.0.0.1:{}", page.port ^ 1);
    for origin in ["http://evil.example", "null", &other_port, "http://localhost"] {
        let headers = [
            format!("Host: {host}"),
            format!("Origin: {origin}"),
            "Content-Length: 100".to_owned(),
        ];
        assert_eq!(page.send("POST /session", &headers, "").await.status, 403, "{origin}");
        let mut headers = PageSocket::own_headers(page.address());
        headers[1] = format!("Origin: {origin}");
        let refused = PageSocket::upgrade(page.address(), &headers).await;
        assert_eq!(refused.unwrap_err(), 403, "{origin}");
    }
    let without = [format!("Host: {host}"), "Content-Length: 100".to_owned()];
    assert_eq!(page.send("POST /session", &without, "").await.status, 403);
    for (path, status) in [("/", 200), ("/index.html", 200), ("/none", 403)] {
        let headers = [
            format!("Host: {host}"),
            "Sec-Fetch-Site: cross-site".to_owned(),
            "Sec-Fetch-Mode: navigate".to_owned(),
            "Sec-Fetch-Dest: document".to_owned(),
        ];
        assert_eq!(page.send(&format!("GET {path}"), &headers, "").await.status, status);
        let embedded = [format!("Host: {host}"), "Sec-Fetch-Site: same-site".to_owned()];
        assert_eq!(page.send(&format!("GET {path}"), &embedded, "").await.status, 403, "{path}");
    }
    // None of this has used up the code.
    page.open().await.snapshot().await;
}

#[tokio::test]
async fn a_code_works_once_and_only_as_it_was_printed() {
    let home = Home::new();
    let page = start(&home).await;
    for code in ["", "a", &page.code[1..], &page.code.to_lowercase()] {
        assert_eq!(page.exchange(code).await.status, 401, "{code}");
    }
    for body in ["", "{}", "{\"code\":1}", "[]"] {
        let host = page.host();
        let headers = [
            format!("Host: {host}"),
            format!("Origin: http://{host}"),
            format!("Content-Length: {}", body.len()),
        ];
        assert_eq!(page.send("POST /session", &headers, body).await.status, 400, "{body}");
    }
    assert_eq!(page.exchange(&"a".repeat(2000)).await.status, 413);
    let response = page.exchange(&page.code).await;
    assert_eq!((response.status, response.header("cache-control")), (200, "no-store"));
    let refused = page.exchange(&page.code).await;
    assert_eq!(refused.status, 401);
    assert!(refused.body.starts_with("{\"code\":\"expired\","), "{}", refused.body);
}

#[tokio::test]
async fn files_have_headers_that_keep_other_sites_out() {
    let home = Home::new();
    let page = start(&home).await;
    let response = page.get("/").await;
    assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    assert_eq!(response.header("referrer-policy"), "no-referrer");
    assert_eq!(response.header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(response.header("cross-origin-embedder-policy"), "require-corp");
    assert_eq!(response.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(response.header("cache-control"), "no-cache");
    let policy = response.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self';",
        "style-src 'self';",
        "img-src 'self' blob:;",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!response.head.contains("et-cookie"), "{}", response.head);
    let known =
        [format!("Host: {}", page.host()), format!("If-None-Match: {}", response.header("etag"))];
    let unchanged = page.send("GET /", &known, "").await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    assert_eq!(page.get("/../Cargo.toml").await.status, 404);
    let host = format!("Host: {}", page.host());
    assert_eq!(page.send("DELETE /", std::slice::from_ref(&host), "").await.status, 405);
    let head = page.send("HEAD /", &[host], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn the_socket_reads_nothing_before_the_secret() {
    let home = Home::new();
    let page = start(&home).await;
    let secret = page.secret().await;
    let closed_after = async |message: serde_json::Value| {
        let mut socket = PageSocket::connect(page.address()).await;
        socket.send(&message).await;
        socket.receive().await
    };
    let refused = PageMessage::Closed(4401);
    assert_eq!(closed_after(json!({"secret": "a", "after": 0})).await, refused);
    assert_eq!(closed_after(json!({"secret": page.code, "after": 0})).await, refused);
    assert_eq!(closed_after(json!({"id": 1, "do": "transfers"})).await, PageMessage::Closed(1008));
    let long = json!({"secret": secret, "after": 0, "more": "a".repeat(1024)});
    assert_eq!(closed_after(long).await, PageMessage::Closed(1009));
    // Refused by its header alone.
    for length in [64 * 1024 + 1, 1 << 40] {
        let mut socket = PageSocket::connect(page.address()).await;
        socket.send_text_header(length).await;
        assert_eq!(socket.receive().await, PageMessage::Closed(1009));
        let mut socket = PageSocket::open(page.address(), &secret).await;
        socket.snapshot().await;
        socket.send_text_header(length).await;
        assert_eq!(socket.receive().await, PageMessage::Closed(1009));
    }
    let silent = std::time::Instant::now();
    let mut socket = PageSocket::connect(page.address()).await;
    assert_eq!(socket.receive().await, PageMessage::Closed(4408));
    assert!(silent.elapsed() >= Duration::from_secs(5), "{:?}", silent.elapsed());
    // Without the subprotocol there is no socket.
    let headers = PageSocket::own_headers(page.address());
    let refused = PageSocket::upgrade(page.address(), &headers[..2]).await;
    assert_eq!(refused.unwrap_err(), 400);
}

#[tokio::test]
async fn sockets_without_a_secret_are_few_and_do_not_keep_pages_out() {
    let home = Home::new();
    let page = start(&home).await;
    let secret = page.secret().await;
    let mut open = PageSocket::open(page.address(), &secret).await;
    open.snapshot().await;
    let mut silent = Vec::new();
    for _ in 0..16 {
        silent.push(PageSocket::connect(page.address()).await);
    }
    let headers = PageSocket::own_headers(page.address());
    assert_eq!(PageSocket::upgrade(page.address(), &headers).await.unwrap_err(), 503);
    // Those that are open are not affected, and the others make room in five seconds.
    open.request(json!({"do": "transfers"})).await.unwrap();
    assert_eq!(silent[0].receive().await, PageMessage::Closed(4408));
    PageSocket::open(page.address(), &secret).await.snapshot().await;
}

#[tokio::test]
async fn a_page_that_sends_what_is_no_request_learns_why() {
    let home = Home::new();
    let page = start(&home).await;
    let mut socket = page.open().await;
    let error = socket.request(json!({"do": "fly", "password": "opensesame"})).await.unwrap_err();
    assert_eq!(error["code"], "invalid_request");
    assert!(!error.to_string().contains("opensesame"), "{error}");
    // Without a client there is nothing to list.
    let list = json!({"do": "list", "folder": "", "limit": 10});
    assert_eq!(socket.request(list).await.unwrap_err()["code"], "invalid_request");
    socket.send(&json!({"do": "transfers"})).await;
    assert_eq!(socket.receive().await, PageMessage::Closed(1008));
    page.process.signal(Signal::INT);
}
