//! Downloads of named files, several at once. Every target is resolved before the first request to
//! the server.

mod destination;
mod existing;
mod file;
mod tree;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::Dir;
use quiver_protocol::{ClientName, FilePath};
use quiver_transfer::file_system::stat;
use quiver_transfer::{ReplacePolicy, is_partial_name};

use self::destination::{CheckedDestination, parse_source};
pub(crate) use self::file::{DownloadContext, StreamTarget};
pub(crate) use self::tree::OfferedTree;
use self::tree::TreeDownload;
use crate::error::{ClientError, InvalidRequest, PeerError};
use crate::exchange::{GetError, StorageTarget};
use crate::journal::{self, SingleFile};
use crate::outcomes::FILES_AT_ONCE;
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::{ConflictPolicy, DownloadRequest, ResumeRequest, TransferOptions};
use crate::transfer_context::{NamedFiles, SameFile, TransferContext};
use crate::tree::Pattern;

/// Follows the number of failed files in the error text.
pub(crate) const NOT_DOWNLOADED: &str = "files were not downloaded";

/// A download whose local side is checked: paths, folder and target names.
#[derive(Debug)]
pub(crate) struct Download {
    selection: DownloadSelection,
    options: TransferOptions,
    /// Files whose targets have the same content.
    already_there: Vec<SameFile>,
    /// Existing targets with other content that are not replaced.
    not_replaced: Vec<PathBuf>,
    /// The stream that receives all content; `None` for a download to files.
    stream: Option<StreamTarget>,
}

#[derive(Debug)]
enum DownloadSelection {
    /// Files that were named one by one.
    Files(Vec<DownloadItem>),
    /// Folders and patterns. The server's lists tell which files these are.
    Tree(TreeDownload),
}

/// A file on the server and its target.
#[derive(Debug, Clone)]
pub(crate) struct DownloadItem {
    pub(crate) path: FilePath,
    /// The path for people: without the id of an offer.
    pub(crate) shown: FilePath,
    pub(crate) target: DownloadTarget,
    /// `None` for a file of the server.
    pub(crate) offered: Option<OfferedFile>,
    /// Whether the target exists, and is not compared with the server's file yet.
    pub(crate) has_target: bool,
}

/// What another client has said about a file before it is fetched.
#[derive(Debug, Clone)]
pub(crate) struct OfferedFile {
    /// The sender.
    pub(crate) from: ClientName,
    /// Bytes of the file when it was listed: the person has accepted no more.
    pub(crate) size: u64,
}

/// The target of one file.
#[derive(Debug, Clone)]
pub(crate) enum DownloadTarget {
    /// The folder and the name in it, and the path shown to users.
    File(StorageTarget, PathBuf),
    Stream,
}

impl Download {
    /// Checks the paths, the folder and the names in it. Blocks.
    ///
    /// # Errors
    /// [`ClientError`]: no request was sent to the server.
    pub(crate) fn prepare(request: DownloadRequest) -> Result<Self, ClientError> {
        let DownloadRequest { paths, destination, options } = request;
        let CheckedDestination { folder, stored_as, stream } =
            CheckedDestination::check(destination, &paths)?;
        // A file with a new name is a single one, so its path is no pattern.
        let has_patterns = || paths.iter().any(|path| Pattern::has_wildcards(path));
        let is_tree = options.needs_plan() || (stored_as.is_none() && has_patterns());
        if is_tree {
            let tree = TreeDownload::prepare(&paths, folder.as_deref(), stored_as, &options)?;
            return Ok(Self { stream, ..Self::new(DownloadSelection::Tree(tree), options) });
        }
        let paths: Vec<FilePath> =
            paths.iter().map(|typed| parse_source(typed)).collect::<Result<_, _>>()?;
        let Some(output) = folder else {
            let item = |path| DownloadItem::new(path, DownloadTarget::Stream);
            let selection = DownloadSelection::Files(paths.into_iter().map(item).collect());
            return Ok(Self { stream, ..Self::new(selection, options) });
        };
        let items = Self::resolve_targets(paths, &output, stored_as, options.on_conflict)?;
        Ok(Self::new(DownloadSelection::Files(items), options))
    }

    fn new(selection: DownloadSelection, options: TransferOptions) -> Self {
        let (already_there, not_replaced) = (Vec::new(), Vec::new());
        Self { selection, options, already_there, not_replaced, stream: None }
    }

    /// Prepares to download the contents of another client's offer into a folder.
    ///
    /// # Errors
    /// [`ClientError::Target`].
    pub(crate) fn of_offer(
        offer: OfferedTree,
        folder: &Path,
        options: TransferOptions,
    ) -> Result<Self, ClientError> {
        let selection = DownloadSelection::Tree(TreeDownload::of_offer(offer, folder, &options)?);
        Ok(Self::new(selection, options))
    }

