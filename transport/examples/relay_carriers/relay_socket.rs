//! The socket of a relayed connection: quinn's packets as frames in two bounded queues, which a
//! carrier empties and fills. No network in here.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use quiver_protocol::{FrameHeader, FrameKind, frame};

/// Bytes in the queue of packets to send from which the socket is not writable. One batch more may
/// be in it.
const SEND_QUEUE: usize = 32 * 1024;

/// Bytes of received packets that quinn has not read.
const RECEIVE_QUEUE: usize = 256 * 1024;

/// Bytes that quinn may send in one call.
const MAX_BATCH: usize = 32 * 1024;

/// One side of a relayed connection. Cheap to clone: clones share the queues.
#[derive(Clone)]
pub(crate) struct CarrierSocket {
    queues: Arc<Mutex<Queues>>,
    /// Packets that quinn may send in one call.
    max_batch: usize,
}

#[derive(Default)]
struct Queues {
    /// Frames to send.
    outgoing: Vec<u8>,
    /// The task that sends them.
    sender: Option<Waker>,
    /// Connections that wait until the socket is writable.
    writers: Vec<Waker>,
    incoming: VecDeque<Bytes>,
    incoming_bytes: usize,
    /// The endpoint that reads received packets.
    reader: Option<Waker>,
    /// The carrier that waits for space in the queue of received packets.
    receiver: Option<Waker>,
}

/// Waits until the socket is writable, for one connection.
#[derive(Debug)]
struct WritePoller(CarrierSocket);

impl CarrierSocket {
    /// The address that quinn uses for the peer. Packets never go there.
    pub(crate) const PEER_ADDRESS: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1);

    /// Creates the queues for packets of at most `max_payload` bytes.
    pub(crate) fn new(max_payload: u16) -> Self {
        let max_batch = (MAX_BATCH / usize::from(max_payload)).max(1);
        Self { queues: Arc::default(), max_batch }
    }

    /// Waits for packets to send, and takes all of them as frames.
    pub(crate) async fn take_frames(&self) -> Bytes {
        poll_fn(|context| {
            let mut queues = self.queues.lock();
            if queues.outgoing.is_empty() {
                queues.sender = Some(context.waker().clone());
                return Poll::Pending;
            }
            queues.writers.drain(..).for_each(Waker::wake);
            let next = Vec::with_capacity(queues.outgoing.len());
            Poll::Ready(std::mem::replace(&mut queues.outgoing, next).into())
        })
        .await
    }

    /// Passes a received packet to quinn. Waits while the queue is full.
    pub(crate) async fn deliver(&self, packet: Bytes) {
        poll_fn(|context| {
            let mut queues = self.queues.lock();
            if queues.incoming_bytes < RECEIVE_QUEUE {
                return Poll::Ready(());
            }
            queues.receiver = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        self.queues.lock().push_incoming(packet);
    }

    /// Passes a received packet to quinn, or drops it if the queue is full.
    pub(crate) fn deliver_or_drop(&self, packet: Bytes) {
        let mut queues = self.queues.lock();
        if queues.incoming_bytes < RECEIVE_QUEUE {
            queues.push_incoming(packet);
        }
    }
}

impl Queues {
    fn push_incoming(&mut self, packet: Bytes) {
        self.incoming_bytes += packet.len();
        self.incoming.push_back(packet);
        self.reader.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncUdpSocket for CarrierSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller(Self::clone(&self)))
    }

    fn try_send(&self, batch: &Transmit<'_>) -> io::Result<()> {
        let mut queues = self.queues.lock();
        if queues.outgoing.len() >= SEND_QUEUE {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let packet_length = batch.segment_size.unwrap_or(batch.contents.len()).max(1);
        for packet in batch.contents.chunks(packet_length) {
            frame::append(&mut queues.outgoing, FrameKind::Data, packet)
                .map_err(io::Error::other)?;
        }
        queues.sender.take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut queues = self.queues.lock();
        let mut received = 0;
        while received < buffers.len() {
            let Some(packet) = queues.incoming.pop_front() else { break };
            queues.incoming_bytes -= packet.len();
            // A packet that is too long is lost, as on any path.
            if let Some(buffer) = buffers[received].get_mut(..packet.len()) {
                buffer.copy_from_slice(&packet);
                meta[received] = RecvMeta {
                    addr: Self::PEER_ADDRESS,
                    len: packet.len(),
                    stride: packet.len(),
                    ecn: None,
                    dst_ip: None,
                };
                received += 1;
            }
        }
        queues.receiver.take().into_iter().for_each(Waker::wake);
        if received == 0 {
            queues.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }

    fn max_transmit_segments(&self) -> usize {
        self.max_batch
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl UdpPoller for WritePoller {
    fn poll_writable(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queues = self.0.queues.lock();
        if queues.outgoing.len() < SEND_QUEUE {
            return Poll::Ready(Ok(()));
        }
        if !queues.writers.iter().any(|waker| waker.will_wake(context.waker())) {
            queues.writers.push(context.waker().clone());
        }
        Poll::Pending
    }
}

impl fmt::Debug for CarrierSocket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CarrierSocket").finish_non_exhaustive()
    }
}

/// Joins the pieces of a stream, and splits them into packets.
#[derive(Debug, Default)]
pub(crate) struct PacketReader(BytesMut);

impl PacketReader {
    /// Adds the next piece of the stream.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    /// Takes the next whole frame, with its header.
    pub(crate) fn next_frame(&mut self) -> Option<Bytes> {
        let header = self.0.get(..FrameHeader::LENGTH)?;
        let length = FrameHeader::LENGTH + usize::from(u16::from_be_bytes([header[1], header[2]]));
        (self.0.len() >= length).then(|| self.0.split_to(length).freeze())
    }
}
