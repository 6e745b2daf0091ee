//! A UDP socket for QUIC that sends batches of any length: quinn's socket, with several system
//! calls for a long batch.
//!
//! quinn passes up to ten datagrams to the socket at once, and the kernel splits them (generic
//! segmentation offload). The kernel accepts at most the length of one UDP packet per call, so ten
//! datagrams of more than 6550 bytes would all be lost. This socket sends them in several calls.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};

/// Bytes that one system call can send: the longest UDP payload in an IPv4 packet (65,535 bytes
/// less 20 and 8).
const MAX_SEND_LENGTH: usize = 65_507;

/// Bytes of the longest received batch: the kernel joins datagrams up to this length.
const MAX_RECEIVED_BATCH: usize = 65_536;

/// Partial batches that are remembered. Each belongs to a connection that waits for the socket.
const MAX_PARTIAL_BATCHES: usize = 64;

/// The first bytes of a batch. They are encrypted, so they identify it.
type BatchPrefix = [u8; 32];

/// A UDP socket that sends batches of any length.
#[derive(Debug)]
pub(crate) struct BatchSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    receive_segments: usize,
    partial_batches: Mutex<Vec<PartialBatch>>,
}

/// A batch of which the kernel has accepted only a part. Its connection will send the whole batch
/// again.
#[derive(Debug)]
struct PartialBatch {
    prefix: BatchPrefix,
    /// Bytes that the kernel has accepted.
    sent: usize,
}

impl BatchSocket {
    /// Wraps a bound socket, for datagrams of at most `max_payload` bytes.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn new(socket: UdpSocket, max_payload: u16) -> io::Result<Self> {
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        // quinn's receive buffer holds this many datagrams of the largest size for each of 32
        // batches. The number that the inner socket asks for suits datagrams of 1 KiB; with 64 KiB
        // the buffer would take 130 MB.
        let sufficient = MAX_RECEIVED_BATCH.div_ceil(usize::from(max_payload));
        let receive_segments = inner.max_receive_segments().min(sufficient);
        Ok(Self { inner, receive_segments, partial_batches: Mutex::default() })
    }

    /// Sends a batch of datagrams of `segment_length` bytes in calls of at most `call_length`
    /// bytes.
    fn send_in_several_calls(
        &self,
        batch: &Transmit<'_>,
        segment_length: usize,
        call_length: usize,
    ) -> io::Result<()> {
        let prefix = batch_prefix(batch.contents);
        let mut sent = self.take_sent(&prefix);
        while sent < batch.contents.len() {
            let end = batch.contents.len().min(sent + call_length);
            let contents = &batch.contents[sent..end];
            let segment_size = (contents.len() > segment_length).then_some(segment_length);
            match self.inner.try_send(&Transmit { contents, segment_size, ..*batch }) {
                Ok(()) => sent = end,
                Err(error) => {
                    if sent > 0 && error.kind() == io::ErrorKind::WouldBlock {
                        self.remember(PartialBatch { prefix, sent });
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Bytes of this batch that were sent already. Forgets the batch.
    fn take_sent(&self, prefix: &BatchPrefix) -> usize {
        let mut partial_batches = self.partial_batches.lock();
        let index = partial_batches.iter().position(|partial| partial.prefix == *prefix);
        index.map_or(0, |index| partial_batches.remove(index).sent)
    }

    fn remember(&self, partial: PartialBatch) {
        let mut partial_batches = self.partial_batches.lock();
        // The oldest may belong to a connection that has ended. If not, some datagrams are sent
        // twice, which QUIC tolerates.
        if partial_batches.len() == MAX_PARTIAL_BATCHES {
            partial_batches.remove(0);
        }
        partial_batches.push(partial);
    }
}

fn batch_prefix(contents: &[u8]) -> BatchPrefix {
    let mut prefix = BatchPrefix::default();
    let length = contents.len().min(prefix.len());
    prefix[..length].copy_from_slice(&contents[..length]);
    prefix
}

impl AsyncUdpSocket for BatchSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, batch: &Transmit<'_>) -> io::Result<()> {
        let Some(segment_length) = batch.segment_size.filter(|length| *length > 0) else {
            return self.inner.try_send(batch);
        };
        let call_length = (MAX_SEND_LENGTH / segment_length).max(1) * segment_length;
        if batch.contents.len() <= call_length {
            self.inner.try_send(batch)
        } else {
            self.send_in_several_calls(batch, segment_length, call_length)
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.receive_segments
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

#[cfg(test)]
mod tests;
