//! The WebSocket of a page, frame by frame (RFC 6455), and the requests and events on it. Masks with zeros.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::deadline::{TIMEOUT, wait_within};

/// A key as browsers send it; the answer to it is not checked.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

/// A connected page.
#[derive(Debug)]
pub struct PageSocket {
    stream: BufReader<TcpStream>,
    last_id: u64,
    /// Events that were received while a reply was awaited.
    events: VecDeque<Value>,
    /// Replies that were received while something else was awaited.
    replies: HashMap<u64, Value>,
}

/// What the process has sent.
#[derive(Debug, PartialEq, Eq)]
pub enum PageMessage {
    /// A text, as JSON.
    Json(Value),
    /// The connection is closed with this code.
    Closed(u16),
    /// The connection has ended.
    Ended,
}

impl PageSocket {
    /// Asks for a WebSocket with these header lines. Returns the socket, or the status of the refusal.
    ///
    /// # Errors
    /// The status.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn upgrade(address: SocketAddr, headers: &[String]) -> Result<Self, u16> {
        let upgraded = async {
            let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
            let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let request = format!(
                "GET /socket HTTP/1.1\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut status = String::new();
            stream.read_line(&mut status).await.unwrap();
            let status: u16 = status.split(' ').nth(1).unwrap().parse().unwrap();
            if status != 101 {
                return Err(status);
            }
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line).await.unwrap();
            }
            Ok(Self { stream, last_id: 0, events: VecDeque::new(), replies: HashMap::new() })
        };
        wait_within(TIMEOUT, "the upgrade", upgraded).await
    }

    /// The header lines of the page itself.
    #[must_use]
    pub fn own_headers(address: SocketAddr) -> Vec<String> {
        vec![
            format!("Host: {address}"),
            format!("Origin: http://{address}"),
            "Sec-WebSocket-Protocol: quiver-page-1".to_owned(),
        ]
    }

    /// Connects as the page itself, without a first message.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::upgrade(address, &Self::own_headers(address)).await.unwrap()
    }

    /// Connects and shows a secret. The snapshot is the first event.
    ///
    /// # Panics
    /// If that is refused.
    pub async fn open(address: SocketAddr, secret: &str) -> Self {
        let mut socket = Self::connect(address).await;
        socket.send(&json!({"secret": secret, "after": 0})).await;
        socket
    }

    /// Sends a message.
    ///
    /// # Panics
    /// If the connection has ended.
    pub async fn send(&mut self, message: &Value) {
        let text = message.to_string();
        self.send_header(TEXT, text.len()).await;
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends only the header of a message of this length, and none of its content.
    ///
    /// # Panics
    /// If the connection has ended.
    pub async fn send_text_header(&mut self, length: usize) {
        self.send_header(TEXT, length).await;
    }

    async fn send_header(&mut self, kind: u8, length: usize) {
        let mut header = vec![0x80 | kind];
        match length {
            0..126 => header.push(0x80 | length as u8),
            126..=0xffff => {
                header.push(0x80 | 126);
                header.extend((length as u16).to_be_bytes());
            }
            _ => {
                header.push(0x80 | 127);
                header.extend((length as u64).to_be_bytes());
            }
        }
        header.extend([0; 4]);
        self.stream.write_all(&header).await.unwrap();
    }

    /// Receives the next message.
    ///
    /// # Panics
    /// If there is none within [`TIMEOUT`].
    pub async fn receive(&mut self) -> PageMessage {
        wait_within(TIMEOUT, "a message of the page's process", self.read_message()).await
    }

    async fn read_message(&mut self) -> PageMessage {
        let mut header = [0; 2];
        if self.stream.read_exact(&mut header).await.is_err() {
            return PageMessage::Ended;
        }
        assert_eq!(header[0] & 0x80, 0x80, "the message is not in one frame");
        let length = match header[1] {
            126 => u64::from(self.stream.read_u16().await.unwrap()),
            127 => self.stream.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut content = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut content).await.unwrap();
        match header[0] & 0x0f {
            TEXT => PageMessage::Json(serde_json::from_slice(&content).unwrap()),
            CLOSE => PageMessage::Closed(u16::from_be_bytes([content[0], content[1]])),
            kind => panic!("a frame of kind {kind}"),
        }
    }

    /// Sends a request, and returns the number that its reply will have.
    ///
    /// # Panics
    /// If the connection has ended.
    pub async fn start_request(&mut self, mut request: Value) -> u64 {
        self.last_id += 1;
        request["id"] = self.last_id.into();
        self.send(&request).await;
        self.last_id
    }

    /// Waits for the reply to a request: what is in `ok`.
    ///
    /// # Errors
    /// What is in `error`.
    ///
    /// # Panics
    /// If there is none.
    pub async fn wait_for_reply(&mut self, id: u64) -> Result<Value, Value> {
        let mut reply = loop {
            match self.replies.remove(&id) {
                Some(reply) => break reply,
                None => self.receive_and_sort().await,
            }
        };
        match reply.get("ok") {
            Some(ok) => Ok(ok.clone()),
            None => Err(reply["error"].take()),
        }
    }

    /// Receives an event or a reply, for later.
    async fn receive_and_sort(&mut self) {
        match self.receive().await {
            PageMessage::Json(event) if event.get("event").is_some() => {
                self.events.push_back(event);
            }
            PageMessage::Json(reply) => {
                self.replies.insert(reply["id"].as_u64().unwrap(), reply);
            }
            other => panic!("neither an event nor a reply: {other:?}"),
        }
    }

    /// Sends a request, and waits for its reply.
    ///
    /// # Errors
    /// What is in `error`.
    ///
    /// # Panics
    /// If there is no reply.
    pub async fn request(&mut self, request: Value) -> Result<Value, Value> {
        let id = self.start_request(request).await;
        self.wait_for_reply(id).await
    }

    /// The next event.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next_event(&mut self) -> Value {
        loop {
            match self.events.pop_front() {
                Some(event) => return event,
                None => self.receive_and_sort().await,
            }
        }
    }

    /// The next event of those that were received while a reply was awaited.
    pub fn received_event(&mut self) -> Option<Value> {
        self.events.pop_front()
    }

    /// Waits for an event of this kind that `wanted` accepts. Passes over others.
    ///
    /// # Panics
    /// If there is none.
    pub async fn wait_for_event(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = self.next_event().await;
                if event["kind"] == kind && wanted(&event) {
                    return event;
                }
            }
        };
        wait_within(TIMEOUT, kind, found).await
    }

    /// Waits for the snapshot.
    ///
    /// # Panics
    /// If there is none.
    pub async fn snapshot(&mut self) -> Value {
        self.wait_for_event("snapshot", |_| true).await["snapshot"].take()
    }
}
