//! Requests about unfinished transfers that no process runs.

use quiver_client::error::InvalidRequest;
use quiver_client::journal::{Journal, TransferSubject};
use quiver_client::request::{RETRY_TIME, ResumeRequest};
use quiver_client::{Client, ClientError, unfinished};
use quiver_control::client_source::unknown;
use quiver_control::{Failure, TransferName};
use quiver_transfer::blocking;
use serde_json::json;

use super::{Outcome, call, reply};
use crate::context::PageContext;

/// Resumes a transfer, with the server that the page has signed in to.
pub(super) async fn resume(context: &PageContext, id: u64) -> Outcome {
    let active = context.active()?;
    let request = ResumeRequest { path: None, retry_for: RETRY_TIME, report_files: false };
    let work = |client: Client| async move { client.resume_entry(id, &request).await };
    let started = call(context, &active, work).await;
    let id = started.map_err(|failure| explain(failure, id))?.id;
    active.notify_changed();
    reply("transfer", TransferName::own(id).to_string())
}

/// The entry may have gone meanwhile.
fn explain(failure: Failure, id: u64) -> Failure {
    let missing = InvalidRequest::UnknownTransfer(id).to_string();
    if failure.text == missing { unknown(TransferName::Unfinished(id)) } else { failure }
}

/// Forgets a transfer, and removes its partial file.
pub(super) async fn remove(context: &PageContext, id: u64) -> Outcome {
    let journal = Journal::from_folders(&context.folders);
    let copy = journal.clone();
    let found = blocking::run(move || copy.find(id)).await.map_err(|_| Failure::interrupted())?;
    let entry = found.ok_or_else(|| unknown(TransferName::Unfinished(id)))?;
    match unfinished::remove(&journal, &entry).await {
        Ok(true) => Ok(json!({})),
        Ok(false) => Err(Failure::invalid("the transfer is running")),
        Err(source) => {
            let path = match entry.subject {
                TransferSubject::File(file) => file.local,
                TransferSubject::Tree(tree) => tree.folder,
            };
            Err(ClientError::CleanupFailed { path, source }.into())
        }
    }
}
