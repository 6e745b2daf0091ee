//! The sending half of a QUIC stream, which outlives its writer until it is acknowledged.

use std::ops::{Deref, DerefMut};

use quinn::{SendStream, VarInt};

#[derive(Debug)]
pub(super) struct SendHalf {
    /// `None` once the writer has been dropped.
    stream: Option<SendStream>,
    is_reset: bool,
}

impl SendHalf {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream: Some(stream), is_reset: false }
    }

    /// Abandons the stream: QUIC drops what the other side has not read, and tells it so.
    pub(super) fn reset(&mut self) {
        self.is_reset = true;
        // Fails only if the stream has ended already.
        let _ = (**self).reset(VarInt::from_u32(0));
    }

    /// Finishes the stream for a writer that is dropped. `None` if QUIC keeps nothing of it.
    pub(super) fn end(&mut self) -> Option<SendStream> {
        let mut stream = self.stream.take()?;
        // Fails only if the stream has ended already, or the other side has stopped reading.
        let _ = stream.finish();
        (!self.is_reset).then_some(stream)
    }
}

#[expect(clippy::expect_used, reason = "the stream is taken only when the writer is dropped")]
impl Deref for SendHalf {
    type Target = SendStream;

    fn deref(&self) -> &SendStream {
        self.stream.as_ref().expect("the writer is in use")
    }
}

#[expect(clippy::expect_used, reason = "the stream is taken only when the writer is dropped")]
impl DerefMut for SendHalf {
    fn deref_mut(&mut self) -> &mut SendStream {
        self.stream.as_mut().expect("the writer is in use")
    }
}
