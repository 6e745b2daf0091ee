//! The two carriers between a client and the server: datagrams of a connection of their own, and a
//! stream of the member's connection. Both carry frames with one packet each.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use quinn::{Connection, SendDatagramError};
use quiver_protocol::FrameHeader;
use quiver_transport::{CommandStream, FrameReader, FrameWriter, Role};

use crate::Failure;
use crate::relay_socket::{CarrierSocket, PacketReader};

/// A relay has no timeouts of its own: the connections have.
pub(crate) const NO_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// Pieces of a stream that are read at once.
pub(crate) const PIECES: usize = 64;

/// The smallest send window of a connection with a relay's stream.
const MIN_SEND_WINDOW: u64 = 64 * 1024;

/// Bytes that wait in the server unless a carrier says otherwise.
const SERVER_QUEUE: usize = 256 * 1024;

/// How the relayed packets travel between client and server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// No relay: the receiver is the server.
    Direct,
    Datagrams,
    /// With `is_spliced`, the server does not read while it cannot write. Otherwise it has a queue,
    /// and drops packets while the queue is full.
    Stream {
        is_spliced: bool,
    },
}

/// A carrier with the settings of the relayed connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelaySettings {
    pub(crate) carrier: Carrier,
    /// The UDP payload of the relayed connection.
    pub(crate) inner_payload: u16,
    /// The send window of the relayed connection in bytes, if it is not that of a peer.
    pub(crate) inner_window: Option<u64>,
    /// Bytes that wait in the server for a client, in each direction. Further packets are dropped.
    pub(crate) server_queue: usize,
    /// Whether the send windows of connections with a relay's stream follow their congestion
    /// windows.
    pub(crate) is_bounded: bool,
}

/// Parses `NAME[-PAYLOAD][-bounded][-queueKIB][-windowKIB]`.
impl FromStr for RelaySettings {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut parts = text.split('-');
        let carrier = match parts.next() {
            Some("direct") => Carrier::Direct,
            Some("datagrams") => Carrier::Datagrams,
            Some("stream") => Carrier::Stream { is_spliced: false },
            Some("spliced") => Carrier::Stream { is_spliced: true },
            _ => return Err(format!("unknown carrier {text}").into()),
        };
        let inner_payload = parts.next().map_or(Ok(1200), str::parse)?;
        let mut settings = Self {
            carrier,
            inner_payload,
            inner_window: None,
            server_queue: SERVER_QUEUE,
            is_bounded: false,
        };
        for part in parts {
            if let Some(kib) = part.strip_prefix("queue") {
                settings.server_queue = kib.parse::<usize>()? * 1024;
            } else if let Some(kib) = part.strip_prefix("window") {
                settings.inner_window = Some(kib.parse::<u64>()? * 1024);
            } else if part == "bounded" {
                settings.is_bounded = true;
            } else {
                return Err(format!("unknown setting {part}").into());
            }
        }
        Ok(settings)
    }
}

/// The first byte of a datagram: the whole packet, or one half of it, with a number of two bytes.
const WHOLE: u8 = 0;
const FIRST_HALF: u8 = 1;
const SECOND_HALF: u8 = 2;

/// Halves that wait for the other one.
const MAX_HALVES: usize = 64;

/// Splits packets that are too long for one datagram.
#[derive(Debug, Default)]
pub(crate) struct DatagramWriter {
    next_number: u16,
}

/// Joins split packets.
#[derive(Debug, Default)]
struct DatagramReader {
    halves: HashMap<u16, Bytes>,
}

impl DatagramWriter {
    /// The datagrams of one packet, for a connection with datagrams of at most `max_size` bytes.
    pub(crate) fn split(&mut self, packet: &[u8], max_size: usize) -> Vec<Bytes> {
        if packet.len() < max_size {
            return vec![datagram(&[WHOLE], packet)];
        }
        let [high, low] = self.next_number.to_be_bytes();
        self.next_number = self.next_number.wrapping_add(1);
        let (first, second) = packet.split_at(packet.len() / 2);
        vec![datagram(&[FIRST_HALF, high, low], first), datagram(&[SECOND_HALF, high, low], second)]
    }
}

fn datagram(header: &[u8], payload: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(header.len() + payload.len());
    datagram.put_slice(header);
    datagram.put_slice(payload);
    datagram.freeze()
}

