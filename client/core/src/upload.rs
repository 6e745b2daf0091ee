//! Files to the server: several at once, each checked here before anything is dialled.

mod file;
mod pipe;
mod tree;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::{FilePath, FolderPath, Refusal};

pub(crate) use self::file::UploadContext;
use self::pipe::PipeInput;
use self::tree::TreeUpload;
use crate::error::{ClientError, InvalidRequest};
use crate::exchange::{self, ListItem, PutError, parse_folder};
use crate::journal::{self, SingleFile};
use crate::outcomes::FILES_AT_ONCE;
use crate::question::{Answer, Question};
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::{
    ConflictPolicy, ResumeRequest, TransferOptions, UploadContent, UploadRequest,
};
use crate::transfer_context::{NamedFiles, TransferContext};
use crate::tree::SourceRoot;
use crate::unix;

/// What is said of files that failed.
pub(crate) const NOT_STORED: &str = "files were not stored";

/// An upload that was checked as far as it can be here.
#[derive(Debug)]
pub(crate) struct Upload {
    work: UploadState,
    folder: FolderPath,
    options: TransferOptions,
    /// Whether an earlier run has begun it.
    again: bool,
    /// Files that exist on the server and are kept.
    kept: Vec<FilePath>,
    /// Where content comes from that is no file.
    input: Option<PipeInput>,
}

#[derive(Debug)]
enum UploadState {
    /// Each was named.
    Files(Vec<UploadItem>),
    /// What folders hold.
    Tree(TreeUpload),
}

/// A file, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct UploadItem {
    pub(crate) source: UploadSource,
    pub(crate) path: FilePath,
    pub(crate) replace: bool,
}

/// Where a file comes from.
#[derive(Debug, Clone)]
pub(crate) enum UploadSource {
    /// As it was written.
    File(PathBuf),
    /// Below a folder that was named.
    Below(Arc<SourceRoot>, FilePath),
    Stream,
}

impl Upload {
    /// Checks everything that can be checked here: the files, their names, the folder's.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was dialled.
    pub(crate) fn prepare(request: UploadRequest) -> Result<Self, ClientError> {
        let UploadRequest { content, to, stored_as, options } = request;
        let folder = parse_folder(&to).map_err(|refusal| {
            ClientError::refused(format!("cannot put into {}", display_safe(&to)), refusal)
        })?;
        let paths = match content {
            UploadContent::Paths(paths) => paths,
            UploadContent::Stream(stream) => {
                let name = stored_as.ok_or(InvalidRequest::StreamWithoutName)?;
                if options.needs_plan() {
                    return Err(InvalidRequest::StreamWithPlan.into());
                }
                let path = target(&folder, Path::new("-"), Some(&name))?;
                let replace = options.on_conflict.replaces();
                let item = UploadItem { source: UploadSource::Stream, path, replace };
                let upload = Self::of(options, folder, UploadState::Files(vec![item]));
                return Ok(Self { input: Some(PipeInput::new(stream)), ..upload });
            }
        };
        if stored_as.is_some() && paths.len() > 1 {
            return Err(InvalidRequest::NameForSeveral.into());
        }
        if options.needs_plan() {
            // As it is written, so that what is said of it is.
            let here = Path::new("");
            let tree = TreeUpload::prepare(&paths, stored_as, folder.clone(), &options, here)?;
            return Ok(Self::of(options, folder, UploadState::Tree(tree)));
        }
        let mut items = Vec::new();
        for file in paths {
            open(&file)?;
            let path = target(&folder, &file, stored_as.as_deref())?;
            let replace = options.on_conflict.replaces();
            items.push(UploadItem { source: UploadSource::File(file), path, replace });
        }
        let mut paths = HashSet::new();
        if let Some(twice) = items.iter().find(|item| !paths.insert(&item.path)) {
            return Err(InvalidRequest::DuplicateUpload(twice.path.to_string()).into());
        }
        Ok(Self::of(options, folder, UploadState::Files(items)))
    }

