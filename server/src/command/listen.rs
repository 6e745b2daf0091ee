//! `listen`: announces introductions, and the clients that connect and disconnect.

use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Refusal, RefusalCode, Reply};
use quiver_transport::{FrameWriter, StreamError};
use tokio::time::timeout;
use tracing::debug;

use super::context::Context;
use super::{CommandError, NextStep};
use crate::config::FINAL_REPLY_TIMEOUT;
use crate::metrics::CommandOutcome;
use crate::registry::ListenerQueue;

/// 1. client -> Listen  2. server -> Listening, then Introduction, Joined and Left as they occur, Eof when the server
///    stops
pub(super) async fn run(
    context: &Context,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let key = context.client_key()?;
    let client = context.client.number;
    let listening = context.registry().listen(context.connection, client, key).await;
    let queue = listening.map_err(|error| context.registry_failure(&error))?;
    let Some(mut queue) = queue else {
        let message = "this connection listens already";
        return Err(Refusal::new(RefusalCode::BadRequest, message).into());
    };
    let overflowed = queue.overflowed();
    tokio::select! {
        biased;
        () = overflowed.cancelled() => {
            debug!("{} does not read its introductions", context.client);
            writer.reset();
            return Ok(NextStep::Ended(CommandOutcome::Interrupted));
        }
        () = context.stopping() => {}
        error = announce(&mut queue, writer) => return Err(error.into()),
    }
    let end = PlainEnd {}.encode();
    let end = writer.end(FrameKind::Eof, &end);
    // A client that does not read must not delay the stop.
    if !matches!(timeout(FINAL_REPLY_TIMEOUT, end).await, Ok(Ok(()))) {
        writer.reset();
    }
    Ok(NextStep::Done)
}

/// Writes the replies as they occur. Ends only when the stream fails.
async fn announce(queue: &mut ListenerQueue, writer: &mut FrameWriter) -> StreamError {
    let mut reply = Reply::Listening;
    loop {
        let written = async {
            writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
            while let Some(reply) = queue.try_next() {
                writer.write_frame(FrameKind::Reply, &reply.encode()).await?;
            }
            writer.flush().await
        };
        if let Err(error) = written.await {
            return error;
        }
        reply = queue.next().await;
    }
}
