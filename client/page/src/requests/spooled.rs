//! Requests about content that a browser has handed over: what is made of it.

use std::sync::Arc;

use quiver_protocol::ClientName;
use quiver_transfer::blocking;

use super::{Outcome, lease_drop, offers, reply, transfers};
use crate::context::PageContext;
use crate::messages::OnConflict;
use crate::spool::{DropId, DropUse};
use crate::transfer_records::TransferRequest;
use quiver_control::Failure;

pub(super) async fn put(
    context: &Arc<PageContext>,
    dropped: DropId,
    to: String,
    on_conflict: OnConflict,
) -> Outcome {
    transfers::start(context, TransferRequest::PutSpooled { dropped, to, on_conflict }).await
}

/// Offers the content. It is kept until the offer is settled.
pub(super) async fn send(context: &Arc<PageContext>, dropped: DropId, name: ClientName) -> Outcome {
    let active = context.active()?;
    let lease = lease_drop(context, dropped).await?;
    let work = move || lease.flush().map(|()| lease);
    let flushed = blocking::run(work).await.map_err(|_| Failure::interrupted())?;
    let lease = flushed?;
    let number = offers::offer(context, &active, name, lease.paths.clone()).await?;
    lease.set_use(DropUse::Offer(number));
    reply("offer", number.0)
}