    fn resolve_targets(
        paths: Vec<FilePath>,
        output: &Path,
        stored_as: Option<String>,
        on_conflict: ConflictPolicy,
    ) -> Result<Vec<DownloadItem>, ClientError> {
        let mut names = HashSet::new();
        if let Some(duplicate) = paths.iter().find(|path| !names.insert(path.file_name())) {
            return Err(InvalidRequest::DuplicateDownload(duplicate.file_name().to_owned()).into());
        }
        let (folder, root) = open_folder(output)?;
        // A target that does not exist is not replaced if it appears meanwhile, unless the policy
        // replaces every existing file.
        let replaces = on_conflict.replaces();
        let replace = if replaces { ReplacePolicy::Existing } else { ReplacePolicy::Never };
        let mut items = Vec::new();
        for path in paths {
            let name = stored_as.clone().unwrap_or_else(|| path.file_name().to_owned());
            let shown_path =
                if output == Path::new(".") { PathBuf::from(&name) } else { output.join(&name) };
            let has_target = target_exists(&folder, &name, &shown_path)?;
            let target =
                StorageTarget { folder: folder.clone(), path: root.join(&name), name, replace };
            let item = DownloadItem::new(path, DownloadTarget::File(target, shown_path));
            items.push(DownloadItem { has_target, ..item });
        }
        Ok(items)
    }

    /// Prepares to resume files that an earlier run started, each at its recorded target. Also
    /// returns an error for each file that cannot be resumed.
    pub(crate) fn resume_files<'a>(
        files: impl Iterator<Item = &'a SingleFile>,
        request: &ResumeRequest,
    ) -> (Self, Vec<ClientError>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            match DownloadItem::from_journal(file) {
                Ok(item) => items.push(item),
                Err(failure) => failed.push(failure),
            }
        }
        (Self::new(DownloadSelection::Files(items), request.options()), failed)
    }

    /// Prepares to resume a tree. It is planned again, and local files that are complete stay.
    ///
    /// # Errors
    /// [`ClientError`]: no request was sent to the server.
    pub(crate) fn resume_tree(
        tree: &journal::TreeSelection,
        request: &ResumeRequest,
    ) -> Result<Self, ClientError> {
        let options = request.tree_options(tree);
        let (named, stored_as) = (&tree.named, tree.stored_as.clone());
        let tree = TreeDownload::prepare(named, Some(&tree.folder), stored_as, &options)?;
        Ok(Self::new(DownloadSelection::Tree(tree), options))
    }

    /// Absolute paths of the target files that are known so far.
    pub(crate) fn targets(&self) -> Vec<PathBuf> {
        let target_path = |item: &DownloadItem| match &item.target {
            DownloadTarget::File(target, _) => Some(target.path.clone()),
            DownloadTarget::Stream => None,
        };
        self.items().iter().filter_map(target_path).collect()
    }

    /// Whether the content goes to a stream instead of files.
    pub(crate) fn is_streamed(&self) -> bool {
        self.stream.is_some()
    }

    /// Number of requested files; `usize::MAX` for a tree, whose files are not known yet.
    pub(crate) fn file_count(&self) -> usize {
        match &self.selection {
            DownloadSelection::Files(items) => {
                items.len() + self.already_there.len() + self.not_replaced.len()
            }
            DownloadSelection::Tree(_) => usize::MAX,
        }
    }

    fn items(&self) -> &[DownloadItem] {
        match &self.selection {
            DownloadSelection::Files(items) => items,
            DownloadSelection::Tree(_) => &[],
        }
    }

    /// The error if every requested file exists with other content, and none is to be replaced.
    pub(crate) fn nothing_to_do(&self) -> Option<ClientError> {
        let has_others = !self.items().is_empty() || !self.already_there.is_empty();
        let existing = self.not_replaced.first().filter(|_| !has_others)?;
        Some(ClientError::Exists(existing.clone()))
    }

    /// Downloads the files. With several files each failure is reported when it happens; with a
    /// single file it is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed. Dropping the
    /// future keeps the partial files for the next attempt.
    pub(crate) async fn run(
        self,
        session: ReconnectingSession,
        reporter: Reporter,
    ) -> Result<(), ClientError> {
        if self.stream.is_none() {
            session.warn_if_not_resumable(journal::Direction::Get).await;
        }
        let (file_count, is_tree) =
            (self.file_count(), matches!(self.selection, DownloadSelection::Tree(_)));
        let shared = TransferContext::new(session, reporter, &self.options, file_count, is_tree);
        let context =
            DownloadContext { shared, start_over: !self.options.resume, stream: self.stream };
        let items = match self.selection {
            DownloadSelection::Tree(tree) => return tree.run(context).await,
            DownloadSelection::Files(items) => items,
        };
        let files = NamedFiles {
            items,
            already_there: self.already_there,
            failed: self.not_replaced.into_iter().map(ClientError::Exists).collect(),
            failure_text: NOT_DOWNLOADED,
            // Files that share a stream are sent one after the other.
            concurrency: if context.stream.is_some() { 1 } else { FILES_AT_ONCE },
        };
        let download = |item: DownloadItem| {
            let context = context.clone();
            async move { context.download_file(&item).await }
        };
        context.shared.transfer_all(files, DownloadItem::display_names, download).await
    }
}

