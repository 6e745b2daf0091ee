//! Named files that exist on the server: those with the same content need no upload, the others are replaced if the
//! request or the user says so.

use std::mem::take;
use std::sync::Arc;

use quiver_protocol::text::display_safe;
use quiver_protocol::{ContentPrefix, FilePath};

use super::{
    Upload, UploadContext, UploadItem, UploadSelection, UploadSource, is_exists_refusal,
    open_regular,
};
use crate::error::ClientError;
use crate::journal::Direction;
use crate::question::{Answer, Question};
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::ConflictPolicy;
use crate::same_content::{OpenLocal, find_same, forget_unfinished, server_sizes};
use crate::transfer_context::{SameFile, TransferContext};
use crate::transfers::{TransferEvent, UploadedFile};

impl Upload {
    /// Checks that the server accepts uploads from this client, compares the files that exist on both sides, and asks
    /// the user about those that differ. Without a question and without `--overwrite`, it looks nothing up: the
    /// server refuses the files that exist.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn check_with_server(
        &mut self,
        session: &ReconnectingSession,
        reporter: &Reporter,
    ) -> Result<(), ClientError> {
        if !session.welcome()?.upload {
            return Err(ClientError::ReadOnly { what: "cannot put files".to_owned() });
        }
        let asks = self.options.on_conflict == ConflictPolicy::Ask && reporter.can_ask();
        let file_count = self.file_count();
        let UploadSelection::Files(items) = &mut self.selection else { return Ok(()) };
        // The first run of a resumed upload has settled which files may be replaced.
        let may_replace_any = asks || items.iter().any(|item| item.replace);
        if self.is_resumed || items.is_empty() || !may_replace_any {
            return Ok(());
        }
        let context = TransferContext::new(
            session.clone(),
            reporter.clone(),
            &self.options,
            file_count,
            false,
        );
        let paths = items.iter().map(|item| item.path.clone()).collect();
        let sizes = server_sizes(&context, paths).await?;
        let existing = items.iter().filter_map(local_file).collect();
        let mut same = find_same(&context, existing, &sizes).await?;
        for mut item in take(items) {
            if let Some(content) = same.remove(&item.path) {
                forget_unfinished(&context, Direction::Put, &item.path, &item.source.path()).await;
                self.already_there.push(same_file(&item, content));
                continue;
            }
            if sizes.contains_key(&item.path) && !item.replace {
                if !may_replace(reporter, &item.path).await {
                    self.not_replaced.push(item.path);
                    continue;
                }
                item.replace = true;
            }
            items.push(item);
        }
        Ok(())
    }
}

impl UploadContext {
    /// Uploads a named file, unless the server has the same content already. Reports it, and returns its size.
    pub(super) async fn upload_unless_same(&self, item: &UploadItem) -> Result<u64, ClientError> {
        let failure = match self.upload_file(item).await {
            Ok(stored) => return Ok(stored.size),
            Err(failure) => failure,
        };
        let Some(file) = local_file(item).filter(|_| is_exists_refusal(&failure)) else {
            return Err(failure);
        };
        let sizes = server_sizes(&self.shared, vec![item.path.clone()]).await?;
        let same = find_same(&self.shared, vec![file], &sizes).await?.remove(&item.path);
        let Some(content) = same else { return Err(failure) };
        forget_unfinished(&self.shared, Direction::Put, &item.path, &item.source.path()).await;
        self.shared.reporter.report(same_file(item, content).event).await;
        Ok(content.size)
    }
}

/// The local file of an item, and how it is opened; `None` for a stream.
fn local_file(item: &UploadItem) -> Option<(FilePath, OpenLocal)> {
    let UploadSource::File(file) = item.source.clone() else { return None };
    let open: OpenLocal = Box::new(move || open_regular(&file).map_err(std::io::Error::other));
    Some((item.path.clone(), open))
}

async fn may_replace(reporter: &Reporter, path: &FilePath) -> bool {
    let path = display_safe(path.as_str()).into_owned();
    let question = Question::Replace { path, on_server: true };
    reporter.ask(question).await == Some(Answer::Replace(true))
}

fn same_file(item: &UploadItem, content: ContentPrefix) -> SameFile {
    let (path, target) = (item.path.clone(), item.path.to_string());
    let source = item.source.display_name();
    let file = UploadedFile::already_there(path.clone(), source, content);
    SameFile { path, target, size: content.size, event: TransferEvent::Uploaded(Arc::new(file)) }
}
