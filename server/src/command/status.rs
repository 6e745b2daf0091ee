//! `status`: the clients that are or were connected.

use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;
use tokio::task::yield_now;

use super::context::Context;
use super::{CommandError, NextStep};

/// Rows that are copied from the history at a time, while the client reads the ones before.
const ROWS_PER_PAGE: usize = 256;

/// 1. client -> Status  2. server -> Client*, Eof
pub(super) async fn run(
    context: &Context,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = context.client.limits.long_responses.acquire().await;
    let mut last = 0;
    loop {
        let mut rows = context.history().rows_after(last, ROWS_PER_PAGE);
        let Some(row) = rows.last() else { break };
        last = row.number;
        let marked = context.registry().mark_reachable(&mut rows).await;
        marked.map_err(|error| context.registry_failure(&error))?;
        for row in rows {
            writer.write_frame(FrameKind::Reply, &Reply::Client(row).encode()).await?;
        }
        // Other commands get their turn even if the network takes every write at once.
        yield_now().await;
    }
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}
