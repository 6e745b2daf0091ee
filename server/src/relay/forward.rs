//! One client's end of a relay: what it sends goes to the queue of the other end, and what its own queue holds is
//! written to it.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use quiver_protocol::{FrameCutter, FrameError, FrameHeader, FrameKind, limits};
use quiver_transport::{CommandStream, FrameReader, FrameWriter, StreamError};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::RelayEnd;
use super::usage::{Admission, ClientUsage};
use crate::metrics::{DropReason, Metrics};

/// How long a client may take nothing of a relay until its packets are dropped.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may send nothing. The connection inside a relay sends a packet every few seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Received pieces that are forwarded before other tasks get their turn.
const PIECES: usize = 8;

/// Why an end of a relay stops.
#[derive(Debug)]
pub enum EndReason {
    /// One of the two clients has finished or sent nothing for too long, or the server stops.
    Finished,
    /// One of the two clients has used up its budget.
    OverBudget,
    /// The client's stream failed, or has an invalid frame.
    Failed(StreamError),
}

/// Forwards packets in both directions until either end stops. Returns why.
pub async fn forward(
    stream: &mut CommandStream,
    end: &RelayEnd,
    usage: &ClientUsage,
    metrics: &Metrics,
) -> EndReason {
    let CommandStream { reader, writer } = stream;
    let stopped = writer.stopped();
    tokio::select! {
        reason = end.ended() => reason,
        error = stopped => EndReason::Failed(error),
        reason = receive(reader, end, usage, metrics) => reason,
        error = send(writer, end) => EndReason::Failed(error),
    }
}

/// Passes the client's packets to the other end.
async fn receive(
    reader: &mut FrameReader,
    end: &RelayEnd,
    usage: &ClientUsage,
    metrics: &Metrics,
) -> EndReason {
    let mut frames = FrameCutter::new(check_packet);
    let mut pieces = [const { Bytes::new() }; PIECES];
    loop {
        let count = match reader.read_pieces(&mut pieces, IDLE_TIMEOUT).await {
            Ok(Some(count)) => count,
            Ok(None) if frames.is_complete() => return EndReason::Finished,
            Ok(None) => return EndReason::Failed(FrameError::Truncated.into()),
            Err(StreamError::TimedOut(_)) => return EndReason::Finished,
            Err(error) => return EndReason::Failed(error),
        };
        let (now, time) = (Instant::now(), SystemTime::now());
        let mut is_over_budget = false;
        for piece in &mut pieces[..count] {
            let piece = std::mem::take(piece);
            let pushed = frames.push(&piece, |header, frame| {
                let bytes = u64::from(header.length);
                match usage.admit(bytes, now, time) {
                    Admission::Admitted => match end.outgoing.push(frame) {
                        Ok(()) => {
                            metrics.relay.count_bytes(bytes);
                            end.sent.fetch_add(bytes, Ordering::Relaxed);
                        }
                        Err(reason) => metrics.relay.count_dropped(reason),
                    },
                    Admission::OverRate => metrics.relay.count_dropped(DropReason::RateLimit),
                    Admission::OverBudget => is_over_budget = true,
                }
            });
            if let Err(error) = pushed {
                return EndReason::Failed(error.into());
            }
        }
        if is_over_budget {
            end.end_over_budget();
            return EndReason::OverBudget;
        }
        // A client that sends at full speed must not delay the streams of others.
        yield_now().await;
    }
}

/// Writes the packets of the other end to the client. Ends only when the stream fails.
async fn send(writer: &mut FrameWriter, end: &RelayEnd) -> StreamError {
    loop {
        let block = end.incoming.next().await;
        // It bounds what waits in QUIC: packets wait in the queue, where they can be dropped.
        let mut write = pin!(writer.write_packets(block));
        let written = match timeout(UNREAD_TIMEOUT, write.as_mut()).await {
            Ok(written) => written,
            Err(_) => {
                end.incoming.stall();
                write.await
            }
        };
        if let Err(error) = written {
            return error;
        }
        end.incoming.written();
    }
}

/// Fails for a frame that is no Packet, is empty, or is longer than [`limits::PACKET`].
fn check_packet(header: FrameHeader) -> Result<(), FrameError> {
    let FrameHeader { kind, length } = header;
    let length = usize::from(length);
    if kind != FrameKind::Packet {
        return Err(FrameError::Unexpected { found: kind, expected: "a Packet" });
    }
    if length > limits::PACKET {
        return Err(FrameError::TooLong { length, limit: limits::PACKET });
    }
    if length == 0 {
        return Err(FrameError::Chunk { length, why: "where a Packet was due" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packets_of_an_allowed_length_pass() {
        let check = |kind, length| check_packet(FrameHeader { kind, length });
        let most = limits::PACKET as u16;
        assert_eq!(check(FrameKind::Packet, 1).and(check(FrameKind::Packet, most)), Ok(()));
        for (kind, length) in [
            (FrameKind::Data, 1),
            (FrameKind::Packet, 0),
            (FrameKind::Packet, most + 1),
            (FrameKind::Packet, u16::MAX),
        ] {
            assert!(check(kind, length).is_err(), "{kind:?} of {length} bytes");
        }
    }
}
