//! `get`: who may be sent a file when, and what the log and the metrics learn of it. The conversation is
//! [`quiver_transfer::get`]'s.

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentPrefix, FilePath};
use quiver_transfer::get::{SentFile, ServeError, ServedFile, serve};
use quiver_transfer::{Observer as _, ProofLimits, Source};
use quiver_transport::CommandStream;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::context::Context;
use super::transfer::TransferRecord;
use super::{CommandError, NextStep};
use crate::config::{CONTENT_STREAMS, RECEIVED_PATIENCE};
use crate::files::FilesError;
use crate::metrics::TransferDirection;

/// A file that was sent, and is not confirmed yet.
pub(super) struct UnconfirmedFile {
    file: SentFile,
    transfer: TransferRecord,
}

/// 1. client -> Get  2. server -> File, Data*, Eof {size, blake3}
pub(super) async fn answer(
    context: &Context,
    path: FilePath,
    have: Option<ContentPrefix>,
    stream: &mut CommandStream,
) -> Result<NextStep, CommandError> {
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
    let transfer = TransferRecord::begin(context, TransferDirection::Get, &path);
    let permits = Some(&context.client.limits.proofs);
    let proofs = ProofLimits { lane: Some(context.proof_lane()), permits };
    let served = ServedFile { path, source, have, block, proofs };
    match serve(stream, served, &transfer).await {
        Ok(file) => Ok(NextStep::AwaitReceived(UnconfirmedFile { file, transfer })),
        Err(error) => {
            if let ServeError::Send(reason) = &error {
                transfer.failed(reason);
            }
            Err(CommandError::of_get(context.metrics(), error))
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

/// 3. client -> Received {blake3}; whether it was received.
pub(super) async fn confirm(stream: &mut CommandStream, sent: UnconfirmedFile) -> bool {
    let UnconfirmedFile { file, transfer } = sent;
    file.confirm(&mut stream.reader, RECEIVED_PATIENCE, transfer).await.is_ok()
}
