//! Requests about people: messages, keys, and the connections with them.

use std::sync::Arc;

use chrono::Utc;
use quiver_client::ClientError;
use quiver_client::error::PeerError;
use quiver_client::peer_path::{PeerPath, PeerStatus};
use quiver_protocol::{ClientName, Timestamp};
use serde_json::{Value, json};

use super::{Outcome, call, reply};
use crate::context::PageContext;
use crate::messages::PageEvent;
use crate::peer_name::PeerName;
use crate::views::{MessageState, PathDetail};
use crate::watcher::reason;
use quiver_control::Failure;
use quiver_control::view::PathKind;

/// Sends a message, and answers with its final state.
pub(super) async fn say(context: &Arc<PageContext>, to: PeerName, text: String) -> Outcome {
    let active = context.active()?;
    let limit = context.model().connection().message_limit;
    if text.len() > limit {
        let length = text.len();
        let why = format!("it has {length} bytes where at most {limit} are allowed");
        return Err(Failure::invalid(why));
    }
    let message = {
        let mut model = context.model();
        let at = Timestamp(Utc::now());
        let message = model.conversations().add_own(to.clone(), text.clone(), at);
        model.publish_message(message.clone());
        message
    };
    let sent = match to {
        PeerName::Server => {
            let sent = call(context, &active, |client| async move { client.message(&text).await });
            sent.await.map(|answer| (MessageState::Acknowledged, Some(answer)))
        }
        PeerName::Client(name) => {
            let told = context.on_client({
                let client = active.client.clone();
                async move { client.tell(&name, &text).await }
            });
            match told.await? {
                Ok(()) => Ok((MessageState::Delivered, None)),
                Err(error) if is_unknown(&error) => Ok((MessageState::Unknown, None)),
                Err(error) => Err(error.into()),
            }
        }
    };
    let (state, answer, why) = match sent {
        Ok((state, answer)) => (state, answer, None),
        Err(failure) if failure.code == "connection" && message.with == PeerName::Server => {
            (MessageState::Unknown, None, Some(failure.text))
        }
        Err(failure) => (MessageState::NotDelivered, None, Some(failure.text)),
    };
    let mut model = context.model();
    match model.conversations().settle(&message, state, answer.clone(), why.clone()) {
        Some(settled) => {
            model.publish_message(settled.clone());
            drop(model);
            reply("message", settled)
        }
        // The history was cleared meanwhile.
        None => {
            drop(model);
            let (state, mut message) = (Some(state), message);
            (message.state, message.answer, message.why) = (state, answer, why);
            reply("message", message)
        }
    }
}

fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Peer(PeerError::MessageUnknown { .. }))
}

pub(super) fn mark_read(context: &PageContext, with: &PeerName) -> Value {
    let mut model = context.model();
    if let Some(conversation) = model.conversations().mark_read(with) {
        model.publish(&PageEvent::Conversation { conversation });
    }
    json!({})
}

pub(super) fn clear_history(context: &PageContext, with: Option<PeerName>) -> Value {
    let mut model = context.model();
    model.conversations().clear(with.as_ref());
    model.publish(&PageEvent::HistoryCleared { with });
    json!({})
}

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
