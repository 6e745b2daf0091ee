//! The server: serves commands of members, and relays the packets of one pair of clients. It cannot
//! decrypt them.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::{Connection, Endpoint};
use quiver_transport::{Channel, CommandStream, FrameReader, FrameWriter, Role, alpn};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Failure;
use crate::carrier::{
    Carrier, DatagramWriter, NO_TIMEOUT, PIECES, RelaySettings, bound_send_window,
};
use crate::commands;
use crate::relay_socket::PacketReader;
use crate::settings::DATAGRAMS;

/// Bytes of a write to a client's stream. They do not count as waiting.
const BLOCK: usize = 32 * 1024;

/// A client's stream for relayed packets, with its connection.
type RelayStream = (CommandStream, Connection);

/// The client of the pair that has not been joined yet.
#[derive(Default)]
struct Waiting {
    stream: Mutex<Option<RelayStream>>,
    connection: Mutex<Option<Connection>>,
}

/// Serves until the process is ended.
pub(crate) async fn run(endpoint: Endpoint, relay: RelaySettings) -> Result<(), Failure> {
    let waiting = Arc::new(Waiting::default());
    let mut connections = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let waiting = waiting.clone();
        connections.spawn(async move {
            let connection = incoming.await?;
            if alpn::alpn(&connection).as_deref() == Some(DATAGRAMS) {
                let other = waiting.connection.lock().take();
                match other {
                    Some(other) => relay_datagrams(&connection, &other).await,
                    None => {
                        *waiting.connection.lock() = Some(connection);
                        Ok(())
                    }
                }
            } else {
                serve_member(connection, &waiting, relay).await
            }
        });
    }
    Ok(())
}

async fn serve_member(
    connection: Connection,
    waiting: &Arc<Waiting>,
    relay: RelaySettings,
) -> Result<(), Failure> {
    let channel = Channel::with_fixed_windows(connection, Role::Member);
    let mut streams = JoinSet::new();
    loop {
        let mut stream = channel.accept().await?;
        let (waiting, connection) = (waiting.clone(), Connection::clone(&channel));
        streams.spawn(async move {
            let request = stream.reader.read_frame(64, NO_TIMEOUT).await?;
            if request.payload != b"relay" {
                return commands::serve(stream, &request.payload).await;
            }
            let other = waiting.stream.lock().take();
            match other {
                Some(other) => relay_streams((stream, connection), other, relay).await,
                None => {
                    *waiting.stream.lock() = Some((stream, connection));
                    Ok(())
                }
            }
        });
        while streams.try_join_next().is_some() {}
    }
}

async fn relay_datagrams(a: &Connection, b: &Connection) -> Result<(), Failure> {
    tokio::select! {
        result = forward_datagrams(a, b) => result,
        result = forward_datagrams(b, a) => result,
    }
}

async fn forward_datagrams(from: &Connection, to: &Connection) -> Result<(), Failure> {
    let mut writer = DatagramWriter::default();
    loop {
        let datagram = from.read_datagram().await?;
        let max_size = to.max_datagram_size().ok_or("no datagrams")?;
        if datagram.len() <= max_size {
            // Without space, quinn would drop the oldest datagrams instead.
            if to.datagram_send_buffer_space() >= datagram.len() {
                to.send_datagram(datagram)?;
            }
        } else {
            for half in writer.split(&datagram[1..], max_size) {
                to.send_datagram(half)?;
            }
        }
    }
}

async fn relay_streams(
    a: RelayStream,
    b: RelayStream,
    relay: RelaySettings,
) -> Result<(), Failure> {
    let ((mut a, connection_a), (mut b, connection_b)) = (a, b);
    a.writer.start_content();
    b.writer.start_content();
    let mut to_a = Output { writer: a.writer, connection: connection_a, relay };
    let mut to_b = Output { writer: b.writer, connection: connection_b, relay };
    if relay.carrier == (Carrier::Stream { is_spliced: true }) {
        tokio::select! {
            result = splice(&mut a.reader, &mut to_b) => result,
            result = splice(&mut b.reader, &mut to_a) => result,
        }
    } else {
        tokio::select! {
            result = forward_packets(&mut a.reader, &mut to_b) => result,
            result = forward_packets(&mut b.reader, &mut to_a) => result,
        }
    }
}

/// The stream to a client.
struct Output {
    writer: FrameWriter,
    connection: Connection,
    relay: RelaySettings,
}

impl Output {
    async fn write(&mut self, frames: Bytes) -> Result<(), Failure> {
        if self.relay.is_bounded {
            bound_send_window(&self.connection, Role::Member);
        }
        Ok(self.writer.write_block(frames).await?)
    }
}

/// Forwards the bytes of a stream, and reads no more than it can write.
async fn splice(reader: &mut FrameReader, to: &mut Output) -> Result<(), Failure> {
    let mut pieces = vec![Bytes::new(); PIECES];
    while let Some(count) = reader.read_pieces(&mut pieces, NO_TIMEOUT).await? {
        // quinn finds bytes to send by a linear search in the blocks that were written.
        to.write(pieces[..count].concat().into()).await?;
        pieces[..count].fill(Bytes::new());
    }
    Ok(())
}

/// Forwards packets, and drops those for which the queue has no space.
async fn forward_packets(reader: &mut FrameReader, to: &mut Output) -> Result<(), Failure> {
    let limit = to.relay.server_queue;
    let queue = Mutex::new(BytesMut::new());
    let filled = Notify::new();
    let read = async {
        let mut packets = PacketReader::default();
        let mut pieces = vec![Bytes::new(); PIECES];
        while let Some(count) = reader.read_pieces(&mut pieces, NO_TIMEOUT).await? {
            for piece in &mut pieces[..count] {
                packets.push(&std::mem::take(piece));
            }
            let mut queue = queue.lock();
            while let Some(frame) = packets.next_frame() {
                if queue.len() + frame.len() <= limit {
                    queue.extend_from_slice(&frame);
                }
            }
            filled.notify_one();
        }
        Ok(())
    };
    let write = async {
        loop {
            filled.notified().await;
            loop {
                let block = {
                    let mut queue = queue.lock();
                    let length = queue.len().min(BLOCK);
                    queue.split_to(length).freeze()
                };
                if block.is_empty() {
                    break;
                }
                to.write(block).await?;
            }
        }
    };
    tokio::select! {
        result = read => result,
        result = write => result,
    }
}
