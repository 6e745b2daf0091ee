//! Transfers that go on while the person talks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::command::{Order, Receipt, StoredReceipt, Upload};
use crate::connection::Link;
use crate::failure::Failure;
use crate::output::Output;

/// What is under way. Dropped, all of it is cancelled.
#[derive(Debug, Default)]
pub(super) struct Transfers {
    tasks: JoinSet<Result<(), Failure>>,
    running: HashMap<Id, Running>,
}

#[derive(Debug)]
struct Running {
    /// The line that began it.
    line: String,
    /// Where its files go.
    targets: Vec<PathBuf>,
    handle: AbortHandle,
    in_background: Arc<AtomicBool>,
}

/// A transfer that is over.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) id: Id,
    /// `None` where it was cancelled.
    pub(super) result: Option<Result<(), Failure>>,
}

impl Transfers {
    /// Begins to fetch what is ordered.
    pub(super) fn start(&mut self, order: Order, link: &Link, output: &Output, line: &str) -> Id {
        let in_background = Arc::new(AtomicBool::new(false));
        let said = receipt("File received successfully", order.asked(), &in_background);
        let receipt: Receipt = Arc::new(move |path, _| said(path));
        let targets = order.targets().map(Path::to_owned).collect();
        let work = order.fetch(link, output.clone(), receipt);
        self.spawn(work, line, targets, in_background)
    }

    /// Begins to store what is to be uploaded.
    pub(super) fn start_upload(
        &mut self,
        upload: Upload,
        link: &Link,
        output: &Output,
        line: &str,
    ) -> Id {
        let in_background = Arc::new(AtomicBool::new(false));
        let said = receipt("File stored successfully", upload.asked(), &in_background);
        let receipt: StoredReceipt = Arc::new(move |path, _| said(path));
        let work = upload.store(link, output.clone(), receipt);
        self.spawn(work, line, Vec::new(), in_background)
    }

    fn spawn(
        &mut self,
        work: impl Future<Output = Result<(), Failure>> + Send + 'static,
        line: &str,
        targets: Vec<PathBuf>,
        in_background: Arc<AtomicBool>,
    ) -> Id {
        let handle = self.tasks.spawn(work);
        let id = handle.id();
        self.running.insert(id, Running { line: line.to_owned(), targets, handle, in_background });
        id
    }

    /// A file of the order that is on its way already.
    pub(super) fn under_way<'a>(&self, order: &'a Order) -> Option<&'a Path> {
        let is_running = |target: &&Path| {
            self.running.values().any(|running| running.targets.iter().any(|other| other == target))
        };
        order.targets().find(is_running)
    }

    /// The next one that is over; `None` where none runs.
    pub(super) async fn next(&mut self) -> Option<Over> {
        let (id, result) = match self.tasks.join_next_with_id().await? {
            Ok((id, result)) => (id, Some(result)),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => (error.id(), None),
        };
        let line = self.running.remove(&id).map(|running| running.line).unwrap_or_default();
        let result = result.map(|result| result.map_err(|failure| failure.of_line(&line)));
        Some(Over { id, result })
    }

    /// From now on the person does something else.
    pub(super) fn to_background(&self, id: Id) {
        if let Some(running) = self.running.get(&id) {
            running.in_background.store(true, Ordering::Relaxed);
        }
    }

    /// Cancels one; [`next`](Self::next) reports it.
    pub(super) fn cancel(&self, id: Id) {
        if let Some(running) = self.running.get(&id) {
            running.handle.abort();
        }
    }

    /// Cancels all.
    pub(super) fn cancel_all(&mut self) {
        self.tasks.abort_all();
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }
}

/// The one file that a person waits for needs no name.
fn receipt(
    said: &'static str,
    files: usize,
    in_background: &Arc<AtomicBool>,
) -> impl Fn(&FilePath) -> String + Send + Sync + 'static {
    let in_background = in_background.clone();
    move |path| {
        if files == 1 && !in_background.load(Ordering::Relaxed) {
            format!("{said}.")
        } else {
            format!("{said}: {}", display_safe(path.as_str()))
        }
    }
}
