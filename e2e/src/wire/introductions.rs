//! A client that takes and asks for introductions, and relays packets.

use serde_json::{Value, json};

use super::client::Client;
use super::frame::{RawFrame, kind};
use super::stream::{RawResponse, RawStream};
use crate::deadline::{TIMEOUT, wait_within};

impl Client {
    /// Sends a request on a new stream that stays open.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub async fn start_request(&self, request: Value) -> RawStream {
        let mut stream = self.open().await.unwrap();
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        stream
    }

    /// Listens, and returns the stream after its first reply.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn listen(&self) -> RawStream {
        let mut stream = self.start_request(json!({"command": "listen"})).await;
        stream.finish();
        assert_eq!(stream.next_reply().await["reply"], "listening");
        stream
    }

    /// Answers the introduction that a listening stream gets next. Returns it.
    ///
    /// # Panics
    /// If there is none, or the answer is refused.
    pub async fn answer_next(&self, listening: &mut RawStream, accept: bool) -> Value {
        let introduction = listening.next_introduction().await;
        self.answer(&introduction["id"], accept).await.eof();
        introduction
    }

    /// Answers an introduction.
    ///
    /// # Panics
    /// If there is no response.
    pub async fn answer(&self, id: &Value, accept: bool) -> RawResponse {
        self.request(json!({"command": "answer", "id": id, "accept": accept})).await
    }

    /// Asks for an introduction, which `other` accepts on its listening stream. Returns its id.
    ///
    /// # Panics
    /// If it fails.
    pub async fn introduce(&self, name: &str, other: &Self, listening: &mut RawStream) -> Value {
        let request = self.request(json!({"command": "introduce", "name": name}));
        let (introduced, introduction) = tokio::join!(request, other.answer_next(listening, true));
        assert_eq!(introduced.reply()["id"], introduction["id"]);
        introduction["id"].clone()
    }

    /// Relays with the other side of an introduction, which relays too. Returns both streams.
    ///
    /// # Panics
    /// If either is refused.
    pub async fn relay_with(&self, other: &Self, id: &Value) -> [RawStream; 2] {
        let relay = json!({"command": "relay", "id": id});
        let mut own_end = self.start_request(relay.clone()).await;
        let mut other_end = other.start_request(relay).await;
        for end in [&mut own_end, &mut other_end] {
            assert_eq!(end.next_reply().await["reply"], "relaying");
        }
        [own_end, other_end]
    }
}

impl RawStream {
    /// The next frame.
    ///
    /// # Panics
    /// If the stream ends before.
    pub async fn next_frame(&mut self) -> RawFrame {
        wait_within(TIMEOUT, "a frame", self.read_frame()).await.unwrap().expect("a frame")
    }

    /// The object of the next frame, which is a Reply.
    ///
    /// # Panics
    /// If it is none.
    pub async fn next_reply(&mut self) -> Value {
        let frame = self.next_frame().await;
        assert_eq!(frame.kind, kind::REPLY, "{frame:?}");
        frame.value()
    }

    /// The next introduction of a listening stream. Skips other replies.
    ///
    /// # Panics
    /// If the stream ends before.
    pub async fn next_introduction(&mut self) -> Value {
        loop {
            let reply = self.next_reply().await;
            if reply["reply"] == "introduction" {
                return reply;
            }
        }
    }

    /// Sends a packet to the other side of a relay.
    ///
    /// # Panics
    /// If the relay has ended.
    pub async fn send_packet(&mut self, payload: &[u8]) {
        self.write_frame(&RawFrame::new(kind::PACKET, payload)).await.unwrap();
    }

    /// The payload of the next packet of a relay.
    ///
    /// # Panics
    /// If the relay has ended.
    pub async fn next_packet(&mut self) -> Vec<u8> {
        let frame = self.next_frame().await;
        assert_eq!(frame.kind, kind::PACKET, "{frame:?}");
        frame.payload
    }
}
