//! A part that a put of the client's other connection has: where that connection is dead, the new put goes on
//! with it.

use std::time::Duration;

use quiver_protocol::Put;
use quiver_protocol::text::display_safe;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use super::{CommandError, memory};
use crate::command::context::Context;
use crate::files::{IfLocked, Staged};
use crate::holds::Holder;

/// How long a put that was ended may take to let go of its part: a block is being written, or the whole
/// flushed.
const LETTING_GO: Duration = Duration::from_secs(5);

/// How often a put tries again to lock a part whose lock has no known holder: a put that has just opened it, or the
/// cleanup.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Stages a put, with the memory it may take. Its client's part is taken over from each dead connection that has
/// it. Where several puts wait for the same part, the first to lock it gets it, and the others check that one's
/// connection in turn.
pub(super) async fn stage<'a>(
    context: &'a Context,
    put: &Put,
    by: &Holder,
) -> Result<(Option<SemaphorePermit<'a>>, Staged), CommandError> {
    let mut patience = Instant::now() + LETTING_GO;
    loop {
        let mut if_locked = take_over(context, put, &mut patience).await;
        if Instant::now() > patience {
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
        sleep(LOOK_EVERY).await;
    }
}

/// Ends the put that has the part, if its connection is dead. A put whose connection lives, or is the same one,
/// keeps the part: the new put then starts over.
async fn take_over(context: &Context, put: &Put, patience: &mut Instant) -> IfLocked {
    let Some(holder) = context.files().holder(put, &context.client.owner) else {
        return IfLocked::Wait;
    };
    if holder.connection == context.connection {
        return IfLocked::StartOver;
    }
    if context.registry().is_alive(holder.connection).await {
        return IfLocked::StartOver;
    }
    let path = display_safe(put.path.as_str());
    let client = &context.client;
    info!("{client} goes on with {path}, which a silent connection of theirs had");
    holder.end.cancel();
    // One that takes longer has the part for good.
    if timeout(LETTING_GO, holder.gone.cancelled()).await.is_err() {
        return IfLocked::StartOver;
    }
    *patience = Instant::now() + LETTING_GO;
    IfLocked::Wait
}
