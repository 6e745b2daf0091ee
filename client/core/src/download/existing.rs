//! The existing targets of named files: those with the server's content need no download, the others are replaced if
//! the request or the user says so.

use std::mem::take;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::text::display_path;
use quiver_protocol::{ContentPrefix, FilePath};
use quiver_transfer::ReplacePolicy;

use super::{Download, DownloadItem, DownloadSelection, DownloadTarget};
use crate::error::ClientError;
use crate::journal::Direction;
use crate::question::{Answer, Question};
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::ConflictPolicy;
use crate::same_content::{OpenLocal, find_same, forget_unfinished, server_sizes};
use crate::transfer_context::{SameFile, TransferContext};
use crate::transfers::{DownloadedFile, TransferEvent};
use crate::tree::open_regular;

impl Download {
    /// Compares the existing targets of named files with the server's files, and asks the user whether to replace those
    /// that differ, if the conflict policy says so. A tree is compared when it is planned.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn check_with_server(
        &mut self,
        session: &ReconnectingSession,
        reporter: &Reporter,
    ) -> Result<(), ClientError> {
        let file_count = self.file_count();
        let DownloadSelection::Files(items) = &mut self.selection else { return Ok(()) };
        let existing: Vec<_> = items.iter().filter_map(local_copy).collect();
        if existing.is_empty() {
            return Ok(());
        }
        let context = TransferContext::new(
            session.clone(),
            reporter.clone(),
            &self.options,
            file_count,
            false,
        );
        let paths = existing.iter().map(|(path, _)| path.clone()).collect();
        let sizes = server_sizes(&context, paths).await?;
        let mut same = find_same(&context, existing, &sizes).await?;
        for mut item in take(items) {
            let same = same.remove(&item.path);
            let DownloadTarget::File(target, shown_path) = &mut item.target else {
                items.push(item);
                continue;
            };
            if let Some(content) = same {
                forget_unfinished(&context, Direction::Get, &item.path, &target.path).await;
                let (path, shown_path) = (item.path.clone(), shown_path.clone());
                self.already_there.push(same_file(path, shown_path, content));
                continue;
            }
            if item.has_target && target.replace == ReplacePolicy::Never {
                let asks = self.options.on_conflict == ConflictPolicy::Ask && reporter.can_ask();
                if !asks || !may_replace(reporter, shown_path).await {
                    self.not_replaced.push(shown_path.clone());
                    continue;
                }
                target.replace = ReplacePolicy::Existing;
            }
            items.push(item);
        }
        Ok(())
    }
}

/// The target of an item, if it exists, and how it is opened.
fn local_copy(item: &DownloadItem) -> Option<(FilePath, OpenLocal)> {
    let DownloadTarget::File(target, _) = &item.target else { return None };
    let (folder, name) = (target.folder.clone(), target.name.clone());
    let open: OpenLocal = Box::new(move || open_regular(&folder, &name));
    item.has_target.then(|| (item.path.clone(), open))
}

async fn may_replace(reporter: &Reporter, shown_path: &Path) -> bool {
    let path = display_path(shown_path).to_string();
    let question = Question::Replace { path, on_server: false };
    reporter.ask(question).await == Some(Answer::Replace(true))
}

fn same_file(path: FilePath, shown_path: PathBuf, content: ContentPrefix) -> SameFile {
    let (target, size) = (shown_path.display().to_string(), content.size);
    let file = DownloadedFile::already_there(path.clone(), shown_path, content);
    SameFile { path, target, size, event: TransferEvent::Downloaded(Arc::new(file)) }
}