impl DatagramReader {
    /// Returns the packet that a datagram completes.
    fn join(&mut self, datagram: Bytes) -> Option<Bytes> {
        let kind = *datagram.first()?;
        if kind == WHOLE {
            return Some(datagram.slice(1..));
        }
        let number = u16::from_be_bytes([*datagram.get(1)?, *datagram.get(2)?]);
        let Some(other) = self.halves.remove(&number) else {
            // Halves of lost packets accumulate.
            if self.halves.len() == MAX_HALVES {
                self.halves.clear();
            }
            self.halves.insert(number, datagram);
            return None;
        };
        let (first, second) =
            if kind == FIRST_HALF { (datagram, other) } else { (other, datagram) };
        Some([&first[3..], &second[3..]].concat().into())
    }
}

/// Carries packets in the datagrams of a connection, until it ends. A full queue of datagrams
/// delays the relayed connection.
pub(crate) async fn carry_in_datagrams(
    connection: &Connection,
    socket: &CarrierSocket,
) -> Result<(), Failure> {
    let send = async {
        let mut writer = DatagramWriter::default();
        loop {
            let mut frames = socket.take_frames().await;
            while let Some(packet) = split_packet(&mut frames) {
                let max_size = connection.max_datagram_size().ok_or("no datagrams")?;
                for datagram in writer.split(&packet, max_size) {
                    match connection.send_datagram_wait(datagram).await {
                        // The path accepts only smaller datagrams since it was split.
                        Ok(()) | Err(SendDatagramError::TooLarge) => {}
                        Err(error) => return Err::<(), Failure>(error.into()),
                    }
                }
            }
        }
    };
    let receive = async {
        let mut reader = DatagramReader::default();
        loop {
            if let Some(packet) = reader.join(connection.read_datagram().await?) {
                socket.deliver_or_drop(packet);
            }
        }
    };
    tokio::select! {
        result = send => result,
        result = receive => result,
    }
}

/// Takes the first packet from frames, without its header.
fn split_packet(frames: &mut Bytes) -> Option<Bytes> {
    let header = frames.get(..FrameHeader::LENGTH)?;
    let length = usize::from(u16::from_be_bytes([header[1], header[2]]));
    let mut frame = frames.split_to(FrameHeader::LENGTH + length);
    Some(frame.split_off(FrameHeader::LENGTH))
}

/// Carries packets in a stream, until it ends. The stream's flow control delays the relayed
/// connection.
pub(crate) async fn carry_in_stream(
    connection: &Connection,
    stream: CommandStream,
    socket: &CarrierSocket,
    is_bounded: bool,
) -> Result<(), Failure> {
    let CommandStream { mut reader, mut writer } = stream;
    writer.start_content();
    tokio::select! {
        result = send_in_stream(connection, &mut writer, socket, is_bounded) => result,
        result = receive_from_stream(&mut reader, socket) => result,
    }
}

async fn send_in_stream(
    connection: &Connection,
    writer: &mut FrameWriter,
    socket: &CarrierSocket,
    is_bounded: bool,
) -> Result<(), Failure> {
    loop {
        let frames = socket.take_frames().await;
        if is_bounded {
            bound_send_window(connection, Role::Client);
        }
        writer.write_block(frames).await?;
    }
}

/// Lets a connection take no more unacknowledged bytes than it needs to use its congestion window.
/// Further packets would wait in it, and each packet that the peer waits for would wait behind them.
pub(crate) fn bound_send_window(connection: &Connection, role: Role) {
    let congestion_window = connection.stats().path.cwnd;
    let largest = role.limits(false).send_window;
    connection.set_send_window((2 * congestion_window).clamp(MIN_SEND_WINDOW, largest));
}

async fn receive_from_stream(
    reader: &mut FrameReader,
    socket: &CarrierSocket,
) -> Result<(), Failure> {
    let mut packets = PacketReader::default();
    let mut pieces = vec![Bytes::new(); PIECES];
    while let Some(count) = reader.read_pieces(&mut pieces, NO_TIMEOUT).await? {
        for piece in &mut pieces[..count] {
            packets.push(&std::mem::take(piece));
        }
        while let Some(frame) = packets.next_frame() {
            socket.deliver(frame.slice(FrameHeader::LENGTH..)).await;
        }
    }
    Ok(())
}