pub(crate) fn to_client_error(item: &DownloadItem, error: GetError) -> ClientError {
    match (&item.target, error) {
        (DownloadTarget::Stream, GetError::Disk(error)) => ClientError::Output(error),
        (DownloadTarget::File(_, shown_path), GetError::Disk(source)) => {
            if source.kind() == io::ErrorKind::AlreadyExists {
                ClientError::Exists(shown_path.clone())
            } else {
                ClientError::Target { path: shown_path.clone(), source }
            }
        }
        (_, GetError::TooLarge { .. }) if let Some(OfferedFile { from, .. }) = &item.offered => {
            PeerError::MoreThanOffered { from: from.clone() }.into()
        }
        (target, source) => {
            let path = item.shown.to_string();
            ClientError::Get { path, source, streamed: matches!(target, DownloadTarget::Stream) }
        }
    }
}

impl DownloadItem {
    /// A file on the server.
    pub(crate) fn new(path: FilePath, target: DownloadTarget) -> Self {
        Self { shown: path.clone(), path, target, offered: None, has_target: false }
    }

    /// A file of an offer of another client: its first part is the id of the offer.
    pub(crate) fn of_offer(path: FilePath, target: DownloadTarget, offered: OfferedFile) -> Self {
        let shown = path.split_first().1.unwrap_or_else(|| path.clone());
        Self { shown, path, target, offered: Some(offered), has_target: false }
    }

    /// Checks that the sender of an offer sends no more than it has listed.
    ///
    /// # Errors
    /// [`GetError::TooLarge`].
    pub(crate) fn check_size(&self, found: u64) -> Result<(), GetError> {
        match &self.offered {
            Some(OfferedFile { size: accepted, .. }) if found > *accepted => {
                Err(GetError::TooLarge { accepted: *accepted, found })
            }
            _ => Ok(()),
        }
    }

    /// The path on the server, and the target as shown to users.
    fn display_names(&self) -> (FilePath, String) {
        let target = match &self.target {
            DownloadTarget::File(_, shown_path) => shown_path.display().to_string(),
            DownloadTarget::Stream => String::new(),
        };
        (self.path.clone(), target)
    }

    /// A file of an earlier run, checked like a new request.
    fn from_journal(file: &SingleFile) -> Result<Self, ClientError> {
        let shown_path = file.local.clone();
        let failed = |source| ClientError::Target { path: file.local.clone(), source };
        let (Some(parent), Some(name)) = (shown_path.parent(), shown_path.file_name()) else {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        };
        let name = name.to_str().map(FilePath::parse).and_then(Result::ok);
        let name = name.filter(|name| name.parts().count() == 1);
        let name = name.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_string();
        let (folder, root) = open_folder(parent)?;
        if root.join(&name) != file.local {
            return Err(failed(io::Error::other("its folder was moved")));
        }
        let has_target = target_exists(&folder, &name, &shown_path)?;
        let replace = if file.overwrite { ReplacePolicy::Existing } else { ReplacePolicy::Never };
        let target = StorageTarget { folder, path: root.join(&name), name, replace };
        let item = Self::new(file.path.clone(), DownloadTarget::File(target, shown_path));
        Ok(Self { has_target, ..item })
    }
}

/// Opens a folder. Returns it with its absolute path.
fn open_folder(path: &Path) -> Result<(Arc<Dir>, PathBuf), ClientError> {
    let failed = |source| ClientError::Target { path: path.to_owned(), source };
    let folder = Dir::open_ambient_dir(path, cap_std::ambient_authority()).map_err(failed)?;
    Ok((Arc::new(folder), path.canonicalize().map_err(failed)?))
}

/// Whether a file or link has the name. An existing folder is an error: a file never replaces it.
fn target_exists(folder: &Dir, name: &str, shown_path: &Path) -> Result<bool, ClientError> {
    let failed = |source| ClientError::Target { path: shown_path.to_owned(), source };
    if is_partial_name(name) {
        return Err(failed(io::Error::other("such names are reserved for partial files")));
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
