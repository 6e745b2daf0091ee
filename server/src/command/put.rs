//! `put`: a file that comes, verified and stored before anyone is told.

mod reclaim;

use std::time::Duration;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::reply::Ready;
use quiver_protocol::{
    Brake, ContentEnd, End as _, FrameError, FrameKind, PlainEnd, Put, Received, Refusal,
    RefusalCode, Reply, limits,
};
use quiver_transfer::{Arrival, Bottleneck, Hashed, ReceiveError, Size, TransferTimings};
use quiver_transport::{CommandStream, FrameReader, FrameWriter, StreamError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::context::Context;
use super::transfer::Transfer;
use super::{CommandError, Next};
use crate::config::{LARGEST_PUT_WINDOW, PROGRESS_EVERY, PROVING_RATE, READY_PATIENCE};
use crate::files::{FilesError, Staged};
use crate::metrics::Direction;
use crate::upload_locks::LockOwner;

/// 1. client -> Put  2. server -> Ready  3. client -> Content, Data*, Eof {size, blake3}, meanwhile
///    server -> Progress*  4. server -> Received, Eof
pub(super) async fn answer(
    context: &Context,
    put: Put,
    stream: &mut CommandStream,
) -> Result<Next, CommandError> {
    let by = LockOwner::new(context.connection);
    let ended = by.end.clone();
    let Arrived { staged, transfer, came } = tokio::select! {
        biased;
        () = ended.cancelled() => {
            let why = "another connection of this client goes on with it";
            return Err(CommandError::Refused(Refusal::new(RefusalCode::BadRequest, why)));
        }
        arrived = arrive(context, &put, by, stream) => arrived?,
    };
    let Came { bytes, end, mut times } = came;
    let since = Instant::now();
    let there = end.slowed_by;
    let done = move |result: &Result<(), FilesError>| match result {
        Ok(()) => {
            let slowed_by = flushed(&mut times, since);
            transfer.succeeded(end.size, Bottleneck::of(slowed_by, there));
        }
        Err(error) => {
            transfer.failed(error);
        }
    };
    let committed = match bytes {
        Some(bytes) => staged.commit_small(bytes, done).await,
        None => {
            let _permit = context.client.limits.changes.acquire().await;
            staged.commit(end.size, done).await
        }
    };
    committed.map_err(|error| CommandError::of_files(context.metrics(), error))?;
    let slowed_by = flushed(&mut times, since);
    let received = Received { blake3: end.blake3, slowed_by };
    stream.writer.write_frame(FrameKind::Received, &received.encode()).await?;
    stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(Next::Done)
}

/// What held this end back, now that the disk has been waited for too.
fn flushed(times: &mut TransferTimings, since: Instant) -> Option<Brake> {
    times.flushed(since.elapsed());
    times.brake(times.took())
}

/// A file all of which has come, and is what was sent.
struct Arrived {
    staged: Staged,
    transfer: Transfer,
    came: Came,
}

/// 2. server -> Ready  3. client -> Content, Data*, Eof {size, blake3}, meanwhile server -> Progress*
async fn arrive(
    context: &Context,
    put: &Put,
    by: LockOwner,
    stream: &mut CommandStream,
) -> Result<Arrived, CommandError> {
    let CommandStream { reader, writer } = stream;
    let stopped = writer.stopped();
    let size = put.size;
    let prepared = async {
        let (memory, staged) = reclaim::stage(context, put, &by).await?;
        let transfer = Transfer::begin(context, Direction::Put, &put.path);
        let kept = match ready(context, &staged, writer).await {
            Ok(kept) => kept,
            Err(error) => return Err(transfer.failed(error)),
        };
        Ok((memory, staged, transfer, kept))
    };
    // What follows its arrival needs the disk, and no memory to speak of.
    let (_memory, staged, transfer, kept) = tokio::select! {
        biased;
        // Content before it is asked for, or anything else the client has no business to say now.
        error = reader.interrupted() => return Err(CommandError::out_of_turn(error)),
        error = stopped => return Err(CommandError::Stream(error)),
        prepared = prepared => prepared?,
    };
    let came = match staged.is_small() {
        Some(size) => small(context, size, &transfer, reader).await,
        None => large(context, &staged, size, kept, &transfer, reader, writer).await,
    };
    match came {
        Ok(came) => Ok(Arrived { staged, transfer, came }),
        Err(Broken::Kept(error)) => Err(transfer.failed(error)),
        Err(Broken::Dropped(error)) => {
            staged.discard().await;
            Err(transfer.failed(error))
        }
    }
}

/// KiB of memory that a put may take: what may wait unread, and two blocks.
fn memory(size: Option<u64>) -> u32 {
    let content = size.unwrap_or(u64::MAX).min(LARGEST_PUT_WINDOW);
    let headers = content.div_ceil(limits::CHUNK as u64) * 3;
    // The frames around the content have a few hundred bytes.
    let unread = (content + headers + 1024).min(LARGEST_PUT_WINDOW);
    let bytes = unread + 2 * content.min(BLOCK as u64);
    // At most 1.5 MiB.
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// 2. server -> Ready {have}
async fn ready(
    context: &Context,
    staged: &Staged,
    writer: &mut FrameWriter,
) -> Result<Hashed, CommandError> {
    let kept = if staged.has_kept() {
        let _permit = context.client.limits.proofs.acquire().await;
        let kept = staged.kept(&context.proof_lane()).await;
        kept.map_err(|error| CommandError::of_files(context.metrics(), error))?
    } else {
        // No put waits for a proof that another one needs.
        Hashed::nothing()
    };
    let have = (kept.length() > 0).then(|| kept.prefix());
    let ready = Reply::Ready(Ready { path: staged.path().clone(), have });
    let said = async {
        writer.write_frame(FrameKind::Reply, &ready.encode()).await?;
        writer.flush().await
    };
    // Room on the disk is reserved: nobody may have it for not listening.
    match timeout(READY_PATIENCE, said).await {
        Ok(said) => said?,
        Err(_) => return Err(StreamError::Silent(READY_PATIENCE).into()),
    }
    Ok(kept)
}

/// Content that came whole and was verified.
struct Came {
    /// All of it, where it is not in its part.
    bytes: Option<Vec<u8>>,
    end: ContentEnd,
    times: TransferTimings,
}

/// Why content did not come, and what becomes of its part.
enum Broken {
    /// It may go on another time.
    Kept(CommandError),
    /// Nothing can come of it.
    Dropped(CommandError),
}

/// 3. client -> Content, Data*, Eof {size, blake3}, meanwhile server -> Progress*
async fn large(
    context: &Context,
    staged: &Staged,
    size: Option<u64>,
    kept: Hashed,
    transfer: &Transfer,
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
) -> Result<Came, Broken> {
    let offset = beginning(context, reader, kept.length()).await.map_err(Broken::of_stream)?;
    let from = if offset == 0 { Hashed::nothing() } else { kept };
    let sink = staged.sink(offset).await;
    let sink =
        sink.map_err(|error| Broken::Dropped(CommandError::of_files(context.metrics(), error)))?;
    let most = context.max_file_size();
    let expected = size.map_or(Size::AtMost(most), Size::Known);
    let (arrived, seen) = watch::channel(Arrival { received: offset, stored: offset });
    let patience = context.put_patience();
    let mut before = offset;
    let received = quiver_transfer::receive(reader, expected, from, sink, patience, |arrival| {
        transfer.moves(arrival.received - before);
        before = arrival.received;
        arrived.send_replace(arrival);
    });
    let received = tokio::select! {
        biased;
        received = received => received,
        error = report(writer, seen) => Err(ReceiveError::Stream(error)),
    };
    match received {
        // The sink goes: the part is committed by name.
        Ok((_, end, times)) => Ok(Came { bytes: None, end, times }),
        Err(error) => Err(Broken::of(context, error, size)),
    }
}

/// The same for a small file, into memory: it has come before anyone could be told how far it is.
async fn small(
    context: &Context,
    size: u64,
    transfer: &Transfer,
    reader: &mut FrameReader,
) -> Result<Came, Broken> {
    beginning(context, reader, 0).await.map_err(Broken::of_stream)?;
    let patience = context.put_patience();
    let received = quiver_transfer::receive_small(reader, size, patience).await;
    let (bytes, end, times) = received.map_err(|error| Broken::of(context, error, Some(size)))?;
    transfer.moves(end.size);
    Ok(Came { bytes: Some(bytes), end, times })
}

/// Where the content begins: at the end of what is here already, or at 0.
async fn beginning(
    context: &Context,
    reader: &mut FrameReader,
    kept: u64,
) -> Result<u64, StreamError> {
    // The client may have to read as much as the server kept.
    let proving = Duration::from_secs(kept / PROVING_RATE);
    let patience = context.put_patience() + proving;
    let frame = reader.read_answer(limits::RECEIVED, patience).await?;
    if frame.kind != FrameKind::Reply {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "a Reply" }.into());
    }
    match Reply::decode(&frame.payload)? {
        Reply::Content { offset } if offset == 0 || offset == kept => Ok(offset),
        Reply::Content { .. } => Err(malformed("it begins where nothing ended")),
        _ => Err(malformed("it is another reply")),
    }
}

