//! `put`: who may store a file when, and what the log and the metrics learn of it. The conversation is
//! [`quiver_transfer::put`]'s.

mod reclaim;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{PutRequest, Refusal, RefusalCode, limits};
use quiver_transfer::HashedPrefix;
use quiver_transfer::answer::unless_interrupted;
use quiver_transfer::put::{AcceptError, AcceptLimits, Staging, VerifiedUpload, accept};
use quiver_transport::CommandStream;
use tokio::sync::SemaphorePermit;

use super::context::Context;
use super::transfer::TransferRecord;
use super::{CommandError, NextStep};
use crate::config::{LARGEST_PUT_WINDOW, PROGRESS_EVERY, PROVING_RATE, READY_PATIENCE};
use crate::files::{FilesError, PartialFileSink, StagedFile};
use crate::metrics::TransferDirection;
use crate::upload_locks::LockOwner;

/// A file that is about to be received, and what it holds of the client's limits.
struct PendingUpload<'a> {
    staged: StagedFile,
    /// Of the connection, until the content is verified.
    memory: Option<SemaphorePermit<'a>>,
    context: &'a Context,
}

/// 1. client -> Put  2. server -> Ready  3. client -> Content, Data*, Eof {size, blake3}, meanwhile
///    server -> Progress*  4. server -> Received, Eof
pub(super) async fn answer(
    context: &Context,
    put: PutRequest,
    stream: &mut CommandStream,
) -> Result<NextStep, CommandError> {
    let by = LockOwner::new(context.connection);
    let ended = by.end.clone();
    let (upload, transfer) = tokio::select! {
        biased;
        () = ended.cancelled() => {
            let why = "another connection of this client goes on with it";
            return Err(CommandError::Refused(Refusal::new(RefusalCode::BadRequest, why)));
        }
        received = receive(context, &put, by, stream) => received?,
    };
    upload.store(&mut stream.writer, transfer).await?;
    Ok(NextStep::Done)
}

/// Everything up to the verified content.
async fn receive<'a>(
    context: &'a Context,
    put: &PutRequest,
    by: LockOwner,
    stream: &mut CommandStream,
) -> Result<(VerifiedUpload<PendingUpload<'a>>, TransferRecord), CommandError> {
    let stopped = stream.writer.stopped();
    let staged = reclaim::stage(context, put, &by);
    // A client that gives up, or sends content before it is asked for, does not wait for its partial file.
    let staged = unless_interrupted(&mut stream.reader, stopped, staged).await;
    let (memory, staged) = staged.map_err(CommandError::out_of_turn)??;
    let transfer = TransferRecord::begin(context, TransferDirection::Put, &put.path);
    let limits = AcceptLimits {
        timeout: context.put_patience(),
        ready_timeout: READY_PATIENCE,
        proof_rate: PROVING_RATE,
        max_size: context.max_file_size(),
        progress_every: PROGRESS_EVERY,
    };
    let upload = PendingUpload { staged, memory, context };
    match accept(stream, put, upload, &limits, &transfer).await {
        Ok(upload) => Ok((upload, transfer)),
        Err(AcceptError::Interrupted(error)) => Err(CommandError::out_of_turn(error)),
        Err(error) => Err(transfer.fail(CommandError::of_put(context.metrics(), put, error))),
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

impl Staging for PendingUpload<'_> {
    type Sink = PartialFileSink;
    type Error = FilesError;

    fn has_kept(&self) -> bool {
        self.staged.has_kept()
    }

    async fn kept(&self) -> Result<HashedPrefix, FilesError> {
        let _permit = self.context.client.limits.proofs.acquire().await;
        self.staged.kept(&self.context.proof_lane()).await
    }

    async fn sink(&self, offset: u64) -> Result<PartialFileSink, FilesError> {
        self.staged.sink(offset).await
    }

    async fn commit(
        self,
        size: u64,
        done: impl FnOnce(&Result<(), FilesError>) + Send + 'static,
    ) -> Result<(), FilesError> {
        // What follows needs the disk, and no memory to speak of.
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
    fn a_put_takes_memory_by_its_size_and_never_more_than_the_largest() {
        assert_eq!(memory(Some(0)), 1);
        assert_eq!(memory(Some(1024)), 5);
        assert_eq!(memory(Some(64 * 1024 * 1024)), 1536);
        assert_eq!(memory(Some(u64::MAX)), memory(None));
        assert!(memory(None) as usize * 1024 <= crate::config::CONTENT_MEMORY);
    }
}
