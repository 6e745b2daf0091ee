//! A UDP socket for clients: drops the packets of unknown senders that QUIC answers before the client can decide about
//! them, so that a client does not reveal itself to scanners. Those are packets of unsupported versions (RFC 9000, 6.1),
//! first packets whose connection id is too short (RFC 9000, 7.2), and all first packets while the client accepts no
//! connections (RFC 9000, 10.3). Decides nothing about other packets.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, ConnectionId, EndpointConfig, UdpPoller};
use quinn_proto::{ConnectionIdGenerator as _, HashedConnectionIdGenerator};

use crate::random::random_bytes;
use crate::socket::BatchSocket;

/// The bit of the first byte that long headers have (RFC 8999, 5.1).
const LONG_HEADER: u8 = 0x80;

/// Version 1 of QUIC, and what a server that does not support it sends (RFC 8999, 6).
const VERSION_1: [u8; 4] = [0, 0, 0, 1];
const VERSION_NEGOTIATION: [u8; 4] = [0, 0, 0, 0];

/// The shortest destination id of a first packet, and the length of this client's own ids.
const MIN_ID_LENGTH: u8 = 8;

/// A socket that drops some of the packets that it receives.
#[derive(Debug)]
struct QuietSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    filter: QuietFilter,
}

/// Which packets are dropped.
#[derive(Debug, Clone)]
pub(crate) struct QuietFilter {
    /// The key with which this client marks its own connection ids. Its server's first packets carry one of them.
    id_key: u64,
    is_accepting: Arc<AtomicBool>,
}

impl QuietFilter {
    /// Drops all first packets, until connections are [admitted](Self::admit_connections).
    pub(crate) fn new() -> Self {
        Self { id_key: u64::from_be_bytes(random_bytes()), is_accepting: Arc::default() }
    }

    /// The settings of an endpoint whose ids this filter recognises.
    pub(crate) fn config(&self) -> EndpointConfig {
        let (mut config, filter) = (EndpointConfig::default(), self.clone());
        config.cid_generator(move || Box::new(filter.own_ids()));
        config
    }

    /// The socket of that endpoint.
    pub(crate) fn wrap(&self, socket: BatchSocket) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(QuietSocket { inner: Arc::new(socket), filter: self.clone() })
    }

    fn own_ids(&self) -> HashedConnectionIdGenerator {
        HashedConnectionIdGenerator::from_key(self.id_key)
    }

    /// Passes first packets from now on. The caller decides about each connection.
    pub(crate) fn admit_connections(&self) {
        self.is_accepting.store(true, Ordering::Relaxed);
    }

    /// Whether a datagram is dropped, by its first header.
    fn drops(&self, datagram: &[u8]) -> bool {
        match datagram {
            [first, ..] if first & LONG_HEADER == 0 => false,
            [_, a, b, c, d, id_length, rest @ ..] => match [*a, *b, *c, *d] {
                VERSION_NEGOTIATION => *id_length < MIN_ID_LENGTH,
                VERSION_1 if *id_length < MIN_ID_LENGTH => true,
                VERSION_1 if self.is_accepting.load(Ordering::Relaxed) => false,
                VERSION_1 => !self.is_own(*id_length, rest),
                _ => true,
            },
            _ => true,
        }
    }

    fn is_own(&self, id_length: u8, rest: &[u8]) -> bool {
        let id = rest.get(..usize::from(MIN_ID_LENGTH)).filter(|_| id_length == MIN_ID_LENGTH);
        id.is_some_and(|id| self.own_ids().validate(&ConnectionId::new(id)).is_ok())
    }

    /// Removes the dropped datagrams of a batch, which are `stride` bytes long each, the last one at most. Returns the
    /// length of the others.
    fn filter_batch(&self, batch: &mut [u8], stride: usize) -> usize {
        let (mut kept, mut start) = (0, 0);
        while start < batch.len() {
            let end = batch.len().min(start + stride.max(1));
            if !self.drops(&batch[start..end]) {
                batch.copy_within(start..end, kept);
                kept += end - start;
            }
            start = end;
        }
        kept
    }
}

impl AsyncUdpSocket for QuietSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, batch: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(batch)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.inner.poll_recv(context, buffers, meta))?;
        for (buffer, meta) in buffers.iter_mut().zip(meta).take(count) {
            // quinn takes an empty batch.
            meta.len = self.filter.filter_batch(&mut buffer[..meta.len], meta.stride);
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
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

    /// A filter that passes first packets.
    fn accepting() -> QuietFilter {
        let filter = QuietFilter::new();
        filter.admit_connections();
        filter
    }

    #[test]
    fn only_packets_that_quic_answers_are_dropped() {
        let filter = accepting();
        for answered in [long(2, 8), long(0xff00_001d, 20), long(1, 7), long(1, 0), long(0, 4)] {
            assert!(filter.drops(&answered), "{answered:?}");
        }
        for cut in 1..=5 {
            assert!(filter.drops(&long(1, 8)[..cut]));
        }
        for passed in [long(1, 8), long(1, 20), long(0, 8), vec![0x40], vec![0x40, 0, 0, 0, 2, 0]] {
            assert!(!filter.drops(&passed), "{passed:?}");
        }
    }

    #[test]
    fn first_packets_pass_only_with_an_own_id_while_no_connections_are_accepted() {
        let filter = QuietFilter::new();
        let with_id = |id: &[u8]| [&long(1, 8)[..6], id].concat();
        let own = with_id(&filter.own_ids().generate_cid());
        assert!(!filter.drops(&own));
        for foreign in [long(1, 8), long(1, 9), long(1, 20), own[..13].to_vec()] {
            assert!(filter.drops(&foreign), "{foreign:?}");
        }
        assert!(filter.drops(&with_id(&QuietFilter::new().own_ids().generate_cid())));
        for passed in [long(0, 8), vec![0x40]] {
            assert!(!filter.drops(&passed), "{passed:?}");
        }
        filter.admit_connections();
        assert!(!filter.drops(&long(1, 8)));
    }

    #[test]
    fn the_other_datagrams_of_a_batch_stay_in_order() {
        let filter = accepting();
        let (mut dropped, mut passed) = (long(2, 8), long(1, 8));
        dropped.push(1);
        passed.push(2);
        let last = vec![0x40, 3];
        let mut batch = [&dropped[..], &passed, &dropped, &passed, &last].concat();
        let kept = filter.filter_batch(&mut batch, passed.len());
        assert_eq!(batch[..kept], [&passed[..], &passed, &last].concat());
        assert_eq!(filter.filter_batch(&mut dropped.clone(), dropped.len()), 0);
        assert_eq!(filter.filter_batch(&mut [], 0), 0);
    }
}
