//! Files from the server: several at once, each to a place that was settled before anything was asked for.

mod file;
mod tree;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::{FilePath, Refusal};
use quiver_transfer::file_system::stat;
use quiver_transfer::{ReplacePolicy, is_partial_name};

pub(crate) use self::file::{DownloadContext, StreamTarget};
use self::tree::TreeDownload;
use crate::error::{ClientError, InvalidRequest};
use crate::exchange::{GetError, StorageTarget};
use crate::journal::{self, SingleFile};
use crate::outcomes::FILES_AT_ONCE;
use crate::question::{Answer, Question};
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::{
    ConflictPolicy, Destination, DownloadRequest, ResumeRequest, TransferOptions,
};
use crate::transfer_context::{NamedFiles, TransferContext};
use crate::tree::Pattern;

/// What is said of files that failed.
pub(crate) const NOT_ARRIVED: &str = "files did not arrive";

/// A download that was checked as far as it can be here.
#[derive(Debug)]
pub(crate) struct Download {
    work: DownloadState,
    options: TransferOptions,
    /// Targets that exist and are kept.
    kept: Vec<PathBuf>,
    /// Where all of it is streamed to, if it is.
    stream: Option<StreamTarget>,
}

#[derive(Debug)]
enum DownloadState {
    /// Each was named.
    Files(Vec<DownloadItem>),
    /// What folders and patterns hold, once the server has said so.
    Tree(TreeDownload),
}

/// A file, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct DownloadItem {
    pub(crate) path: FilePath,
    pub(crate) place: DownloadTarget,
}

/// Where a file goes.
#[derive(Debug, Clone)]
pub(crate) enum DownloadTarget {
    /// A folder, the name in it, and the path as people see it.
    File(StorageTarget, PathBuf),
    Stream,
}

impl Download {
    /// Checks everything that can be checked here: the paths, the folder, the names in it. Where a file exists, it
    /// is asked whether it may be replaced.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was asked of the server.
    pub(crate) async fn prepare(
        request: DownloadRequest,
        reporter: &Reporter,
    ) -> Result<Self, ClientError> {
        let DownloadRequest { paths, destination, options } = request;
        let is_tree = options.needs_plan() || paths.iter().any(|path| Pattern::is_one(path));
        let (folder, stream) = match destination {
            Destination::Folder(folder) => (Some(folder), None),
            Destination::Stream(stream) => (None, Some(StreamTarget::new(stream))),
        };
        let kept = Vec::new();
        if is_tree {
            let work =
                DownloadState::Tree(TreeDownload::prepare(&paths, folder.as_deref(), &options)?);
            return Ok(Self { work, options, kept, stream });
        }
        let paths: Vec<FilePath> =
            paths.iter().map(|typed| parse(typed)).collect::<Result<_, _>>()?;
        let Some(output) = folder else {
            let item = |path| DownloadItem { path, place: DownloadTarget::Stream };
            let work = DownloadState::Files(paths.into_iter().map(item).collect());
            return Ok(Self { work, options, kept, stream });
        };
        let (items, kept) = Self::items(paths, &output, options.on_conflict, reporter).await?;
        Ok(Self { work: DownloadState::Files(items), options, kept, stream })
    }

    async fn items(
        paths: Vec<FilePath>,
        output: &Path,
        on_conflict: ConflictPolicy,
        reporter: &Reporter,
    ) -> Result<(Vec<DownloadItem>, Vec<PathBuf>), ClientError> {
        let mut names = HashSet::new();
        if let Some(twice) = paths.iter().find(|path| !names.insert(path.file_name())) {
            return Err(InvalidRequest::DuplicateDownload(twice.file_name().to_owned()).into());
        }
        let (folder, root) = open(output)?;
        let (mut items, mut kept) = (Vec::new(), Vec::new());
        for path in paths {
            let name = path.file_name().to_owned();
            let shown =
                if output == Path::new(".") { PathBuf::from(&name) } else { output.join(&name) };
            let taken = is_taken(&folder, &name, &shown)?;
            if taken && !on_conflict.replaces() {
                if on_conflict != ConflictPolicy::Ask || !reporter.can_ask() {
                    return Err(ClientError::Exists(shown));
                }
                let path = display_path(&shown).to_string();
                let question = Question::Replace { path, on_server: false };
                if reporter.ask(question).await != Some(Answer::Replace(true)) {
                    kept.push(shown);
                    continue;
                }
            }
            // Where nothing stood a moment ago, nothing is replaced, unless that was said of whatever is there.
            let may_replace = taken || on_conflict.replaces();
            let replace = if may_replace { ReplacePolicy::Existing } else { ReplacePolicy::Never };
            let target =
                StorageTarget { folder: folder.clone(), path: root.join(&name), name, replace };
            items.push(DownloadItem { path, place: DownloadTarget::File(target, shown) });
        }
        Ok((items, kept))
    }

