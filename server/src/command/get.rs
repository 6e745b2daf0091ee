//! `get`: a file's content, and the word that it has arrived.

use std::time::Duration;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::reply::FileHead;
use quiver_protocol::{
    ContentEnd, End as _, FilePath, FrameError, FrameKind, Prefix, Received, Refusal, RefusalCode,
    Reply, limits,
};
use quiver_transfer::{Bottleneck, Hashed, SendError, Source};
use quiver_transport::{CommandStream, StreamError};

use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::context::Context;
use super::transfer::Transfer;
use super::{CommandError, Next};
use crate::config::{CONTENT_STREAMS, RECEIVED_PATIENCE};
use crate::files::FilesError;
use crate::internal_failure;
use crate::metrics::Direction;

/// What was sent, whole.
pub(super) struct Sent {
    transfer: Transfer,
    end: ContentEnd,
    /// How long it took until all had left.
    took: Duration,
}

/// 1. client -> Get  2. server -> File, Data*, Eof {size, blake3}
pub(super) async fn answer(
    context: &Context,
    path: FilePath,
    have: Option<Prefix>,
    stream: &mut CommandStream,
) -> Result<Next, CommandError> {
    // Held until the content is sent: the semaphore is never closed.
    let _permit = context.content.acquire().await;
    let many = context.content.available_permits() < CONTENT_STREAMS * 3 / 4;
    let block = if many { BLOCK / 4 } else { BLOCK };
    // Three blocks: they always fit, but for what puts have now. The semaphore is never closed.
    let _memory = context.memory.acquire_many((3 * block / 1024) as u32).await;
    let opened = context.files().open(&path).await;
    let source = opened.map_err(|error| CommandError::of_files(context.metrics(), error))?;
    // Held until the content is sent, like the file it is in.
    let (source, _spooled) = with_size(context, source).await?;
    let transfer = Transfer::begin(context, Direction::Get, &path);
    let (Some(size), Some(modified)) = (source.size(), source.modified()) else {
        return Err(CommandError::of_files(context.metrics(), FilesError::NotAFile));
    };
    let from = match have {
        None => Ok(Hashed::nothing()),
        Some(have) => {
            let stopped = stream.writer.stopped();
            tokio::select! {
                biased;
                // The client says more, or has given up: what proving takes is for others.
                error = stream.reader.interrupted() => Err(error.into()),
                error = stopped => Err(error.into()),
                proved = proved(context, &source, have) => proved,
            }
        }
    };
    let CommandStream { reader, writer } = stream;
    let sent = async {
        let from = from?;
        let head = Reply::File(FileHead {
            path,
            size,
            modified: modified.into(),
            offset: from.length(),
            executable: source.is_executable(),
        });
        writer.write_frame(FrameKind::Reply, &head.encode()).await?;
        let end = quiver_transfer::send(writer, source, from, block, |bytes| transfer.moves(bytes))
            .await?;
        writer.end(FrameKind::Eof, &end.encode()).await?;
        Ok(end)
    };
    let sent = tokio::select! {
        biased;
        // A second request, or anything else the client has no business to say now; or it has given up, which
        // the write tells where it stopped reading.
        error = reader.interrupted() => Err(SendError::Stream(error)),
        sent = sent => sent,
    };
    match sent {
        Ok(end) => {
            let took = transfer.took();
            Ok(Next::AwaitReceived(Sent { transfer, end, took }))
        }
        Err(error) => {
            let error = transfer.failed(error);
            Err(match error {
                SendError::Changed | SendError::WrongSize => {
                    let refusal = Refusal::new(RefusalCode::Changed, error.to_string());
                    CommandError::Refused(refusal)
                }
                SendError::Disk(reason) => CommandError::Refused(internal_failure::report(
                    context.metrics(),
                    "reading a file",
                    &reason,
                )),
                SendError::Stream(error) => CommandError::out_of_turn(error),
            })
        }
    }
}

/// A source whose size is known, and what to hold for as long as it is used.
async fn with_size(
    context: &Context,
    source: Source,
) -> Result<(Source, Option<(SemaphorePermit<'_>, OwnedSemaphorePermit)>), CommandError> {
    if source.size().is_some() {
        return Ok((source, None));
    }
    let failed = |error| CommandError::of_files(context.metrics(), error);
    // Files that this client is sent already do not keep others from theirs. The semaphore is never closed.
    let Ok(own) = context.client.limits.spools.acquire().await else {
        return Err(failed(FilesError::Spools));
    };
    let (source, permit) = context.files().spool(source).await.map_err(failed)?;
    Ok((source, Some((own, permit))))
}

/// What of the file need not be sent.
async fn proved(context: &Context, source: &Source, have: Prefix) -> Result<Hashed, SendError> {
    let _permit = context.client.limits.proofs.acquire().await;
    Ok(source.proves(have, Some(&context.proof_lane())).await?.unwrap_or_default())
}

/// 3. client -> Received {blake3}; whether it came.
pub(super) async fn confirm(stream: &mut CommandStream, sent: Sent) -> bool {
    let Sent { transfer, end, took } = sent;
    match received(stream, &end).await {
        Ok(Received { slowed_by: there, .. }) => {
            let limited_by = Bottleneck::of_sender(end.slowed_by, took, transfer.took(), there);
            transfer.succeeded(end.size, limited_by);
            true
        }
        Err(error) => {
            stream.reader.stop();
            transfer.failed(error);
            false
        }
    }
}

async fn received(stream: &mut CommandStream, end: &ContentEnd) -> Result<Received, StreamError> {
    let frame = stream.reader.read_frame(limits::RECEIVED, RECEIVED_PATIENCE).await?;
    if frame.kind != FrameKind::Received {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "Received" }.into());
    }
    let received = Received::decode(&frame.payload)?;
    if received.blake3 != end.blake3 {
        let why = "the hash is not the one that was sent".to_owned();
        return Err(FrameError::Malformed { what: "received", why }.into());
    }
    Ok(received)
}
