//! A running `quiver gui`, and browsers of its page as far as they matter: plain HTTP/1.1, written byte by byte.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::deadline::{TIMEOUT, wait_within};
use crate::page_socket::PageSocket;
use crate::process::Process;
use crate::quiver::QuiverCommand;

/// A running `quiver gui`.
#[derive(Debug)]
pub struct PageProgram {
    /// The process.
    pub process: Process,
    /// The port of the page.
    pub port: u16,
    /// The code of the first link.
    pub code: String,
}

/// A whole HTTP response.
#[derive(Debug)]
pub struct PageResponse {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body, as text as far as it is one.
    pub body: String,
    /// The body.
    pub content: Vec<u8>,
}

/// A file that a page hands over, with the values of its headers.
#[derive(Debug, Clone, Copy)]
pub struct SpooledFile<'a> {
    /// The id of the drop.
    pub dropped: &'a str,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// The content.
    pub content: &'a [u8],
    /// When it was last modified, in milliseconds since 1970.
    pub modified: i64,
}

impl PageProgram {
    /// Starts it, and waits for its link.
    ///
    /// # Panics
    /// If it prints none.
    pub async fn start(command: &QuiverCommand) -> Self {
        let process = command.start();
        let line = process.stdout.wait(|line| Some(line.to_owned()));
        let line = wait_within(TIMEOUT, "the link", line).await;
        let link = line.unwrap_or_else(|| panic!("no link: {:?}", process.stderr.lines()));
        let (port, code) = parse_link(&link);
        Self { process, port, code }
    }

    /// Its IPv4 address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its host, as in a Host header.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// Sends a request with these lines after the request line, and a body.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn send(
        &self,
        request_line: &str,
        headers: &[String],
        body: impl AsRef<[u8]>,
    ) -> PageResponse {
        let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let head = format!("{request_line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        PageResponse::exchange(self.address(), &[head.as_bytes(), body.as_ref()].concat()).await
    }

    /// Requests a path as a program does, with the right Host.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn get(&self, path: &str) -> PageResponse {
        self.send(&format!("GET {path}"), &[format!("Host: {}", self.host())], "").await
    }

    /// The header lines of a file that the page itself hands over.
    #[must_use]
    pub fn spool_headers(&self, secret: &str, file: SpooledFile<'_>) -> Vec<String> {
        let (host, size) = (self.host(), file.content.len());
        vec![
            format!("Host: {host}"),
            format!("Origin: http://{host}"),
            format!("X-Quiver-Secret: {secret}"),
            format!("X-Quiver-Drop: {}", file.dropped),
            format!("X-Quiver-Path: {}", file.path),
            format!("X-Quiver-Size: {size}"),
            format!("X-Quiver-Modified: {}", file.modified),
            format!("Content-Length: {size}"),
        ]
    }

    /// Hands over a file, as the page does.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn spool(&self, secret: &str, file: SpooledFile<'_>) -> PageResponse {
        let headers = self.spool_headers(secret, file);
        self.send("POST /spool", &headers, file.content).await
    }

    /// Requests a preview, as the page does. `path` is percent-encoded.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn preview(&self, secret: &str, path: &str) -> PageResponse {
        let headers = [format!("Host: {}", self.host()), format!("X-Quiver-Secret: {secret}")];
        self.send(&format!("GET /preview?path={path}"), &headers, "").await
    }

    /// Tries to exchange a code for a secret, as the page does.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn exchange(&self, code: &str) -> PageResponse {
        let (host, body) = (self.host(), json!({ "code": code }).to_string());
        let headers = [
            format!("Host: {host}"),
            format!("Origin: http://{host}"),
            format!("Content-Length: {}", body.len()),
        ];
        self.send("POST /session", &headers, &body).await
    }

    /// The secret of a new tab, from the first link.
    ///
    /// # Panics
    /// If the code of that link is not valid any more.
    pub async fn secret(&self) -> String {
        let response = self.exchange(&self.code).await;
        assert_eq!(response.status, 200, "{response:?}");
        let body: Value = serde_json::from_str(&response.body).unwrap();
        body["secret"].as_str().unwrap().to_owned()
    }

    /// Opens the page of the first link.
    ///
    /// # Panics
    /// If it cannot be opened.
    pub async fn open(&self) -> PageSocket {
        PageSocket::open(self.address(), &self.secret().await).await
    }
}

impl PageResponse {
    async fn exchange(address: SocketAddr, request: &[u8]) -> Self {
        let exchanged = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // A server that has read enough responds and stops reading.
            let _ = stream.write_all(request).await;
            let mut response = Vec::new();
            // It may also reset the connection after its response.
            let _ = stream.read_to_end(&mut response).await;
            response
        };
        let response = wait_within(TIMEOUT, "a response of the page", exchanged).await;
        let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let (head, content) = response.split_at(end.expect("a head and a body"));
        let head = String::from_utf8(head.to_owned()).unwrap();
        let content = content[4..].to_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = String::from_utf8_lossy(&content).into_owned();
        Self { status: status.expect("a status"), head, body, content }
    }

    /// The value of a header.
    ///
    /// # Panics
    /// If it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        found.next().unwrap_or_else(|| panic!("no {name}: {}", self.head)).1
    }
}

/// The port and the code of a link.
///
/// # Panics
/// If it is not one of the page.
#[must_use]
pub fn parse_link(link: &str) -> (u16, String) {
    let parsed = link.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split_once("/#code="));
    let (port, code) = parsed.unwrap_or_else(|| panic!("not a link: {link}"));
    assert!(code.len() >= 32, "{code}");
    (port.parse().unwrap(), code.to_owned())
}
