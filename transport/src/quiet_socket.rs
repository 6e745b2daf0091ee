//! A UDP socket for clients: drops the packets of unknown senders that QUIC answers before the client can decide about
//! them, so that a client does not reveal itself to scanners. Those are packets of unsupported versions (RFC 9000, 6.1)
//! and first packets whose connection id is too short (RFC 9000, 7.2). Decides nothing about other packets.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// The bit of the first byte that long headers have (RFC 8999, 5.1).
const LONG_HEADER: u8 = 0x80;

/// Version 1 of QUIC, and what a server that does not support it sends (RFC 8999, 6).
const VERSION_1: [u8; 4] = [0, 0, 0, 1];
const VERSION_NEGOTIATION: [u8; 4] = [0, 0, 0, 0];

/// The shortest destination id of a first packet, and the length of this client's own ids.
const MIN_ID_LENGTH: u8 = 8;

/// A socket that drops some of the packets that it receives.
#[derive(Debug)]
pub(crate) struct QuietSocket(pub(crate) Arc<dyn AsyncUdpSocket>);

/// Whether a datagram is dropped, by its first header.
fn is_dropped(datagram: &[u8]) -> bool {
    match datagram {
        [first, ..] if first & LONG_HEADER == 0 => false,
        [_, a, b, c, d, id_length, ..] => {
            let version = [*a, *b, *c, *d];
            (version != VERSION_1 && version != VERSION_NEGOTIATION) || *id_length < MIN_ID_LENGTH
        }
        _ => true,
    }
}

/// Removes the dropped datagrams of a batch, which are `stride` bytes long each, the last one at most. Returns the
/// length of the others.
fn filter_batch(batch: &mut [u8], stride: usize) -> usize {
    let (mut kept, mut start) = (0, 0);
    while start < batch.len() {
        let end = batch.len().min(start + stride.max(1));
        if !is_dropped(&batch[start..end]) {
            batch.copy_within(start..end, kept);
            kept += end - start;
        }
        start = end;
    }
    kept
}

impl AsyncUdpSocket for QuietSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.clone().create_io_poller()
    }

    fn try_send(&self, batch: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(batch)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.0.poll_recv(context, buffers, meta))?;
        for (buffer, meta) in buffers.iter_mut().zip(meta).take(count) {
            // quinn takes an empty batch.
            meta.len = filter_batch(&mut buffer[..meta.len], meta.stride);
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of a packet with a long header.
    fn long(version: u32, id_length: u8) -> Vec<u8> {
        let mut packet = vec![0xc0];
        packet.extend(version.to_be_bytes());
        packet.push(id_length);
        packet.extend(vec![7; usize::from(id_length)]);
        packet
    }

    #[test]
    fn only_packets_that_quic_answers_are_dropped() {
        for answered in [long(2, 8), long(0xff00_001d, 20), long(1, 7), long(1, 0), long(0, 4)] {
            assert!(is_dropped(&answered), "{answered:?}");
        }
        for cut in 1..=5 {
            assert!(is_dropped(&long(1, 8)[..cut]));
        }
        for passed in [long(1, 8), long(1, 20), long(0, 8), vec![0x40], vec![0x40, 0, 0, 0, 2, 0]] {
            assert!(!is_dropped(&passed), "{passed:?}");
        }
    }

    #[test]
    fn the_other_datagrams_of_a_batch_stay_in_order() {
        let (mut dropped, mut passed) = (long(2, 8), long(1, 8));
        dropped.push(1);
        passed.push(2);
        let last = vec![0x40, 3];
        let mut batch = [&dropped[..], &passed, &dropped, &passed, &last].concat();
        let kept = filter_batch(&mut batch, passed.len());
        assert_eq!(batch[..kept], [&passed[..], &passed, &last].concat());
        assert_eq!(filter_batch(&mut dropped.clone(), dropped.len()), 0);
        assert_eq!(filter_batch(&mut [], 0), 0);
    }
}
