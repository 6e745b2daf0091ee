//! Requests about offers, except those that start a transfer.

use std::path::PathBuf;
use std::sync::Arc;

use quiver_client::Client;
use quiver_client::peer_store::OfferNumber;
use quiver_client::request::{OfferRequest, UploadContent};
use quiver_protocol::ClientName;
use serde_json::json;

use super::{Outcome, call, reply};
use crate::context::{ActiveClient, PageContext};
use quiver_control::Failure;

/// Offers files, and announces the offer until it is settled or the client signs out.
pub(super) async fn send(
    context: &Arc<PageContext>,
    name: ClientName,
    paths: &[String],
) -> Outcome {
    let active = context.active()?;
    if paths.is_empty() {
        return Err(Failure::invalid("there is nothing to send"));
    }
    let paths = paths.iter().map(|path| context.local_path(path)).collect::<Result<_, _>>()?;
    let number = offer(context, &active, name, paths).await?;
    reply("offer", number.0)
}

/// Makes an offer, and announces it until it is settled or the client signs out.
pub(super) async fn offer(
    context: &Arc<PageContext>,
    active: &Arc<ActiveClient>,
    name: ClientName,
    paths: Vec<PathBuf>,
) -> Result<OfferNumber, Failure> {
    let request = OfferRequest { to: name, content: UploadContent::Paths(paths), offered_as: None };
    let work = |client: Client| async move { client.offer(request).await };
    let number = call(context, active, work).await?.number;
    active.notify_changed();
    let (shared, active) = (context.clone(), active.clone());
    context.spawn(async move {
        let client = active.client.clone();
        let delivery = shared.on_client(async move { client.deliver(number, true).await });
        tokio::select! {
            // The state of the offer has the outcome.
            _ = delivery => active.notify_changed(),
            () = active.ended() => {}
        }
    });
    Ok(number)
}

pub(super) async fn decline(context: &PageContext, offer: u64) -> Outcome {
    let active = context.active()?;
    let work = |client: Client| async move { client.decline_offer(OfferNumber(offer)).await };
    call(context, &active, work).await?;
    active.notify_changed();
    Ok(json!({}))
}

pub(super) async fn withdraw(context: &PageContext, offer: u64) -> Outcome {
    let active = context.active()?;
    let work = |client: Client| async move { client.withdraw_offer(OfferNumber(offer)).await };
    call(context, &active, work).await?;
    active.notify_changed();
    Ok(json!({}))
}
