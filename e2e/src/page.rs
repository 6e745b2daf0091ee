//! The page with a server's metrics, read over plain HTTP/1.1, and the numbers on it. Knows nothing of what
//! they mean.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::deadline::{PATIENCE, within};

/// An answer, whole.
#[derive(Debug)]
pub struct Page {
    /// The status line and the headers.
    pub head: String,
    /// What they are about.
    pub body: String,
}

impl Page {
    /// `GET /metrics`.
    ///
    /// # Panics
    /// Where nobody answers.
    pub async fn read(address: SocketAddr) -> Self {
        Self::ask(address, &format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n")).await
    }

    /// Says this, and reads to the end of the connection.
    ///
    /// # Panics
    /// Where nobody answers.
    pub async fn ask(address: SocketAddr, request: &str) -> Self {
        let asked = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Whoever has heard enough answers and reads no further.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            // The same once the answer is out.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        let answer = within(PATIENCE, "the page with the metrics", asked).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        Self { head: head.to_owned(), body: body.to_owned() }
    }

    /// The status, as `200 OK`.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn status(&self) -> &str {
        self.head.lines().next().unwrap().strip_prefix("HTTP/1.1 ").expect("a status line")
    }

    /// A number by its whole name, as `quiver_transfers_total{direction="get",outcome="verified"}`; 0 where it
    /// is not shown.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> f64 {
        let line = self.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |number| number.parse().expect("a number"))
    }
}
