//! `put`: the limits, the log and the metrics of a file that a client stores. The conversation is
//! in [`quiver_transfer::put`].

mod reclaim;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{PutRequest, Refusal, RefusalCode, limits};
use quiver_transfer::HashedPrefix;
use quiver_transfer::put::{AcceptError, AcceptLimits, Staging, VerifiedUpload, accept};
use quiver_transfer::response::run_until_interrupted;
use quiver_transport::CommandStream;
use tokio::sync::SemaphorePermit;

use super::context::Context;
use super::transfer::TransferRecord;
use super::{CommandError, NextStep};
use crate::config::{MIN_PROOF_RATE, PROGRESS_INTERVAL, READY_TIMEOUT, STREAM_WINDOW};
use crate::files::{FilesError, PartialFileSink, StagedFile};
use crate::metrics::TransferDirection;
use crate::upload_locks::LockOwner;

/// An upload whose file is staged, with the permits that it holds.
struct PendingUpload<'a> {
    staged: StagedFile,
    /// Permits of the connection's memory, held until the content is verified.
    memory: Option<SemaphorePermit<'a>>,
    context: &'a Context,
}

/// 1. client -> Put  2. server -> Ready  3. client -> Content, Data*, Eof {size, blake3}, meanwhile
///    server -> Progress*  4. server -> Received, Eof
pub(super) async fn run(
    context: &Context,
    request: PutRequest,
    stream: &mut CommandStream,
) -> Result<NextStep, CommandError> {
    let lock_owner = LockOwner::new(context.connection);
    let cancelled = lock_owner.cancel.clone();
    let (upload, transfer) = tokio::select! {
        biased;
        () = cancelled.cancelled() => {
            let why = "another connection of this client resumed this upload";
            return Err(CommandError::Refused(Refusal::new(RefusalCode::BadRequest, why)));
        }
        received = receive(context, &request, lock_owner, stream) => received?,
    };
    upload.store(&mut stream.writer, transfer).await?;
    Ok(NextStep::Done)
}

/// Runs the conversation until the content is verified.
async fn receive<'a>(
    context: &'a Context,
    request: &PutRequest,
    lock_owner: LockOwner,
    stream: &mut CommandStream,
) -> Result<(VerifiedUpload<PendingUpload<'a>>, TransferRecord), CommandError> {
    let stopped = stream.writer.stopped();
    let staged = reclaim::stage(context, request, &lock_owner);
    // Waiting for the partial file ends if the client cancels, or sends content before Ready.
    let staged = run_until_interrupted(&mut stream.reader, stopped, staged).await;
    let (memory, staged) = staged.map_err(CommandError::from_interruption)??;
    let transfer = TransferRecord::start(context, TransferDirection::Put, &request.path);
    let limits = AcceptLimits {
        timeout: context.put_timeout(),
        ready_timeout: READY_TIMEOUT,
        proof_rate: MIN_PROOF_RATE,
        max_size: context.max_file_size(),
        progress_interval: PROGRESS_INTERVAL,
    };
    let upload = PendingUpload { staged, memory, context };
    match accept(stream, request, upload, &limits, &transfer).await {
        Ok(upload) => Ok((upload, transfer)),
        Err(AcceptError::Interrupted(error)) => Err(CommandError::from_interruption(error)),
        Err(error) => Err(transfer.fail(CommandError::from_put(context.metrics(), request, error))),
    }
}

/// The memory that a put may use, in KiB: for unread content, and two blocks.
fn memory_kib(size: Option<u64>) -> u32 {
    let content = size.unwrap_or(u64::MAX).min(STREAM_WINDOW);
    let headers = content.div_ceil(limits::CHUNK as u64) * 3;
    // The frames before and after the content have a few hundred bytes.
    let unread = (content + headers + 1024).min(STREAM_WINDOW);
    let bytes = unread + 2 * content.min(BLOCK as u64);
    // At most 1.5 MiB.
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

impl Staging for PendingUpload<'_> {
    type Sink = PartialFileSink;
    type Error = FilesError;

    fn has_partial(&self) -> bool {
        self.staged.is_resumable()
    }

    async fn hash_partial(&self) -> Result<HashedPrefix, FilesError> {
        let _permit = self.context.client.limits.proofs.acquire().await;
        self.staged.hash_partial_file(&self.context.proof_lane()).await
    }

    async fn open_sink(&self, offset: u64) -> Result<PartialFileSink, FilesError> {
        self.staged.sink(offset).await
    }

    async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        // The commit needs almost no memory.
        drop(self.memory);
        let _permit = self.context.client.limits.changes.acquire().await;
        self.staged.commit(size, done).await
    }

    async fn commit_small(
        self,
        bytes: Vec<u8>,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        drop(self.memory);
        self.staged.commit_small(bytes, done).await
    }

    async fn discard(self) {
        self.staged.discard().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_reserves_memory_by_its_size_up_to_a_maximum() {
        assert_eq!(memory_kib(Some(0)), 1);
        assert_eq!(memory_kib(Some(1024)), 5);
        assert_eq!(memory_kib(Some(64 * 1024 * 1024)), 1536);
        assert_eq!(memory_kib(Some(u64::MAX)), memory_kib(None));
        assert!(memory_kib(None) as usize * 1024 <= crate::config::CONTENT_MEMORY);
    }
}
