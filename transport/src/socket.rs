//! The UDP socket under QUIC: quinn's, but for batches that are too long for one call of the kernel.
//!
//! quinn hands up to ten datagrams to the socket at once, and the kernel cuts them apart (generic
//! segmentation offload). It takes no more than a UDP packet's length at once, so from 6550 bytes a
//! datagram on ten are too many, and all ten would be lost. Here they leave in several calls.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller};

/// What one call takes: the longest UDP payload in an IPv4 packet (65,535 bytes less 20 and 8).
const LONGEST_SEND: usize = 65_507;

/// What one received batch holds at most, in bytes: the kernel joins datagrams up to this.
const LONGEST_BATCH: usize = 65_536;

/// Half-sent batches that are remembered. Each belongs to a connection that waits for the socket.
const HALF_SENT: usize = 64;

/// The beginning of a batch: encrypted, so no two are alike.
type BatchPrefix = [u8; 32];

/// A socket that takes batches of any length.
#[derive(Debug)]
pub(crate) struct BatchSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    receive_segments: usize,
    half_sent: Mutex<Vec<PartialBatch>>,
}

/// A batch whose rest the kernel had no room for. Its connection tries the whole batch again.
#[derive(Debug)]
struct PartialBatch {
    beginning: BatchPrefix,
    sent: usize,
}

impl BatchSocket {
    /// Takes a bound socket, for datagrams of at most `largest` bytes.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn new(socket: UdpSocket, largest: u16) -> io::Result<Self> {
        let inner = TokioRuntime.wrap_udp_socket(socket)?;
        // quinn's buffer has this many times the largest datagram for each of 32 batches. What the
        // socket itself asks for would do for datagrams of 1 KiB, and is 130 MB for those of 64.
        let enough = LONGEST_BATCH.div_ceil(usize::from(largest));
        let receive_segments = inner.max_receive_segments().min(enough);
        Ok(Self { inner, receive_segments, half_sent: Mutex::default() })
    }

    fn send_in_parts(&self, batch: &Transmit<'_>, segment: usize, part: usize) -> io::Result<()> {
        let beginning = beginning(batch.contents);
        let mut sent = self.sent_before(&beginning);
        while sent < batch.contents.len() {
            let end = batch.contents.len().min(sent + part);
            let contents = &batch.contents[sent..end];
            let segment_size = (contents.len() > segment).then_some(segment);
            match self.inner.try_send(&Transmit { contents, segment_size, ..*batch }) {
                Ok(()) => sent = end,
                Err(error) => {
                    if sent > 0 && error.kind() == io::ErrorKind::WouldBlock {
                        self.remember(PartialBatch { beginning, sent });
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// How many bytes of this batch have left already.
    fn sent_before(&self, beginning: &BatchPrefix) -> usize {
        let mut half_sent = self.half_sent.lock();
        let known = half_sent.iter().position(|half| half.beginning == *beginning);
        known.map_or(0, |index| half_sent.remove(index).sent)
    }

    fn remember(&self, half: PartialBatch) {
        let mut half_sent = self.half_sent.lock();
        // The oldest may be of a connection that is gone. If it is not, some datagrams leave twice,
        // which QUIC allows for.
        if half_sent.len() == HALF_SENT {
            half_sent.remove(0);
        }
        half_sent.push(half);
    }
}

fn beginning(contents: &[u8]) -> BatchPrefix {
    let mut beginning = BatchPrefix::default();
    let length = contents.len().min(beginning.len());
    beginning[..length].copy_from_slice(&contents[..length]);
    beginning
}

impl AsyncUdpSocket for BatchSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, batch: &Transmit<'_>) -> io::Result<()> {
        let Some(segment) = batch.segment_size.filter(|segment| *segment > 0) else {
            return self.inner.try_send(batch);
        };
        let part = (LONGEST_SEND / segment).max(1) * segment;
        if batch.contents.len() <= part {
            self.inner.try_send(batch)
        } else {
            self.send_in_parts(batch, segment, part)
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