    /// The same for files that an earlier run has begun: each goes where it was to go. Also those that cannot,
    /// with the reason.
    pub(crate) fn of_files<'a>(
        files: impl Iterator<Item = &'a SingleFile>,
        request: &ResumeRequest,
    ) -> (Self, Vec<ClientError>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            match DownloadItem::of_file(file) {
                Ok(item) => items.push(item),
                Err(failure) => failed.push(failure),
            }
        }
        let options = request.options();
        (
            Self { work: DownloadState::Files(items), options, kept: Vec::new(), stream: None },
            failed,
        )
    }

    /// The same for a tree: what it holds is planned anew, and what is here stays.
    ///
    /// # Errors
    /// [`ClientError`]: nothing was asked of the server.
    pub(crate) fn of_tree(
        tree: &journal::TreeSelection,
        request: &ResumeRequest,
    ) -> Result<Self, ClientError> {
        let options = request.tree_options(tree);
        let work =
            DownloadState::Tree(TreeDownload::prepare(&tree.named, Some(&tree.folder), &options)?);
        Ok(Self { work, options, kept: Vec::new(), stream: None })
    }

    /// Where the files go, from the root.
    pub(crate) fn targets(&self) -> Vec<PathBuf> {
        let target = |item: &DownloadItem| match &item.place {
            DownloadTarget::File(target, _) => Some(target.path.clone()),
            DownloadTarget::Stream => None,
        };
        self.items_of_work().iter().filter_map(target).collect()
    }

    /// Whether the content is streamed.
    pub(crate) fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// How many files were asked for; several, where that is not known yet.
    pub(crate) fn asked(&self) -> usize {
        match &self.work {
            DownloadState::Files(items) => items.len() + self.kept.len(),
            DownloadState::Tree(_) => usize::MAX,
        }
    }

    fn items_of_work(&self) -> &[DownloadItem] {
        match &self.work {
            DownloadState::Files(items) => items,
            DownloadState::Tree(_) => &[],
        }
    }

    /// Why there is nothing to fetch, where that is so: every file is kept as it is.
    pub(crate) fn nothing_to_do(&self) -> Option<ClientError> {
        let kept = self.kept.first().filter(|_| self.items_of_work().is_empty())?;
        Some(ClientError::Exists(kept.clone()))
    }

    /// Fetches the files. Of several each failure is told when it happens; one alone is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] where some of several failed. Dropped before it is done,
    /// what has arrived so far is there for the next attempt.
    pub(crate) async fn run(
        self,
        session: ReconnectingSession,
        reporter: Reporter,
    ) -> Result<(), ClientError> {
        if self.stream.is_none() {
            session.warn_if_not_resumable(journal::Direction::Get).await;
        }
        let (asked, is_tree) = (self.asked(), matches!(self.work, DownloadState::Tree(_)));
        let shared = TransferContext::new(session, reporter, &self.options, asked, is_tree);
        let context = DownloadContext { shared, anew: !self.options.resume, stream: self.stream };
        let items = match self.work {
            DownloadState::Tree(tree) => return tree.run(context).await,
            DownloadState::Files(items) => items,
        };
        let files = NamedFiles {
            items,
            kept: self.kept.into_iter().map(ClientError::Exists).collect(),
            what: NOT_ARRIVED,
            // One after the other where they share a stream.
            at_once: if context.stream.is_some() { 1 } else { FILES_AT_ONCE },
        };
        let one = |item: DownloadItem| {
            let context = context.clone();
            async move { context.one(&item).await }
        };
        context.shared.move_all(files, DownloadItem::shown, one).await
    }
}

pub(crate) fn explain(item: &DownloadItem, error: GetError) -> ClientError {
    match (&item.place, error) {
        (DownloadTarget::Stream, GetError::Disk(error)) => ClientError::Output(error),
        (DownloadTarget::File(_, shown), GetError::Disk(source)) => {
            if source.kind() == io::ErrorKind::AlreadyExists {
                ClientError::Exists(shown.clone())
            } else {
                ClientError::Target { path: shown.clone(), source }
            }
        }
        (place, source) => {
            let path = item.path.to_string();
            ClientError::Get { path, source, streamed: matches!(place, DownloadTarget::Stream) }
        }
    }
}

fn parse(typed: &str) -> Result<FilePath, ClientError> {
    FilePath::parse(typed).map_err(|rule| {
        ClientError::refused(format!("cannot get {}", display_safe(typed)), Refusal::from(rule))
    })
}

impl DownloadItem {
    /// Its path, and its target as it is shown.
    fn shown(&self) -> (FilePath, String) {
        let target = match &self.place {
            DownloadTarget::File(_, shown) => shown.display().to_string(),
            DownloadTarget::Stream => String::new(),
        };
        (self.path.clone(), target)
    }

    /// What was asked for in an earlier run, checked as if it were asked for now.
    fn of_file(file: &SingleFile) -> Result<Self, ClientError> {
        let shown = file.local.clone();
        let failed = |source| ClientError::Target { path: file.local.clone(), source };
        let (Some(parent), Some(name)) = (shown.parent(), shown.file_name()) else {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        };
        let name = name.to_str().map(FilePath::parse).and_then(Result::ok);
        let name = name.filter(|name| name.parts().count() == 1);
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_string();
        let (folder, root) = open(parent)?;
        if root.join(&name) != file.local {
            return Err(failed(io::Error::other("its folder has moved")));
        }
        let taken = is_taken(&folder, &name, &shown)?;
        if taken && !file.overwrite {
            return Err(ClientError::Exists(shown));
        }
        let replace = if file.overwrite { ReplacePolicy::Existing } else { ReplacePolicy::Never };
        let target = StorageTarget { folder, path: root.join(&name), name, replace };
        Ok(Self { path: file.path.clone(), place: DownloadTarget::File(target, shown) })
    }
}

/// A folder, and its path from the root.
fn open(path: &Path) -> Result<(Arc<Dir>, PathBuf), ClientError> {
    let failed = |source| ClientError::Target { path: path.to_owned(), source };
    let folder = Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
    Ok((Arc::new(folder), path.canonicalize().map_err(failed)?))
}

/// Whether something stands under the name: a folder there can never be replaced by a file.
fn is_taken(folder: &Dir, name: &str, shown: &Path) -> Result<bool, ClientError> {
    let failed = |source| ClientError::Target { path: shown.to_owned(), source };
    if is_partial_name(name) {
        return Err(failed(io::Error::other("such names are kept for files on their way")));
    }
    match stat(folder, name) {
        Ok(metadata) if metadata.is_dir() => Err(failed(io::ErrorKind::IsADirectory.into())),
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests;
