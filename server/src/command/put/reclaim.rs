//! Reclaims a partial file that an upload on another connection of the client has locked, if that
//! connection is dead.

use std::time::Duration;

use quiver_protocol::PutRequest;
use quiver_protocol::text::display_safe;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::{CommandError, memory_kib};
use crate::command::context::Context;
use crate::files::{LockedPolicy, StagedFile};
use crate::upload_locks::LockOwner;

/// How long a cancelled upload may take to release its partial file: it may be writing a block, or
/// flushing the whole file.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to notice that the client cancelled an upload on the same
/// connection: a packet is in flight, or a block is being written.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an upload tries again to lock a partial file whose lock has no known owner: an upload
/// that has just opened it, or the cleanup.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Stages an upload, with the memory that it may use. Reclaims the client's partial file from each
/// dead connection that has it. If several uploads wait for the same partial file, the first to
/// lock it gets it, and the others then check that upload's connection.
pub(super) async fn stage<'a>(
    context: &'a Context,
    request: &PutRequest,
    lock_owner: &LockOwner,
) -> Result<(Option<SemaphorePermit<'a>>, StagedFile), CommandError> {
    let mut deadline = Instant::now() + RELEASE_TIMEOUT;
    loop {
        let mut locked_policy = reclaim(context, request, &mut deadline).await;
        if Instant::now() > deadline {
            locked_policy = LockedPolicy::StartOver;
        }
        // Acquired after the reclaim, which may take a while: others can use the memory meanwhile.
        // The semaphore is never closed.
        let memory = context.memory_permits.acquire_many(memory_kib(request.size)).await.ok();
        let owner = context.client.owner.clone();
        let staged = context.files().stage(request, owner, Some(lock_owner.clone()), locked_policy);
        if let Some(staged) =
            staged.await.map_err(|error| CommandError::from_files(context.metrics(), error))?
        {
            return Ok((memory, staged));
        }
        drop(memory);
        sleep(RETRY_INTERVAL).await;
    }
}

/// Cancels the upload that has the partial file, if its connection is dead. An upload whose
/// connection is alive, or is the same one, keeps the partial file as long as it runs: the new
/// upload then starts over.
async fn reclaim(context: &Context, request: &PutRequest, deadline: &mut Instant) -> LockedPolicy {
    let Some(owner) = context.files().lock_owner(request, &context.client.owner) else {
        return LockedPolicy::Wait;
    };
    if owner.connection == context.connection {
        // The client may have cancelled that upload a moment ago, as for a pause.
        return match timeout(NOTICE_TIMEOUT, owner.released.cancelled()).await {
            Ok(()) => LockedPolicy::Wait,
            Err(_) => LockedPolicy::StartOver,
        };
    }
    if context.registry().is_alive(owner.connection).await {
        return LockedPolicy::StartOver;
    }
    let path = display_safe(request.path.as_str());
    let client = &context.client;
    info!("{client} goes on with {path}, which a silent connection of theirs had");
    owner.cancel.cancel();
    // If the cancelled upload takes longer, it keeps the partial file.
    if timeout(RELEASE_TIMEOUT, owner.released.cancelled()).await.is_err() {
        return LockedPolicy::StartOver;
    }
    *deadline = Instant::now() + RELEASE_TIMEOUT;
    LockedPolicy::Wait
}
