//! The commands of this measurement, each a stream: an echo, and content in either direction. Each
//! function of a client measures one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use quiver_protocol::FrameKind;
use quiver_transport::{Channel, CommandStream};
use tokio::time::sleep;

use crate::Failure;
use crate::carrier::{NO_TIMEOUT, PIECES};

/// Bytes of one write of content.
const BLOCK: usize = 256 * 1024;

/// Serves a command whose request was read.
pub(crate) async fn serve(mut stream: CommandStream, request: &[u8]) -> Result<(), Failure> {
    match request {
        b"echo" => stream.writer.end(FrameKind::Eof, b"echo").await?,
        b"get" => {
            stream.writer.start_content();
            let block = Bytes::from(vec![7; BLOCK]);
            // Ends when the client stops reading.
            while stream.writer.write_block(block.clone()).await.is_ok() {}
        }
        b"put" => {
            let received = read_content(&mut stream, NO_TIMEOUT).await?;
            stream.writer.end(FrameKind::Eof, received.to_string().as_bytes()).await?;
        }
        _ => return Err("unknown command".into()),
    }
    Ok(())
}

/// Reads content to its end, or for `limit`. Returns its bytes.
async fn read_content(stream: &mut CommandStream, limit: Duration) -> Result<u64, Failure> {
    let start = Instant::now();
    let mut pieces = vec![Bytes::new(); PIECES];
    let mut received = 0;
    while start.elapsed() < limit
        && let Some(count) = stream.reader.read_pieces(&mut pieces, NO_TIMEOUT).await?
    {
        received += pieces.drain(..count).map(|piece| piece.len() as u64).sum::<u64>();
        pieces.resize(PIECES, Bytes::new());
    }
    Ok(received)
}

pub(crate) async fn request(channel: &Channel, request: &[u8]) -> Result<CommandStream, Failure> {
    let mut stream = channel.open().await?;
    stream.writer.write_frame(FrameKind::Request, request).await?;
    stream.writer.flush().await?;
    Ok(stream)
}

/// Sends content for `duration`. Returns the rate in MB/s, up to the response.
pub(crate) async fn put(channel: &Channel, duration: Duration) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut stream = request(channel, b"put").await?;
    stream.writer.start_content();
    let block = Bytes::from(vec![7; BLOCK]);
    while start.elapsed() < duration {
        stream.writer.write_block(block.clone()).await?;
    }
    stream.writer.finish();
    let response = stream.reader.read_frame(64, NO_TIMEOUT).await?;
    let received: u64 = std::str::from_utf8(&response.payload)?.parse()?;
    Ok(received as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Receives content for `duration`. Returns the rate in MB/s.
pub(crate) async fn get(channel: &Channel, duration: Duration) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut stream = request(channel, b"get").await?;
    let received = read_content(&mut stream, duration).await?;
    stream.reader.stop();
    Ok(received as f64 / 1e6 / start.elapsed().as_secs_f64())
}

/// Measures round trips of small requests for `duration`, in microseconds.
pub(crate) async fn round_trips(
    channel: &Channel,
    pause: Duration,
    duration: Duration,
) -> Result<Vec<u128>, Failure> {
    let start = Instant::now();
    let mut round_trips = Vec::new();
    while start.elapsed() < duration {
        let sent = Instant::now();
        let mut stream = request(channel, b"echo").await?;
        stream.reader.read_frame(64, NO_TIMEOUT).await?;
        round_trips.push(sent.elapsed().as_micros());
        sleep(pause).await;
    }
    Ok(round_trips)
}
