//! A socket whose datagrams travel as Packet frames on a stream to the server, which passes them to another client:
//! the path of a relayed connection between two clients. Knows no server and no introductions.
//!
//! It is a path like any other for QUIC, with loss and delay. The queue of packets to send is short, so that the
//! connection above waits for the stream instead of filling memory.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use quiver_protocol::frame;
use quiver_protocol::{FrameCutter, FrameError, FrameHeader, FrameKind, Refusal};
use tokio::sync::Notify;
use tokio::task::yield_now;

use crate::stream::{CommandStream, FrameReader, FrameWriter, StreamError};

/// The address of this side in the eyes of QUIC. Nothing is ever sent to it.
const LOCAL: SocketAddr = address(1);

/// The address of the other side in the eyes of QUIC.
pub(crate) const REMOTE: SocketAddr = address(2);

/// Bytes of packets that wait for the stream. One more batch is refused until the stream has taken them.
const MAX_SEND_QUEUE: usize = 32 * 1024;

/// The most packets that QUIC passes at once: together half of the send queue.
const BATCH: usize = 4;

/// Bytes of received packets that wait for QUIC. The stream is not read while there are more.
const MAX_RECEIVE_QUEUE: usize = 256 * 1024;

/// Received pieces that are read at once, before QUIC gets its turn.
const PIECES: usize = 8;

/// How long the stream may carry no packet. A connection sends one every few seconds, and a lost connection to the
/// server ends the stream sooner.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(3600);

/// A socket above a stream.
#[derive(Debug, Default)]
pub(crate) struct RelaySocket {
    outgoing: Mutex<OutgoingQueue>,
    /// Notified when `outgoing` gets packets.
    queued: Notify,
    incoming: Mutex<IncomingQueue>,
    /// Notified when packets are taken out of `incoming`.
    taken: Notify,
}

/// Packets as frames, ready for the stream.
#[derive(Debug, Default)]
struct OutgoingQueue {
    frames: Vec<u8>,
    waiting: Vec<Waker>,
}

/// Received packets, without an allocation for each.
#[derive(Debug, Default)]
struct IncomingQueue {
    /// The length of each packet.
    lengths: VecDeque<u16>,
    /// The packets, one after the other.
    bytes: VecDeque<u8>,
    waiting: Option<Waker>,
}

/// Passes packets between a relay stream and the socket of a relayed connection, as long as [`run`](Self::run) runs.
#[derive(Debug)]
pub struct PacketRelay {
    stream: CommandStream,
    socket: Arc<RelaySocket>,
}

const fn address(host: u16) -> SocketAddr {
    // A unique local address (RFC 4193) with the letters of "quiver" in its prefix.
    let host = Ipv6Addr::new(0xfd71, 0x7569, 0x7665, 0x7200, 0, 0, 0, host);
    SocketAddr::new(std::net::IpAddr::V6(host), 4433)
}

impl PacketRelay {
    /// Creates the relay of a stream on which the server passes packets.
    pub(crate) fn new(stream: CommandStream) -> (Self, Arc<RelaySocket>) {
        let socket = Arc::<RelaySocket>::default();
        (Self { stream, socket: socket.clone() }, socket)
    }

    /// Passes packets in both directions until the stream ends. Returns why it ended. Dropping the future ends the
    /// stream.
    pub async fn run(self) -> StreamError {
        let Self { mut stream, socket } = self;
        stream.writer.start_content();
        let CommandStream { reader, writer } = &mut stream;
        tokio::select! {
            error = send_packets(&socket, writer) => error,
            error = receive_packets(&socket, reader) => error,
        }
    }
}

async fn send_packets(socket: &RelaySocket, writer: &mut FrameWriter) -> StreamError {
    loop {
        let queued = socket.queued.notified();
        let frames = socket.take_outgoing();
        if frames.is_empty() {
            queued.await;
        } else {
            if let Err(error) = writer.write_packets(frames).await {
                return error;
            }
        }
    }
}

async fn receive_packets(socket: &RelaySocket, reader: &mut FrameReader) -> StreamError {
    let mut frames = FrameCutter::new(check_frame);
    let mut pieces = [const { Bytes::new() }; PIECES];
    loop {
        let count = match reader.read_pieces(&mut pieces, SILENCE_TIMEOUT).await {
            Ok(Some(count)) => count,
            Ok(None) => return FrameError::Truncated.into(),
            Err(error) => return error,
        };
        for piece in &mut pieces[..count] {
            let piece = std::mem::take(piece);
            socket.wait_for_space().await;
            if let Some(end) = socket.push_incoming(&mut frames, &piece) {
                return end;
            }
        }
        // QUIC takes the packets while they are in the processor's cache.
        yield_now().await;
    }
}

