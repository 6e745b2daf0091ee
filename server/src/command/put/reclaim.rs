//! A partial file that an upload by the client's other connection has locked: if that connection is dead, the new
//! upload reclaims it.

use std::time::Duration;

use quiver_protocol::PutRequest;
use quiver_protocol::text::display_safe;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::{CommandError, memory};
use crate::command::context::Context;
use crate::files::{IfLocked, StagedFile};
use crate::upload_locks::LockOwner;

/// How long an upload that was ended may take to release its partial file: a block is being written, or the whole
/// file flushed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the server may take to notice that an upload was given up on the same connection: a packet is on its way,
/// a block being written.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often an upload tries again to lock a partial file whose lock has no known owner: an upload that has just
/// opened it, or the cleanup.
const RETRY_EVERY: Duration = Duration::from_millis(20);

/// Stages an upload, with the memory it may take. Its client's partial file is reclaimed from each dead connection
/// that has it. If several uploads wait for the same one, the first to lock it gets it, and the others check that
/// one's connection in turn.
pub(super) async fn stage<'a>(
    context: &'a Context,
    put: &PutRequest,
    by: &LockOwner,
) -> Result<(Option<SemaphorePermit<'a>>, StagedFile), CommandError> {
    let mut deadline = Instant::now() + RELEASE_TIMEOUT;
    loop {
        let mut if_locked = reclaim(context, put, &mut deadline).await;
        if Instant::now() > deadline {
            if_locked = IfLocked::StartOver;
        }
        // Not before, for that may take a while, in which others can use the memory. The semaphore is never
        // closed.
        let memory = context.memory.acquire_many(memory(put.size)).await.ok();
        let files = context.files();
        let staged =
            files.stage(put, context.client.owner.clone(), Some(by.clone()), if_locked).await;
        if let Some(staged) =
            staged.map_err(|error| CommandError::of_files(context.metrics(), error))?
        {
            return Ok((memory, staged));
        }
        drop(memory);
        sleep(RETRY_EVERY).await;
    }
}

/// Ends the upload that has the partial file, if its connection is dead. An upload whose connection is alive, or is
/// the same one, keeps it as long as it runs: the new upload then starts over.
async fn reclaim(context: &Context, put: &PutRequest, deadline: &mut Instant) -> IfLocked {
    let Some(owner) = context.files().lock_owner(put, &context.client.owner) else {
        return IfLocked::Wait;
    };
    if owner.connection == context.connection {
        // The client may have given it up a moment ago, as for a pause.
        return match timeout(NOTICE_TIMEOUT, owner.released.cancelled()).await {
            Ok(()) => IfLocked::Wait,
            Err(_) => IfLocked::StartOver,
        };
    }
    if context.registry().is_alive(owner.connection).await {
        return IfLocked::StartOver;
    }
    let path = display_safe(put.path.as_str());
    let client = &context.client;
    info!("{client} goes on with {path}, which a silent connection of theirs had");
    owner.end.cancel();
    // One that takes longer keeps the partial file.
    if timeout(RELEASE_TIMEOUT, owner.released.cancelled()).await.is_err() {
        return IfLocked::StartOver;
    }
    *deadline = Instant::now() + RELEASE_TIMEOUT;
    IfLocked::Wait
}
