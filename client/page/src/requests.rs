//! The requests of pages: one function for each, grouped by what they are about. They wait for connections on the
//! client's runtime, and answer with values that the page's thread turns into JSON.

mod conversations;
mod files;
mod local;
mod offers;
mod people;
mod spooled;
pub(crate) mod transfers;
mod unfinished;

use std::sync::Arc;

use quiver_client::ClientError;
use serde::Serialize;
use serde_json::{Value, json};

use crate::context::{ActiveClient, PageContext};
use crate::lifecycle;
use crate::messages::{AnswerText, PageEvent, PageRequest, SettingsChange};
use crate::sign_in::{self, SignIn};
use crate::spool::{DropId, DropLease};
use quiver_control::{Failure, Steering};

/// A request's reply.
type Outcome = Result<Value, Failure>;

/// Runs a request.
///
/// # Errors
/// [`Failure`].
pub(crate) async fn run(context: &Arc<PageContext>, request: PageRequest) -> Outcome {
    match request {
        PageRequest::Connect { server, name, certificate } => {
            sign_in::connect(context, SignIn { server, name, certificate }).await?;
            Ok(json!({}))
        }
        PageRequest::Disconnect => {
            let active = context.active()?;
            lifecycle::end(context, &active, None).await;
            Ok(json!({}))
        }
        PageRequest::Answer { question, answer } => answer_question(context, question, answer),
        PageRequest::Settings { change } => change_settings(context, change).await,
        PageRequest::Say { to, text } => conversations::say(context, to, text).await,
        PageRequest::Messages { with, before, limit } => {
            conversations::messages(context, with, before, limit).await
        }
        PageRequest::MarkRead { with } => conversations::mark_read(context, &with).await,
        PageRequest::ClearHistory { with } => conversations::clear(context, with).await,
        PageRequest::Verify { name } => people::verify(context, name).await,
        PageRequest::Block { name, blocked } => people::block(context, name, blocked).await,
        PageRequest::Forget { name } => people::forget(context, name).await,
        PageRequest::Path { name } => people::path(context, name).await,
        PageRequest::List { folder, after, limit } => {
            files::list(context, folder, after, limit).await
        }
        PageRequest::MakeFolder { path } => files::make_folder(context, &path).await,
        PageRequest::Rename { from, to } => files::rename(context, &from, &to).await,
        PageRequest::Remove { paths } => files::remove(context, paths).await,
        PageRequest::ListLocal { folder, after, limit } => {
            local::list(context, &folder, after, limit).await
        }
        PageRequest::ShowInFolder { path } => local::show(context, &path).await,
        PageRequest::Get { paths, folder, on_conflict } => {
            transfers::get(context, paths, folder.as_deref(), on_conflict).await
        }
        PageRequest::Put { paths, to, on_conflict } => {
            transfers::put(context, &paths, to, on_conflict).await
        }
        PageRequest::Send { name, paths } => offers::send(context, name, &paths).await,
        PageRequest::Accept { offer, folder } => {
            transfers::accept(context, offer, folder.as_deref()).await
        }
        PageRequest::Decline { offer } => offers::decline(context, offer).await,
        PageRequest::Withdraw { offer } => offers::withdraw(context, offer).await,
        PageRequest::AlwaysAccept { name, folder } => {
            people::always_accept(context, name, folder.as_deref()).await
        }
        PageRequest::Transfers => Ok(json!({ "transfers": context.model().board().all() })),
        PageRequest::Pause { transfer } => {
            transfers::steer(context, &transfer, Steering::Pause).await
        }
        PageRequest::Resume { transfer } => {
            transfers::steer(context, &transfer, Steering::Resume).await
        }
        PageRequest::Cancel { transfer } => {
            transfers::steer(context, &transfer, Steering::Cancel).await
        }
        PageRequest::Retry { transfer } => transfers::retry(context, &transfer).await,
        PageRequest::RemoveTransfer { transfer } => transfers::remove(context, &transfer).await,
        PageRequest::TransferFiles { transfer, after, limit } => {
            transfers::files(context, &transfer, after, limit).await
        }
        PageRequest::PutSpooled { dropped, to, on_conflict } => {
            spooled::put(context, dropped.0, to, on_conflict).await
        }
        PageRequest::SendSpooled { dropped, name } => spooled::send(context, dropped.0, name).await,
        PageRequest::DiscardSpooled { dropped } => {
            context.spool.discard(dropped.0)?;
            Ok(json!({}))
        }
    }
}

/// Runs a call of the client on its runtime.
async fn call<T, F>(
    context: &PageContext,
    active: &ActiveClient,
    work: impl FnOnce(quiver_client::Client) -> F,
) -> Result<T, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ClientError>> + Send + 'static,
{
    Ok(context.on_client(work(active.client.clone())).await??)
}

/// Takes the content of a drop for a transfer or an offer.
async fn lease_drop(context: &PageContext, dropped: DropId) -> Result<DropLease, Failure> {
    let spool = context.spool.clone();
    let lease = quiver_transfer::blocking::run(move || spool.lease(dropped)).await;
    Ok(lease.map_err(|_| Failure::interrupted())??)
}

fn answer_question(context: &PageContext, question: u64, answer: AnswerText) -> Outcome {
    let settled = || Failure::new("expired", "there is no such open question");
    let id = context.model().question_id(question).ok_or_else(settled)?;
    let answered = context.active()?.client.questions().answer(id, answer.into());
    answered.map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(json!({}))
}

async fn change_settings(context: &PageContext, change: SettingsChange) -> Outcome {
    let folder = change.folder.map(|folder| context.local_path(&folder)).transpose()?;
    let mut settings = context.model().settings().clone();
    let kept_before = settings.history;
    if let Some(folder) = folder {
        settings.folder = folder.display().to_string();
    }
    settings.history = change.history.unwrap_or(settings.history);
    settings.announce = change.announce.unwrap_or(settings.announce);
    settings.wait_for_slot = change.wait_for_slot.unwrap_or(settings.wait_for_slot);
    if settings.history && !kept_before {
        context.start_keeping().await?;
    }
    context.model().set_settings(settings.clone());
    if let Ok(active) = context.active() {
        active.client.set_keeps_history(settings.history);
    }
    if kept_before && !settings.history {
        let text = "Conversations are not kept from now on. Those of before stay on this computer \
                    until they are cleared.";
        let notice = PageEvent::Notice { code: "other".into(), text: text.to_owned() };
        context.model().publish(&notice);
    }
    context.save(|saved| saved.settings = Some(settings)).await?;
    Ok(json!({}))
}

/// Tells all pages that this client has changed something in a folder of the server.
fn report_changed_folder(context: &PageContext, path: &str) {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    context.model().publish(&PageEvent::FolderChanged { folder });
}

/// The reply with one value.
fn reply(key: &str, value: impl Serialize) -> Outcome {
    match serde_json::to_value(value) {
        Ok(value) => Ok(json!({ key: value })),
        Err(error) => Err(Failure::new("other", error.to_string())),
    }
}
