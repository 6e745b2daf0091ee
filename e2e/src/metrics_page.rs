//! The page with a server's metrics, read over plain HTTP/1.1, and its numbers. Knows nothing of their
//! meaning.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::deadline::{TIMEOUT, wait_within};

/// A whole HTTP response.
#[derive(Debug)]
pub struct MetricsResponse {
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: String,
}

impl MetricsResponse {
    /// Requests `GET /metrics`.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn read(address: SocketAddr) -> Self {
        Self::request(address, &format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
    }

    /// Reads the metrics until one has this value.
    ///
    /// # Panics
    /// If it does not get the value.
    pub async fn wait_for(address: SocketAddr, name: &str, number: u64) {
        let counted = async { while Self::read(address).await.number(name) != number as f64 {} };
        wait_within(TIMEOUT, &format!("{name} to be {number}"), counted).await;
    }

    /// Sends these bytes, and reads to the end of the connection.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn request(address: SocketAddr, request: &str) -> Self {
        let exchange = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // A server that has read enough responds and stops reading.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut response = Vec::new();
            // It may also reset the connection after its response.
            let _ = stream.read_to_end(&mut response).await;
            String::from_utf8(response).unwrap()
        };
        let response = wait_within(TIMEOUT, "the page with the metrics", exchange).await;
        let (head, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        Self { head: head.to_owned(), body: body.to_owned() }
    }

    /// The status, such as `200 OK`.
    ///
    /// # Panics
    /// If there is no status line.
    #[must_use]
    pub fn status(&self) -> &str {
        self.head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").expect("a status line")
    }

    /// The value of a metric by its whole name, such as
    /// `quiver_transfers_total{direction="get",outcome="verified"}`; 0 if the page has the metric, but no value with
    /// these labels.
    ///
    /// # Panics
    /// If the page does not have the metric, or the value is no number.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        let metric = name.split('{').next().unwrap();
        let is_known = |line: &str| line.split([' ', '{']).any(|word| word == metric);
        assert!(self.body.lines().any(is_known), "no metric {metric} in {}", self.body);
        let line = self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().expect("a number"))
    }
}
