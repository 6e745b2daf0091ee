//! `status`: who is here and who was.

use quiver_protocol::{EofPayload as _, FrameKind, PlainEnd, Reply};
use quiver_transport::FrameWriter;
use tokio::task::yield_now;

use super::{CommandError, NextStep};
use crate::client_limits::ClientLimits;
use crate::history::History;

/// Clients that are looked up at once: so many are copied while the client reads those before.
const ROWS_AT_ONCE: usize = 256;

/// 1. client -> Status  2. server -> Client*, Eof
pub(super) async fn answer(
    history: &History,
    limits: &ClientLimits,
    writer: &mut FrameWriter,
) -> Result<NextStep, CommandError> {
    let _permit = limits.long_responses.acquire().await;
    let mut last = 0;
    loop {
        let rows = history.rows_after(last, ROWS_AT_ONCE);
        let Some(row) = rows.last() else { break };
        last = row.number;
        for row in rows {
            writer.write_frame(FrameKind::Reply, &Reply::Client(row).encode()).await?;
        }
        // Messages get their turn even where the network takes everything at once.
        yield_now().await;
    }
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?;
    Ok(NextStep::Done)
}