    /// For files that an earlier run has begun: each goes where it was to go. Also those that cannot, with the
    /// reason.
    pub(crate) fn of_files<'a>(
        files: impl Iterator<Item = &'a SingleFile>,
        request: &ResumeRequest,
    ) -> (Self, Vec<ClientError>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            let (source, path) = (UploadSource::File(file.local.clone()), file.path.clone());
            match open(&file.local) {
                Ok(_) => items.push(UploadItem { source, path, replace: file.overwrite }),
                Err(failure) => failed.push(failure),
            }
        }
        let upload = Self::of(request.options(), FolderPath::ROOT, UploadState::Files(items));
        (Self { again: true, ..upload }, failed)
    }

    /// The same for a tree: what it holds is planned anew, and what the server has stays.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was dialled.
    pub(crate) fn of_tree(
        tree: &journal::TreeSelection,
        request: &ResumeRequest,
    ) -> Result<Self, ClientError> {
        let options = request.tree_options(tree);
        let paths: Vec<PathBuf> = tree.named.iter().map(PathBuf::from).collect();
        let (stored_as, to) = (tree.stored_as.clone(), tree.to.clone());
        let work = TreeUpload::prepare(&paths, stored_as, to.clone(), &options, &tree.folder)?;
        Ok(Self::of(options, to, UploadState::Tree(work)))
    }

    fn of(options: TransferOptions, folder: FolderPath, work: UploadState) -> Self {
        Self { work, folder, options, again: false, kept: Vec::new(), input: None }
    }

    fn items(&self) -> &[UploadItem] {
        match &self.work {
            UploadState::Files(items) => items,
            UploadState::Tree(_) => &[],
        }
    }

    /// Makes sure that the server takes files from this client, and asks about those that exist there
    /// already. Where there is no answer to be had, the server refuses them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn settle(
        &mut self,
        session: &ReconnectingSession,
        reporter: &Reporter,
    ) -> Result<(), ClientError> {
        if !session.welcome().upload {
            return Err(ClientError::ReadOnly { what: "cannot put files".to_owned() });
        }
        if self.options.on_conflict != ConflictPolicy::Ask || !reporter.can_ask() {
            return Ok(());
        }
        let there = self.there(session).await;
        let UploadState::Files(items) = &mut self.work else { return Ok(()) };
        for mut item in std::mem::take(items) {
            if there.contains(&item.path) {
                let path = display_safe(item.path.as_str()).into_owned();
                let question = Question::Replace { path, on_server: true };
                if reporter.ask(question).await != Some(Answer::Replace(true)) {
                    self.kept.push(item.path);
                    continue;
                }
                item.replace = true;
            }
            items.push(item);
        }
        Ok(())
    }

    /// Which of the files exist. Where the folder cannot be listed, the put itself says why.
    async fn there(&self, session: &ReconnectingSession) -> HashSet<FilePath> {
        let mut there = HashSet::new();
        let Some(last) = self.items().iter().map(|item| &item.path).max() else { return there };
        let handle = session.handle();
        let asked = exchange::list(&handle.connection, self.folder.clone(), handle.timeout).await;
        let Ok(mut entries) = asked else { return there };
        while let Ok(ListItem::Entry(entry)) = entries.next().await {
            // They come in order.
            if entry.path > *last {
                break;
            }
            if self.items().iter().any(|item| item.path == entry.path) {
                there.insert(entry.path);
            }
        }
        there
    }

    /// How many files are to be stored, those too that are kept; several, where that is not known yet.
    pub(crate) fn asked(&self) -> usize {
        match &self.work {
            UploadState::Files(items) => items.len() + self.kept.len(),
            UploadState::Tree(_) => usize::MAX,
        }
    }

    /// Whether the content comes from a stream.
    pub(crate) fn is_streamed(&self) -> bool {
        self.input.is_some()
    }

    /// Why there is nothing to store, where that is so: what the server has is kept.
    pub(crate) fn nothing_to_do(&self) -> Option<ClientError> {
        let kept = self.kept.first().filter(|_| self.items().is_empty())?;
        Some(ClientError::exists_on_server(kept))
    }

    /// Stores the files. Of several each failure is told when it happens; one alone is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] where some of several failed. Dropped before it is done, the
    /// server keeps what it has for the next attempt.
    pub(crate) async fn run(
        self,
        session: ReconnectingSession,
        reporter: Reporter,
    ) -> Result<(), ClientError> {
        if !self.is_streamed() {
            session.warn_if_not_resumable(journal::Direction::Put).await;
        }
        let (asked, is_tree) = (self.asked(), matches!(self.work, UploadState::Tree(_)));
        let shared = TransferContext::new(session, reporter, &self.options, asked, is_tree);
        let context = UploadContext {
            shared,
            resume: self.options.resume,
            again: self.again,
            input: self.input,
        };
        let items = match self.work {
            UploadState::Tree(tree) => return tree.run(context).await,
            UploadState::Files(items) => items,
        };
        let files = NamedFiles {
            items,
            kept: self.kept.iter().map(ClientError::exists_on_server).collect(),
            what: NOT_STORED,
            at_once: FILES_AT_ONCE,
        };
        let one = |item: UploadItem| {
            let context = context.clone();
            async move { context.one(&item).await.map(|stored| stored.size) }
        };
        let shown = |item: &UploadItem| (item.path.clone(), item.path.to_string());
        context.shared.move_all(files, shown, one).await
    }
}