fn malformed(why: &str) -> StreamError {
    FrameError::Malformed { what: "content", why: why.to_owned() }.into()
}

/// Tells now and then how much has come. Ends only where nobody can be told.
async fn report(writer: &mut FrameWriter, mut seen: watch::Receiver<Arrival>) -> StreamError {
    let mut ticks = interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !matches!(seen.has_changed(), Ok(true)) {
            continue;
        }
        let Arrival { received, stored } = *seen.borrow_and_update();
        let progress = Reply::Progress { received, stored }.encode();
        let said = async {
            writer.write_frame(FrameKind::Reply, &progress).await?;
            writer.flush().await
        };
        if let Err(error) = said.await {
            return error;
        }
    }
}

impl Broken {
    fn of_stream(error: StreamError) -> Self {
        let refused = |code, words: String| CommandError::Refused(Refusal::new(code, words));
        match error {
            // Nothing but the client's own rest is missing.
            StreamError::Frame(FrameError::Truncated) => {
                Self::Kept(CommandError::Refused(FrameError::Truncated.into()))
            }
            StreamError::Frame(error) => Self::Dropped(CommandError::Refused(error.into())),
            StreamError::Refused(refusal) => {
                let words = format!("the client gave up ({:?})", refusal.code);
                Self::Kept(refused(RefusalCode::Changed, words))
            }
            StreamError::Silent(patience) => {
                let words = format!("no content for {} seconds", patience.as_secs());
                Self::Kept(refused(RefusalCode::BadRequest, words))
            }
            error => Self::Kept(CommandError::Stream(error)),
        }
    }

    fn of(context: &Context, error: ReceiveError, size: Option<u64>) -> Self {
        let words = error.to_string();
        match error {
            ReceiveError::Mismatch | ReceiveError::Length { .. } => {
                Self::Dropped(CommandError::Refused(Refusal::new(RefusalCode::BadRequest, words)))
            }
            ReceiveError::Disk(error) => Self::Dropped(CommandError::of_files(
                context.metrics(),
                FilesError::of_write(error),
            )),
            ReceiveError::Stream(StreamError::Frame(FrameError::TooMuchContent { announced }))
                if size.is_none() =>
            {
                let error = FilesError::TooLarge { limit: announced };
                Self::Dropped(CommandError::of_files(context.metrics(), error))
            }
            ReceiveError::Stream(error) => Self::of_stream(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_takes_memory_by_its_size_and_never_more_than_the_largest() {
        assert_eq!(memory(Some(0)), 1);
        assert_eq!(memory(Some(1024)), 5);
        assert_eq!(memory(Some(64 * 1024 * 1024)), 1536);
        assert_eq!(memory(Some(u64::MAX)), memory(None));
        assert!(memory(None) as usize * 1024 <= crate::config::CONTENT_MEMORY);
    }
}
