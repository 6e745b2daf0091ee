//! `transfers`: lists or removes the unfinished transfers of this machine, of any process. Needs no server.

use chrono::Local;
use quiver_client::ClientError;
use quiver_client::error::InvalidRequest;
use quiver_client::journal::{Direction, Journal, TransferSubject};
use quiver_client::unfinished::{self, UnfinishedTransfer};
use quiver_protocol::Timestamp;
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::output::{Output, RowWriter, human, json};

/// An unfinished transfer as a JSON object.
#[derive(Debug, Serialize)]
struct TransferRow<'a> {
    direction: Direction,
    kind: &'static str,
    server: String,
    /// A file's path on the server, or the server's folder that a tree is uploaded to.
    path: &'a str,
    /// The local file, or the local folder that a tree is uploaded from or downloaded to.
    local: String,
    /// The paths and patterns that were given for a tree.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    named: &'a [String],
    /// `null` for a tree.
    size: Option<u64>,
    /// Bytes in the local partial file. `null` for a tree, and for an upload: its partial file is on the server.
    #[serde(rename = "here")]
    stored: Option<u64>,
    #[serde(rename = "running")]
    is_running: bool,
    #[serde(rename = "begun")]
    started: Timestamp,
}

impl<'a> TransferRow<'a> {
    fn new(transfer: &'a UnfinishedTransfer) -> Self {
        let UnfinishedTransfer { entry, stored, is_running } = transfer;
        let (kind, path, local, named, size) = match &entry.subject {
            TransferSubject::File(file) => {
                ("file", file.path.as_str(), &file.local, &[][..], Some(file.size))
            }
            TransferSubject::Tree(tree) => {
                ("tree", tree.to.as_str(), &tree.folder, &tree.named[..], None)
            }
        };
        Self {
            direction: entry.direction,
            kind,
            server: entry.server.address.to_string(),
            path,
            local: local.display().to_string(),
            named,
            size,
            stored: *stored,
            is_running: *is_running,
            started: entry.started,
        }
    }
}

/// Lists unfinished transfers, or removes them.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    journal: &Journal,
    output: &Output,
    arguments: &cli::TransfersArgs,
) -> Result<(), Failure> {
    let (transfers, invalid) = unfinished::list(journal).await?;
    for entry in invalid {
        let error = InvalidRequest::JournalEntry { path: entry.path, why: entry.why };
        output.failure(&error.into()).await;
    }
    if arguments.clean {
        clean(journal, output, transfers).await
    } else {
        list(output, arguments.json, &transfers).await
    }
}

async fn list(
    output: &Output,
    as_json: bool,
    transfers: &[UnfinishedTransfer],
) -> Result<(), Failure> {
    let mut rows = RowWriter::plain(output);
    for transfer in transfers {
        let row = if as_json {
            json::line(&TransferRow::new(transfer))
        } else {
            human::unfinished(transfer, &Local)
        };
        rows.push(&row).await?;
    }
    rows.finish().await?;
    if transfers.is_empty() && !as_json {
        output.say("no unfinished transfers").await;
    }
    Ok(())
}

async fn clean(
    journal: &Journal,
    output: &Output,
    transfers: Vec<UnfinishedTransfer>,
) -> Result<(), Failure> {
    let mut is_clean = true;
    for transfer in transfers {
        let (shown, entry) = (transfer.display_name(), transfer.entry);
        let result = match (&entry.subject, entry.direction) {
            (TransferSubject::File(_), Direction::Get) => "forgotten, and its partial file removed",
            (TransferSubject::File(_), Direction::Put) => {
                "forgotten; the server keeps its partial file for 7 days"
            }
            (TransferSubject::Tree(_), _) => "forgotten",
        };
        match unfinished::remove(journal, &entry).await {
            Ok(true) => output.say(format!("{shown}: {result}")).await,
            Ok(false) => output.say(format!("{shown} is running: nothing was removed")).await,
            Err(source) => {
                let path = match entry.subject {
                    TransferSubject::File(file) => file.local,
                    TransferSubject::Tree(tree) => tree.folder,
                };
                output.failure(&ClientError::CleanupFailed { path, source }.into()).await;
                is_clean = false;
            }
        }
    }
    if is_clean { Ok(()) } else { Err(ClientError::CleanupIncomplete.into()) }
}
