//! `transfers`: lists the running transfers of all processes of this user and unfinished ones, or removes the latter. Needs no
//! server.

use std::path::{Path, PathBuf};

use chrono::Local;
use quiver_client::ClientError;
use quiver_client::error::InvalidRequest;
use quiver_client::journal::{Direction, Journal, TransferSubject};
use quiver_client::unfinished::{self, UnfinishedTransfer};
use quiver_control::{ProcessList, ProcessWatch, own_thread};
use quiver_protocol::{Timestamp, units};
use serde::Serialize;

use super::watched_transfers::WatchedTransfers;
use crate::cli;
use crate::failure::Failure;
use crate::output::{LiveRows, Output, RowWriter, human, json, style, table};
use crate::ui_mode::UiMode;

/// What `--watch` shows without a running transfer.
const NONE_RUNNING: &str = "no running transfers";

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
    stored: Option<u64>,
    #[serde(rename = "running")]
    is_running: bool,
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

/// Lists running and unfinished transfers, or removes unfinished ones. `folder` is that of the sockets of processes.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    journal: &Journal,
    folder: Option<&Path>,
    output: &Output,
    arguments: &cli::TransfersArgs,
) -> Result<(), Failure> {
    if arguments.watch {
        if output.mode() != UiMode::OneShot {
            let what = "transfers --watch does not work at the prompt";
            return Err(Failure::usage(what, "transfers lists them once"));
        }
        return watch(folder, output, arguments.json).await;
    }
    let (transfers, invalid) = unfinished::list(journal).await?;
    for entry in invalid {
        let error = InvalidRequest::JournalEntry { path: entry.path, why: entry.why };
        output.failure(&error.into()).await;
    }
    if arguments.clean {
        return clean(journal, output, arguments.json, transfers).await;
    }
    let processes = match folder {
        Some(folder) => read_processes(folder.to_owned(), output).await,
        None => ProcessList::default(),
    };
    list(output, arguments.json, processes, transfers).await
}

/// The transfers of all processes. Without them, what is unfinished is listed all the same.
async fn read_processes(folder: PathBuf, output: &Output) -> ProcessList {
    let read = own_thread::run(async move || ProcessList::read(&folder).await).await;
    match read.and_then(|read| read) {
        Ok(processes) => {
            for process in &processes.silent {
                let note =
                    style::note(format_args!("program {process} does not show its transfers"));
                output.warn("transfers_not_shown", note).await;
            }
            processes
        }
        Err(error) => {
            let note =
                style::note(format_args!("the transfers of other programs are not shown: {error}"));
            output.warn("transfers_not_shown", human::without_os_codes(note)).await;
            ProcessList::default()
        }
    }
}

async fn list(
    output: &Output,
    as_json: bool,
    mut processes: ProcessList,
    mut unfinished: Vec<UnfinishedTransfer>,
) -> Result<(), Failure> {
    processes.transfers.retain(|view| !view.state.is_over());
    // Those are listed already, by the processes that run them.
    unfinished.retain(|transfer| {
        !(transfer.is_running && processes.journal.contains(&transfer.entry.id()))
    });
    if as_json {
        let mut rows = RowWriter::plain(output);
        for view in &processes.transfers {
            rows.push(&json::line(view)).await?;
        }
        for transfer in &unfinished {
            rows.push(&json::line(&TransferRow::new(transfer))).await?;
        }
        return rows.finish().await;
    }
    let running = processes.transfers.iter().map(human::transfers::transfer_cells);
    output.table(&running.collect::<Vec<_>>()).await?;
    let unfinished_rows = unfinished.iter().map(|transfer| human::unfinished(transfer, &Local));
    output.table(&unfinished_rows.collect::<Vec<_>>()).await?;
    if processes.transfers.is_empty() && unfinished.is_empty() {
        output.say("no running or unfinished transfers").await;
    }
    Ok(())
}

/// Shows running transfers as they change. Never returns without a failure.
async fn watch(folder: Option<&Path>, output: &Output, as_json: bool) -> Result<(), Failure> {
    let no_folder = || Failure::usage("this user has no folder for sockets", "set XDG_RUNTIME_DIR");
    let failed = |error| Failure::system("cannot watch the transfers of other programs", error);
    let mut watch = ProcessWatch::new(folder.ok_or_else(no_folder)?, None).map_err(failed)?;
    let live = if as_json { None } else { LiveRows::on_stdout() };
    let mut shown = WatchedTransfers::default();
    if let Some(live) = &live {
        live.set(vec![NONE_RUNNING.to_owned()]);
    }
    loop {
        watch.changed().await.map_err(failed)?;
        let transfers = watch.transfers();
        if let Some(live) = &live {
            let running = transfers.iter().filter(|view| !view.state.is_over());
            let cells: Vec<_> = running.map(human::transfers::transfer_cells).collect();
            // A row is one line there: what does not fit is cut.
            let mut rows = table::aligned(&cells, None);
            if rows.is_empty() {
                rows.push(NONE_RUNNING.to_owned());
            }
            live.set(rows);
            continue;
        }
        let change = shown.update(transfers);
        let text = if as_json {
            change.map(|change| json::line(&change))
        } else {
            change.and_then(|change| change.rows())
        };
        if let Some(text) = text {
            output.data(text + "\n").await?;
        }
    }
}

async fn clean(
    journal: &Journal,
    output: &Output,
    as_json: bool,
    transfers: Vec<UnfinishedTransfer>,
) -> Result<(), Failure> {
    let (total, mut forgotten) = (transfers.len() as u64, 0_u64);
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
            Ok(is_removed) if as_json => {
                let result = if is_removed { "forgotten" } else { "running" };
                let line = json::CleanedLine { transfer: &shown, result };
                output.data(json::line(&line) + "\n").await?;
            }
            Ok(true) => {
                forgotten += 1;
                output.say(format!("{shown}: {result}")).await;
            }
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
    match total {
        0 => output.say("no unfinished transfers").await,
        1 => {}
        _ => {
            output
                .say(format!("Forgot {forgotten} of {}.", units::counted(total, "transfer")))
                .await
        }
    }
    if is_clean { Ok(()) } else { Err(ClientError::CleanupIncomplete.into()) }
}
