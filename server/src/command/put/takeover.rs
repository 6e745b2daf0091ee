//! A part that a put of the client's other connection has: where that connection is dead, the new put goes on
//! with it.

use std::time::Duration;

use quiver_protocol::text::display_safe;
use quiver_protocol::{Event, Put};
use quiver_transport::pulse;
use tokio::time::timeout;
use tracing::info;

use crate::session::event;
use crate::session::member::Context;

/// How long a put that was ended may take to let go of its part: a block is being written, or the whole
/// flushed.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Makes sure that no dead connection's put has the part that this one would go on with. One that lives keeps
/// it, and so does one of the same connection: this put then begins at the beginning, beside it.
pub(super) async fn take_over(context: &Context, put: &Put) {
    let Some(holder) = context.shared.files.holder(put, &context.owner()) else { return };
    if holder.connection.stable_id() == context.connection.stable_id() {
        return;
    }
    let ask = event::say(&holder.connection, &Event::StillThere);
    if pulse::is_alive(&holder.connection, ask).await {
        return;
    }
    let path = display_safe(put.path.as_str());
    let (number, name) = (context.number, &context.name);
    info!("Client {number}: {name} goes on with {path}, which a silent connection of theirs had");
    holder.end.cancel();
    // One that takes longer has the part for good: this put begins at the beginning.
    let _ = timeout(LETTING_GO, holder.gone.cancelled()).await;
}
