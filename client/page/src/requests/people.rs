//! Requests about people: their keys, and the connections with them.

use quiver_client::peer_path::{PeerPath, PeerStatus};
use quiver_protocol::ClientName;
use serde_json::json;

use super::{Outcome, call, reply};
use crate::context::PageContext;
use crate::views::PathDetail;
use crate::watcher::reason;
use quiver_control::view::PathKind;

pub(super) async fn verify(context: &PageContext, name: ClientName) -> Outcome {
    let active = context.active()?;
    let verified =
        call(context, &active, |client| async move { client.verify(&name).await }).await?;
    active.notify_changed();
    reply("verified", verified)
}

pub(super) async fn block(context: &PageContext, name: ClientName, blocked: bool) -> Outcome {
    let active = context.active()?;
    let work =
        |client: quiver_client::Client| async move { client.set_blocked(&name, blocked).await };
    call(context, &active, work).await?;
    active.notify_changed();
    Ok(json!({}))
}

pub(super) async fn forget(context: &PageContext, name: ClientName) -> Outcome {
    let active = context.active()?;
    let work = |client: quiver_client::Client| async move { client.forget_contact(&name).await };
    call(context, &active, work).await?;
    active.notify_changed();
    Ok(json!({}))
}

/// Accepts the offers of a verified person from now on, into a folder; without one, asks again.
pub(super) async fn always_accept(
    context: &PageContext,
    name: ClientName,
    folder: Option<&str>,
) -> Outcome {
    let active = context.active()?;
    let folder = folder.map(|folder| context.local_path(folder)).transpose()?;
    let work = |client: quiver_client::Client| async move {
        client.set_always_accept(&name, folder).await
    };
    call(context, &active, work).await?;
    active.notify_changed();
    Ok(json!({}))
}

/// Connects with a client, unless there is a connection, and describes the connection.
pub(super) async fn path(context: &PageContext, name: ClientName) -> Outcome {
    let active = context.active()?;
    let work = |client: quiver_client::Client| async move { client.connect_peer(&name).await };
    let status = call(context, &active, work).await?;
    active.notify_changed();
    reply("path", detail(&status))
}

fn detail(status: &PeerStatus) -> PathDetail {
    let address = match status.path {
        PeerPath::Direct { address } => Some(address.to_string()),
        PeerPath::Relayed { .. } | PeerPath::Closed => None,
    };
    let why = match status.path {
        PeerPath::Relayed { why } => Some(reason(why).to_owned()),
        PeerPath::Direct { .. } | PeerPath::Closed => None,
    };
    let before = status.previous.as_ref().map(|path| match path {
        PeerPath::Direct { address } => format!("direct, {address}"),
        PeerPath::Relayed { .. } => "relayed".to_owned(),
        PeerPath::Closed => "closed".to_owned(),
    });
    PathDetail {
        path: match status.path {
            PeerPath::Direct { .. } => PathKind::Direct,
            PeerPath::Relayed { .. } => PathKind::Relayed,
            PeerPath::Closed => PathKind::Closed,
        },
        why,
        before,
        address,
        round_trip_ms: status.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        relayed_bytes: status.relayed_bytes,
        direct_bytes: status.direct_bytes,
    }
}
