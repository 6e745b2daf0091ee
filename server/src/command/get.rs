//! `get`: the limits, the log and the metrics of a file that a client gets. The conversation is in
//! [`quiver_transfer::get`].

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentPrefix, FilePath};
use quiver_transfer::get::{SentFile, ServeError, ServedFile, serve};
use quiver_transfer::{Observer as _, ProofLimits, Source};
use quiver_transport::CommandStream;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use super::context::Context;
use super::transfer::TransferRecord;
use super::{CommandError, NextStep};
use crate::config::{MAX_CONTENT_STREAMS, RECEIVED_TIMEOUT};
use crate::files::FilesError;
use crate::metrics::TransferDirection;

/// A sent file that the client has not confirmed yet.
pub(super) struct UnconfirmedFile {
    file: SentFile,
    transfer: TransferRecord,
}

/// 1. client -> Get  2. server -> File, Data*, Eof {size, blake3}
pub(super) async fn run(
    context: &Context,
    path: FilePath,
    have: Option<ContentPrefix>,
    stream: &mut CommandStream,
) -> Result<NextStep, CommandError> {
    // Held until the content is sent. The semaphore is never closed.
    let _permit = context.content_permits.acquire().await;
    let is_busy = context.content_permits.available_permits() < MAX_CONTENT_STREAMS * 3 / 4;
    let block = if is_busy { BLOCK / 4 } else { BLOCK };
    // Memory for three blocks; without running puts it is always available. The semaphore is never
    // closed.
    let _memory = context.memory_permits.acquire_many((3 * block / 1024) as u32).await;
    let opened = context.files().open(&path).await;
    let source = opened.map_err(|error| CommandError::from_files(context.metrics(), error))?;
    // The permits of the temporary file, if there is one, are held until the content is sent.
    let (source, _spool_permits) = ensure_known_size(context, source).await?;
    let transfer = TransferRecord::start(context, TransferDirection::Get, &path);
    let permits = Some(&context.client.limits.proofs);
    let proofs = ProofLimits { lane: Some(context.proof_lane()), permits };
    let served = ServedFile { path, source, have, block, proofs, prefix_cache: None };
    match serve(stream, served, &transfer).await {
        Ok(file) => Ok(NextStep::AwaitReceived(UnconfirmedFile { file, transfer })),
        Err(error) => {
            if let ServeError::Send(reason) = &error {
                transfer.failed(reason);
            }
            Err(CommandError::from_get(context.metrics(), error))
        }
    }
}

/// Copies a source of unknown size to a temporary file. Returns a source of known size, and the
/// permits to hold as long as it is used.
async fn ensure_known_size(
    context: &Context,
    source: Source,
) -> Result<(Source, Option<(SemaphorePermit<'_>, OwnedSemaphorePermit)>), CommandError> {
    if source.size().is_some() {
        return Ok((source, None));
    }
    let failed = |error| CommandError::from_files(context.metrics(), error);
    // A permit of the client first, then one of those that all clients share: a client with many
    // such files must not use up the latter. The semaphore is never closed.
    let Ok(own) = context.client.limits.spools.acquire().await else {
        return Err(failed(FilesError::TooManySpools));
    };
    let (source, permit) = context.files().spool(source).await.map_err(failed)?;
    Ok((source, Some((own, permit))))
}

/// 3. client -> Received {blake3}
///
/// Returns whether the client confirmed the file.
pub(super) async fn confirm(stream: &mut CommandStream, sent: UnconfirmedFile) -> bool {
    let UnconfirmedFile { file, transfer } = sent;
    file.confirm(&mut stream.reader, RECEIVED_TIMEOUT, transfer).await.is_ok()
}
