//! Requests about conversations: messages are sent, read back, marked and cleared.

use std::sync::Arc;

use chrono::Utc;
use quiver_client::ClientError;
use quiver_client::error::PeerError;
use quiver_protocol::Timestamp;
use serde_json::json;

use super::{Outcome, call, reply};
use crate::context::{ActiveClient, PageContext};
use crate::conversations::{ConversationScope, MAX_PAGE, merge};
use crate::messages::PageEvent;
use crate::peer_name::PeerName;
use crate::views::{MessageState, MessageView};
use quiver_control::Failure;

/// Sends a message, and answers with its final state. One that cannot be kept, although that is wanted, is not sent.
pub(super) async fn say(context: &Arc<PageContext>, to: PeerName, text: String) -> Outcome {
    let active = context.active()?;
    let limit = context.model().connection().message_limit;
    if text.len() > limit {
        let length = text.len();
        let why = format!("it has {length} bytes where at most {limit} are allowed");
        return Err(Failure::invalid(why));
    }
    let scope = context.kept_scope();
    let message = add(context, scope.clone(), &to, &text).await?;
    let sent = send(context, &active, to, text).await;
    let (state, answer, why) = match sent {
        Ok((state, answer)) => (state, answer, None),
        Err(failure) if failure.code == "connection" && message.with == PeerName::Server => {
            (MessageState::Unknown, None, Some(failure.text))
        }
        Err(failure) => (MessageState::NotDelivered, None, Some(failure.text)),
    };
    let settled = MessageView { state: Some(state), answer, why, ..message };
    let is_kept = match scope {
        Some(scope) => context.history.settle(scope, &settled).await,
        None => Ok(false),
    };
    let mut model = context.model();
    let is_unkept = model.conversations().settle(&settled);
    match is_kept {
        // Else the history was cleared meanwhile.
        Ok(is_kept) if is_kept || is_unkept => model.publish_message(settled.clone()),
        Ok(_) => {}
        Err(Failure { code, text, .. }) => {
            model.publish_message(settled.clone());
            model.publish(&PageEvent::Notice { code, text });
        }
    }
    drop(model);
    reply("message", settled)
}

/// Adds a message that is about to be sent.
async fn add(
    context: &PageContext,
    scope: Option<ConversationScope>,
    to: &PeerName,
    text: &str,
) -> Result<MessageView, Failure> {
    let (at, state) = (Timestamp(Utc::now()), Some(MessageState::Sending));
    let number = match scope {
        Some(scope) => Some(context.history.keep(scope, to, text.to_owned(), at).await?),
        None => None,
    };
    let mut model = context.model();
    let message = match number {
        Some(number) => {
            let (with, text) = (to.clone(), text.to_owned());
            let (answer, why) = (None, None);
            let message = MessageView { with, number, mine: true, text, at, state, answer, why };
            model.conversations().add_kept(message.clone());
            message
        }
        None => model.conversations().add_unkept(to.clone(), text.to_owned(), at, state),
    };
    model.publish_message(message.clone());
    Ok(message)
}

/// Sends a message. Returns its state, and the server's answer.
async fn send(
    context: &Arc<PageContext>,
    active: &ActiveClient,
    to: PeerName,
    text: String,
) -> Result<(MessageState, Option<String>), Failure> {
    match to {
        PeerName::Server => {
            let sent = call(context, active, |client| async move { client.message(&text).await });
            sent.await.map(|answer| (MessageState::Acknowledged, Some(answer)))
        }
        PeerName::Client(name) => {
            let client = active.client.clone();
            let told = context.on_client(async move { client.tell(&name, &text).await });
            match told.await? {
                Ok(()) => Ok((MessageState::Delivered, None)),
                Err(error) if is_unknown(&error) => Ok((MessageState::Unknown, None)),
                Err(error) => Err(error.into()),
            }
        }
    }
}

fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Peer(PeerError::MessageUnknown { .. }))
}

/// Reads messages back: those that are kept, also while others are not, and those of this run.
pub(super) async fn messages(
    context: &PageContext,
    with: PeerName,
    before: Option<u64>,
    limit: usize,
) -> Outcome {
    let limit = limit.min(MAX_PAGE);
    let scope = context.model().conversations().scope().cloned();
    let kept = match scope.filter(|_| context.can_keep()) {
        Some(scope) => context.history.messages(scope, with.clone(), before, limit).await?,
        None => Vec::new(),
    };
    let unkept = context.model().conversations().unkept(&with, before, limit + 1);
    let (messages, more) = merge(kept, unkept, limit);
    Ok(json!({ "messages": messages, "more": more }))
}

pub(super) async fn mark_read(context: &PageContext, with: &PeerName) -> Outcome {
    let changed = {
        let mut model = context.model();
        let changed = model.conversations().mark_read(with);
        if let Some(conversation) = changed.clone() {
            model.publish(&PageEvent::Conversation { conversation });
        }
        changed.and_then(|_| model.conversations().scope().cloned())
    };
    if let Some(scope) = changed.filter(|_| context.can_keep()) {
        context.history.mark_read(scope, with).await?;
    }
    Ok(json!({}))
}

/// Clears a conversation, or all of every server and name.
pub(super) async fn clear(context: &PageContext, with: Option<PeerName>) -> Outcome {
    let scope = context.model().conversations().scope().cloned();
    if context.can_keep() {
        match (&with, scope) {
            (None, _) => context.history.clear_all().await?,
            (Some(with), Some(scope)) => context.history.clear(scope, with).await?,
            (Some(_), None) => {}
        }
    }
    let mut model = context.model();
    model.conversations().clear(with.as_ref());
    model.publish(&PageEvent::HistoryCleared { with });
    Ok(json!({}))
}
