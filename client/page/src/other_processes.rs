//! Keeps the model current about transfers that this process does not run: those of other processes, and unfinished ones.
//! Looks at them only while a page is open.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quiver_client::folders::create_private;
use quiver_client::journal::Journal;
use quiver_client::unfinished;
use quiver_control::facts::unfinished_view;
use quiver_control::view::{TransferStage, TransferView};
use quiver_control::{FolderWatch, ProcessRequests, ProcessWatch};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::context::PageContext;
use crate::messages::PageEvent;
use crate::transfer_board::TransferOrigin;

/// The least time between two reads of the journal.
const READ_INTERVAL: Duration = Duration::from_millis(250);

/// How long an ended transfer may hold its entry.
const END_TIME: Duration = Duration::from_secs(1);

/// Follows other processes while a page is open. Never returns.
pub(crate) async fn follow(context: Arc<PageContext>) {
    let mut pages = context.pages();
    loop {
        wait_for(&mut pages, true).await;
        let has_changed = Notify::new();
        let followed = async {
            tokio::join!(processes(&context, &has_changed), journal(&context, &has_changed));
            // Neither can be followed: not tried again before the next page.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = followed => {}
            () = wait_for(&mut pages, false) => {}
        }
        context.set_processes(ProcessRequests::default());
        context.model().set_transfers(TransferOrigin::Others, Vec::new());
    }
}

/// Publishes the changes of transfers that came too soon after others. Never returns.
pub(crate) async fn report_changes(context: Arc<PageContext>) {
    let has_changed = context.model().board().changes();
    loop {
        has_changed.notified().await;
        loop {
            let due = context.model().report_transfers(Instant::now());
            let Some(due) = due else { break };
            sleep_until(due).await;
        }
    }
}

async fn wait_for(pages: &mut watch::Receiver<bool>, open: bool) {
    // Fails only if the context is gone, which the caller holds.
    let _ = pages.wait_for(|is_open| *is_open == open).await;
}

/// Shows the transfers of other processes, until that fails. Notifies if others of them run than before: no file tells when
/// a transfer ends, or a process is killed.
async fn processes(context: &PageContext, has_changed: &Notify) {
    let follow = async {
        let mut watch = ProcessWatch::new(&context.runtime_folder, Some(std::process::id()))?;
        context.set_processes(watch.requests());
        let mut running = BTreeSet::new();
        loop {
            watch.changed().await?;
            let transfers = watch.transfers();
            let now = running_names(&transfers);
            context.model().set_transfers(TransferOrigin::Others, transfers);
            if std::mem::replace(&mut running, now.clone()) != now {
                has_changed.notify_one();
            }
        }
    };
    let Err::<(), io::Error>(error) = follow.await else { return };
    report(context, &format!("the transfers of other programs are not shown: {error}"));
}

/// Shows the unfinished transfers, until that fails.
async fn journal(context: &PageContext, has_changed: &Notify) {
    let Ok(state) = context.folders.state() else { return };
    if let Err(error) = follow_journal(context, &state.join("transfers"), has_changed).await {
        report(context, &format!("unfinished transfers are not shown: {error}"));
    }
}

async fn follow_journal(
    context: &PageContext,
    folder: &Path,
    has_changed: &Notify,
) -> io::Result<()> {
    create_private(folder)?;
    let watch = FolderWatch::new(folder)?;
    let journal = Journal::from_folders(&context.folders);
    let mut own = context.model().board().own_changes();
    loop {
        let running = running_names(&context.model().board().own());
        let (mut transfers, _) = unfinished::list(&journal).await.map_err(io::Error::other)?;
        // Those that run are transfers of some process. One may just have ended, and its entry is not free yet.
        let is_ending = transfers.iter().any(|transfer| transfer.is_running)
            && running_names(&context.model().board().all()).is_empty();
        transfers.retain(|transfer| !transfer.is_running);
        let views = transfers.iter().map(unfinished_view).collect();
        context.model().set_transfers(TransferOrigin::Unfinished, views);
        tokio::select! {
            changed = watch.changed() => changed?,
            () = has_changed.notified() => {}
            () = wait_for_other_transfers(context, &mut own, &running) => {}
            () = sleep(END_TIME), if is_ending => {}
        }
        sleep(READ_INTERVAL).await;
    }
}

/// Waits until other transfers of this process run than these.
async fn wait_for_other_transfers(
    context: &PageContext,
    own: &mut watch::Receiver<u64>,
    running: &BTreeSet<String>,
) {
    while running_names(&context.model().board().own()) == *running {
        // Fails only if the model is gone, which the caller holds.
        let _ = own.changed().await;
    }
}

/// The names of the transfers that run.
fn running_names(transfers: &[TransferView]) -> BTreeSet<String> {
    let is_running =
        |view: &&TransferView| !view.state.is_over() && view.state != TransferStage::Unfinished;
    transfers.iter().filter(is_running).map(|view| view.transfer.clone()).collect()
}

fn report(context: &PageContext, text: &str) {
    let (code, text) = ("local_disk".into(), text.to_owned());
    context.model().publish(&PageEvent::Notice { code, text });
}
