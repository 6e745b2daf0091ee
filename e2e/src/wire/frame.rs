//! Frames: kind, length, payload. Any kind and any payload can be built, because stories send invalid ones too.

use serde_json::{Value, json};

/// The kinds of frames.
pub mod kind {
    /// A request of a client.
    pub const REQUEST: u8 = 0;
    /// A reply.
    pub const REPLY: u8 = 1;
    /// 1 to 1024 bytes of a file.
    pub const DATA: u8 = 2;
    /// The response is complete.
    pub const EOF: u8 = 3;
    /// The command was refused or failed.
    pub const ERROR: u8 = 4;
    /// The content is stored.
    pub const RECEIVED: u8 = 5;
    /// A datagram between two clients.
    pub const PACKET: u8 = 6;
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// One of [`kind`], or an invalid kind.
    pub kind: u8,
    /// Up to 65535 bytes.
    pub payload: Vec<u8>,
}

impl RawFrame {
    /// Any frame.
    pub fn new(kind: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { kind, payload: payload.into() }
    }

    /// A frame of JSON.
    #[must_use]
    pub fn json(kind: u8, value: &Value) -> Self {
        Self::new(kind, value.to_string())
    }

    /// A Request frame of this object.
    #[must_use]
    pub fn request(request: &Value) -> Self {
        Self::json(kind::REQUEST, request)
    }

    /// A Request frame of a hello.
    #[must_use]
    pub fn hello(name: &str) -> Self {
        Self::request(&json!({"command": "hello", "version": 1, "name": name}))
    }

    /// The bytes on the wire.
    ///
    /// # Panics
    /// If the payload is too long for the length field.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.payload.len()).expect("a payload of at most 65535 bytes");
        let mut bytes = vec![self.kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The payload as text.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a payload of UTF-8")
    }

    /// The payload as a JSON object.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn value(&self) -> Value {
        let value: Value = serde_json::from_slice(&self.payload).expect("a payload of JSON");
        assert!(value.is_object(), "not an object: {value}");
        value
    }
}

impl std::fmt::Debug for RawFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start = &self.payload[..self.payload.len().min(200)];
        write!(f, "{} {} {:?}", self.kind, self.payload.len(), String::from_utf8_lossy(start))
    }
}