/// Fails for a frame that a relay does not carry.
fn check_frame(header: FrameHeader) -> Result<(), FrameError> {
    match header.kind {
        FrameKind::Packet | FrameKind::Error | FrameKind::Eof => Ok(()),
        found => Err(FrameError::Unexpected { found, expected: "Packet" }),
    }
}

/// Why the relay ends with a frame that is no Packet.
fn end_reason(kind: FrameKind, payload: &[u8]) -> StreamError {
    if kind == FrameKind::Error {
        Refusal::decode(payload).map_or_else(Into::into, StreamError::Refused)
    } else {
        // The other side has ended the relay.
        StreamError::Reset
    }
}

impl RelaySocket {
    fn take_outgoing(&self) -> Bytes {
        let mut outgoing = self.outgoing.lock();
        let frames = Bytes::from(std::mem::take(&mut outgoing.frames));
        let waiting = std::mem::take(&mut outgoing.waiting);
        drop(outgoing);
        for waker in waiting {
            waker.wake();
        }
        frames
    }

    /// Waits while the queue of received packets is full.
    async fn wait_for_space(&self) {
        loop {
            let taken = self.taken.notified();
            if self.incoming.lock().bytes.len() < MAX_RECEIVE_QUEUE {
                return;
            }
            taken.await;
        }
    }

    /// Queues the packets that a received piece completes. Returns why the relay ends, if it does.
    fn push_incoming(&self, frames: &mut FrameCutter, piece: &[u8]) -> Option<StreamError> {
        let (mut incoming, mut end) = (self.incoming.lock(), None);
        let cut = frames.push(piece, |header, frame| {
            let payload = &frame[FrameHeader::LENGTH..];
            if end.is_some() {
                // What follows the end is not read.
            } else if header.kind == FrameKind::Packet {
                incoming.lengths.push_back(header.length);
                incoming.bytes.extend(payload);
            } else {
                end = Some(end_reason(header.kind, payload));
            }
        });
        if !incoming.lengths.is_empty()
            && let Some(waker) = incoming.waiting.take()
        {
            waker.wake();
        }
        end.or_else(|| cut.err().map(Into::into))
    }
}

impl AsyncUdpSocket for RelaySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(QueuePoller(self))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.frames.len() >= MAX_SEND_QUEUE {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for packet in transmit.contents.chunks(length) {
            // QUIC's packets are shorter than a frame may be.
            frame::append(&mut outgoing.frames, FrameKind::Packet, packet)
                .map_err(io::Error::other)?;
        }
        drop(outgoing);
        self.queued.notify_one();
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut incoming = self.incoming.lock();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some(length) = incoming.pop(buffer) else { break };
            *meta = RecvMeta { addr: REMOTE, len: length, stride: length, ecn: None, dst_ip: None };
            count += 1;
        }
        if count == 0 {
            incoming.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        drop(incoming);
        self.taken.notify_one();
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(LOCAL)
    }

    fn may_fragment(&self) -> bool {
        false
    }

    fn max_transmit_segments(&self) -> usize {
        BATCH
    }
}

impl IncomingQueue {
    /// Copies the oldest packet into a buffer, and removes it. Returns its length there.
    fn pop(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let packet = usize::from(self.lengths.pop_front()?);
        // A longer packet is not one that this side's QUIC allows, and would be dropped by a network too.
        let length = packet.min(buffer.len());
        let (first, second) = self.bytes.as_slices();
        let split = length.min(first.len());
        buffer[..split].copy_from_slice(&first[..split]);
        buffer[split..length].copy_from_slice(&second[..length - split]);
        self.bytes.drain(..packet);
        Some(length)
    }
}

/// Waits until the send queue takes packets.
#[derive(Debug)]
struct QueuePoller(Arc<RelaySocket>);

impl UdpPoller for QueuePoller {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outgoing = self.0.outgoing.lock();
        if outgoing.frames.len() < MAX_SEND_QUEUE {
            return Poll::Ready(Ok(()));
        }
        let waker = context.waker();
        if !outgoing.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            outgoing.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