/// Where a local file will stand.
pub(crate) fn target(
    to: &FolderPath,
    file: &Path,
    name: Option<&str>,
) -> Result<FilePath, ClientError> {
    let what = format!("cannot put {}", display_path(file));
    let name = match (name, file.file_name()) {
        (Some(name), _) => name,
        (None, Some(own)) => own.to_str().ok_or_else(|| InvalidRequest::not_utf8(file))?,
        (None, None) => {
            return Err(ClientError::NotAFile { path: file.to_owned(), is: "a folder" });
        }
    };
    if name.contains('/') {
        return Err(InvalidRequest::PathForName(name.to_owned()).into());
    }
    to.join(name).map_err(|rule| ClientError::refused(what, Refusal::from(rule)))
}

/// Opens a regular file, or what a link leads to.
fn open(path: &Path) -> Result<File, ClientError> {
    let failed = |error| unreadable(path, error);
    // Opening some devices does something: they are not even opened.
    is_regular(path, &std::fs::metadata(path).map_err(failed)?)?;
    let file = unix::open_without_waiting(path).map_err(failed)?;
    is_regular(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

fn is_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<(), ClientError> {
    let refused = |is| Err(ClientError::NotAFile { path: path.to_owned(), is });
    unix::kind(metadata).map_or(Ok(()), refused)
}

pub(crate) fn unreadable(path: &Path, source: std::io::Error) -> ClientError {
    ClientError::Source { path: path.to_owned(), source }
}

pub(crate) fn explain(item: &UploadItem, error: PutError) -> ClientError {
    match (error, &item.source) {
        (PutError::Source(error), UploadSource::File(path)) => unreadable(path, error),
        (PutError::Source(error), UploadSource::Below(root, source)) => {
            unreadable(&root.shown(source), error)
        }
        (PutError::Source(source), UploadSource::Stream) => {
            ClientError::Source { path: "standard input".into(), source }
        }
        (source, from) => ClientError::Put { path: from.shown(), source },
    }
}

impl UploadSource {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Below(root, source) => root.shown(source),
            Self::Stream => PathBuf::from("-"),
        }
    }

    fn shown(&self) -> String {
        self.path().display().to_string()
    }
}

#[cfg(test)]
mod tests;
