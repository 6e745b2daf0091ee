//! `POST /spool`: who may hand over content, under which paths and ids, how much, and what an aborted request leaves.

use std::fs;
use std::path::PathBuf;

use quiver_e2e::page_user::{spool_folder, spooled_files, wait_for_empty_spool};
use quiver_e2e::{Home, PageProgram, PageUser, Server, SpooledFile, wait_until};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ONE: &str = "00000000000000a1";
const TWO: &str = "00000000000000b2";

#[tokio::test]
async fn only_the_page_hands_over_content_and_nothing_is_read_before_that_is_sure() {
    let home = Home::new();
    let page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    let secret = page.secret().await;
    let file = SpooledFile { dropped: ONE, path: "a", content: b"content", modified: 1 };
    let own = page.spool_headers(&secret, file);
    let other_port = format!("http://127.0.0.1:{}", page.port ^ 1);
    let with = |changed: &str, line: Option<&str>| {
        let mut headers = own.clone();
        headers.retain(|header| !header.starts_with(changed));
        headers.extend(line.map(str::to_owned));
        headers
    };
    for (changed, line, status) in [
        ("Host", Some("Host: evil.example"), 421),
        ("Origin", Some("Origin: http://evil.example"), 403),
        ("Origin", Some(&*format!("Origin: {other_port}")), 403),
        ("Origin", None, 403),
        ("Sec-Fetch-Site", Some("Sec-Fetch-Site: same-site"), 403),
        ("X-Quiver-Secret", None, 401),
        ("X-Quiver-Secret", Some("X-Quiver-Secret: x"), 401),
        ("X-Quiver-Secret", Some(&*format!("X-Quiver-Secret: {}", page.code)), 401),
    ] {
        // The body is announced, and not sent.
        let response = page.send("POST /spool", &with(changed, line), "").await;
        assert_eq!(response.status, status, "{changed} {line:?}: {response:?}");
    }
    assert_eq!(page.send("GET /spool", &own, "").await.status, 405);
    assert!(!spool_folder(&home).exists());
}

#[tokio::test]
async fn paths_and_ids_that_lead_elsewhere_are_refused() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &[]).await;
    let (long, deep) = ("a".repeat(256), "a/".repeat(2100) + "b");
    for path in [
        "..",
        "../a",
        "a/../../b",
        "%2e%2e%2fa",
        "/tmp/a",
        "%2Ftmp%2Fa",
        "a%00",
        "a%0a",
        "a%5C..%5Cb",
        "a//b",
        "%FF",
        ".",
        &long,
        &deep,
    ] {
        assert_eq!(ann.spool(ONE, path, b"x").await, (400, json!("invalid_request")), "{path}");
    }
    for id in
        ["", "..", "../../../../../etc", "00000000000000a", "00000000000000a1/", "g000000000000000"]
    {
        assert_eq!(ann.spool(id, "a", b"x").await, (400, json!("invalid_request")), "{id}");
        assert_eq!(ann.put(id, "").await.unwrap_err()["code"], "invalid_request", "{id}");
    }
    // A body that is longer or shorter than announced.
    for (size, content) in [(3, &b"four"[..]), (5, b"four")] {
        let file = SpooledFile { dropped: ONE, path: "a", content, modified: 1 };
        let mut headers = ann.page.spool_headers(&ann.secret, file);
        headers.retain(|header| !header.starts_with("X-Quiver-Size"));
        headers.push(format!("X-Quiver-Size: {size}"));
        assert_eq!(ann.page.send("POST /spool", &headers, content).await.status, 400);
        // In chunks, without its length.
        headers.retain(|header| !header.starts_with("Content-Length"));
        headers.push("Transfer-Encoding: chunked".to_owned());
        let chunks = "4\r\nfour\r\n0\r\n\r\n";
        assert_eq!(ann.page.send("POST /spool", &headers, chunks).await.status, 400, "{size}");
    }
    assert_eq!(ann.spool(ONE, "a", b"x").await.0, 200);
    for path in ["a", "a/b"] {
        assert_eq!(ann.spool(ONE, path, b"y").await, (409, json!("exists")), "{path}");
    }
    assert_eq!(spooled_files(&home).len(), 1);
    assert!(ann.put(ONE, "../x").await.is_err());
    // It can be put still.
    let transfer = ann.put(ONE, "").await.unwrap();
    ann.wait_for_transfer(&transfer, "done").await;
    assert_eq!(fs::read(server.root().join("files/a")).unwrap(), b"x");
}

#[tokio::test]
async fn content_beyond_the_limit_is_refused_until_there_is_space_again() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &["--spool-limit", "100kB"]).await;
    let quota = (507, json!("quota"));
    let large = vec![7; 100_000];
    assert_eq!(ann.spool(ONE, "a", &large).await, quota);
    assert_eq!(ann.spool(ONE, "a", &large[..60_000]).await.0, 200);
    assert_eq!(ann.spool(TWO, "b", &large[..60_000]).await, quota);
    // Announced sizes count, not those that arrive.
    let file = SpooledFile { dropped: TWO, path: "b", content: b"x", modified: 1 };
    let mut headers = ann.page.spool_headers(&ann.secret, file);
    headers.retain(|header| !header.contains("Size") && !header.contains("Length"));
    headers.push("X-Quiver-Size: 9007199254740992".to_owned());
    headers.push("Transfer-Encoding: chunked".to_owned());
    assert_eq!(ann.page.send("POST /spool", &headers, "").await.status, 507);
    assert_eq!(spooled_files(&home).len(), 1);
    ann.socket.request(json!({"do": "discard_spooled", "drop": ONE})).await.unwrap();
    wait_for_empty_spool(&home).await;
    let mut last = ann.spool(ONE, "a", &large[..60_000]).await;
    while last == quota {
        // The space is free once the folder is gone.
        last = ann.spool(ONE, "a", &large[..60_000]).await;
    }
    assert_eq!(last.0, 200);
}

#[tokio::test]
async fn a_request_that_is_aborted_leaves_nothing() {
    let server = Server::start().await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &[]).await;
    let content = vec![7; 2_000_000];
    let file = SpooledFile { dropped: ONE, path: "a", content: &content, modified: 1 };
    let headers = ann.page.spool_headers(&ann.secret, file);
    let mut stream = TcpStream::connect(ann.page.address()).await.unwrap();
    let head = format!("POST /spool HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n"));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&content[..1_000_000]).await.unwrap();
    let is_part = |path: &PathBuf| fs::metadata(path).is_ok_and(|part| part.len() > 500_000);
    wait_until("a part", || spooled_files(&home).iter().any(is_part)).await;
    // Not while it is being received.
    assert_eq!(ann.put(ONE, "").await.unwrap_err()["code"], "invalid_request");
    drop(stream);
    wait_for_empty_spool(&home).await;
    assert_eq!(ann.put(ONE, "").await.unwrap_err()["code"], "not_found");
    // A discarded drop ends what is being received.
    let mut stream = TcpStream::connect(ann.page.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&content[..1_000_000]).await.unwrap();
    wait_until("a part", || spooled_files(&home).iter().any(is_part)).await;
    ann.socket.request(json!({"do": "discard_spooled", "drop": ONE})).await.unwrap();
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response).await;
    assert!(response.starts_with(b"HTTP/1.1 409"), "{}", String::from_utf8_lossy(&response));
    wait_for_empty_spool(&home).await;
}
