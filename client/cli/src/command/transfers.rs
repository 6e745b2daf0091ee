//! `transfers`: what is unfinished on this machine, whichever process began it; and its removal. Needs no server.

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

/// A transfer as programs see it.
#[derive(Debug, Serialize)]
struct TransferRow<'a> {
    direction: Direction,
    kind: &'static str,
    server: String,
    /// A file's path on the server; the folder there that a tree is put into.
    path: &'a str,
    /// Here: a file, or the folder that a tree is put from or into.
    local: String,
    /// What was named of a tree.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    named: &'a [String],
    /// `null` for a tree.
    size: Option<u64>,
    /// `null` for a tree, and for a put: its partial file is on the server.
    here: Option<u64>,
    running: bool,
    begun: Timestamp,
}

impl<'a> TransferRow<'a> {
    fn of(transfer: &'a UnfinishedTransfer) -> Self {
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
            here: *stored,
            running: *is_running,
            begun: entry.started,
        }
    }
}

/// Lists what is unfinished, or removes it.
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
    let mut rows = RowWriter::bare(output);
    for transfer in transfers {
        let row = if as_json {
            json::line(&TransferRow::of(transfer))
        } else {
            human::transfer(transfer, &Local)
        };
        rows.push(&row).await?;
    }
    rows.finish().await?;
    if transfers.is_empty() && !as_json {
        output.say("nothing is unfinished").await;
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
        let what_goes = match (&entry.subject, entry.direction) {
            (TransferSubject::File(_), Direction::Get) => "removed what was left",
            (TransferSubject::File(_), Direction::Put) => {
                "forgotten; the server keeps what it has for 7 days"
            }
            (TransferSubject::Tree(_), _) => "forgotten",
        };
        match unfinished::remove(journal, &entry).await {
            Ok(true) => output.say(format!("{shown}: {what_goes}")).await,
            Ok(false) => output.say(format!("{shown} is under way: nothing is removed")).await,
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
