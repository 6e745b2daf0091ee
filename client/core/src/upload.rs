//! Uploads of named files, several at once. Every file is checked locally before the client
//! connects.

mod existing;
mod file;
mod pipe;
mod tree;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::text::{display_path, display_safe};
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transport::StreamError;

pub(crate) use self::file::UploadContext;
use self::pipe::PipeInput;
use self::tree::TreeUpload;
use crate::error::{ClientError, InvalidRequest};
use crate::exchange::PutError;
use crate::journal::{self, SingleFile};
use crate::outcomes::FILES_AT_ONCE;
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::{ResumeRequest, TransferOptions, UploadContent, UploadRequest};
use crate::transfer_context::{NamedFiles, SameFile, TransferContext};
use crate::tree::SourceRoot;
use crate::typed_path::parse_folder;
use crate::unix;

/// Follows the number of failed files in the error text.
pub(crate) const NOT_STORED: &str = "files were not stored";

/// An upload whose local side is checked: files, names and the target folder.
#[derive(Debug)]
pub(crate) struct Upload {
    selection: UploadSelection,
    options: TransferOptions,
    /// Whether an earlier run started the upload.
    is_resumed: bool,
    /// Errors of requested files that cannot be read. With a single file there are none: its error ends the request.
    unreadable: Vec<ClientError>,
    /// Files whose content the server has already.
    already_there: Vec<SameFile>,
    /// Existing files on the server with other content that the user decided not to replace.
    not_replaced: Vec<FilePath>,
    /// The source of streamed content.
    input: Option<PipeInput>,
}

#[derive(Debug)]
enum UploadSelection {
    /// Files that were named one by one.
    Files(Vec<UploadItem>),
    /// Folders and their contents.
    Tree(Box<TreeUpload>),
}

/// A file and its path on the server.
#[derive(Debug, Clone)]
pub(crate) struct UploadItem {
    pub(crate) source: UploadSource,
    pub(crate) path: FilePath,
    pub(crate) replace: bool,
}

/// The source of one file.
#[derive(Debug, Clone)]
pub(crate) enum UploadSource {
    /// The path as typed.
    File(PathBuf),
    /// A file in a folder that was named, and its path in that folder.
    InTree(Arc<SourceRoot>, FilePath),
    Stream,
}

impl Upload {
    /// Checks the files, their names and the name of the target folder.
    ///
    /// # Errors
    /// [`ClientError`]: no connection was made.
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
                let path = target_path(&folder, Path::new("-"), Some(&name))?;
                let replace = options.on_conflict.replaces();
                let item = UploadItem { source: UploadSource::Stream, path, replace };
                let upload = Self::new(options, UploadSelection::Files(vec![item]));
                return Ok(Self { input: Some(PipeInput::new(stream)), ..upload });
            }
        };
        if stored_as.is_some() && paths.len() > 1 {
            return Err(InvalidRequest::NameForSeveral.into());
        }
        if options.needs_plan() {
            // Paths stay as typed, so that messages show them as typed.
            let current_folder = Path::new("");
            let tree = TreeUpload::prepare(&paths, stored_as, folder, &options, current_folder)?;
            return Ok(Self::new(options, UploadSelection::Tree(Box::new(tree))));
        }
        let (mut items, mut unreadable) = (Vec::new(), Vec::new());
        let is_single = paths.len() == 1;
        for file in paths {
            match open_regular(&file) {
                Ok(_) => {}
                Err(failure) if is_single => return Err(failure),
                Err(failure) => {
                    unreadable.push(failure);
                    continue;
                }
            }
            let path = target_path(&folder, &file, stored_as.as_deref())?;
            let replace = options.on_conflict.replaces();
            items.push(UploadItem { source: UploadSource::File(file), path, replace });
        }
        let mut paths = HashSet::new();
        if let Some(duplicate) = items.iter().find(|item| !paths.insert(&item.path)) {
            return Err(InvalidRequest::DuplicateUpload(duplicate.path.to_string()).into());
        }
        Ok(Self { unreadable, ..Self::new(options, UploadSelection::Files(items)) })
    }

    /// Prepares to resume files that an earlier run started, each at its recorded path. Also
    /// returns an error for each file that cannot be resumed.
    pub(crate) fn resume_files<'a>(
        files: impl Iterator<Item = &'a SingleFile>,
        request: &ResumeRequest,
    ) -> (Self, Vec<ClientError>) {
        let (mut items, mut failed) = (Vec::new(), Vec::new());
        for file in files {
            let (source, path) = (UploadSource::File(file.local.clone()), file.path.clone());
            match open_regular(&file.local) {
                Ok(_) => items.push(UploadItem { source, path, replace: file.overwrite }),
                Err(failure) => failed.push(failure),
            }
        }
        let upload = Self::new(request.options(), UploadSelection::Files(items));
        (Self { is_resumed: true, ..upload }, failed)
    }

    /// Prepares to resume a tree. It is planned again, and files that the server has stay.
    ///
    /// # Errors
    /// [`ClientError`]: no connection was made.
    pub(crate) fn resume_tree(
        tree: &journal::TreeSelection,
        request: &ResumeRequest,
    ) -> Result<Self, ClientError> {
        let options = request.tree_options(tree);
        let paths: Vec<PathBuf> = tree.named.iter().map(PathBuf::from).collect();
        let (stored_as, to) = (tree.stored_as.clone(), tree.to.clone());
        let selection = TreeUpload::prepare(&paths, stored_as, to, &options, &tree.folder)?;
        Ok(Self::new(options, UploadSelection::Tree(Box::new(selection))))
    }

    fn new(options: TransferOptions, selection: UploadSelection) -> Self {
        Self {
            selection,
            options,
            is_resumed: false,
            unreadable: Vec::new(),
            already_there: Vec::new(),
            not_replaced: Vec::new(),
            input: None,
        }
    }

    fn items(&self) -> &[UploadItem] {
        match &self.selection {
            UploadSelection::Files(items) => items,
            UploadSelection::Tree(_) => &[],
        }
    }

    /// Number of requested files, including those that need no transfer; `usize::MAX` for a tree,
    /// whose files are not known yet.
    pub(crate) fn file_count(&self) -> usize {
        match &self.selection {
            UploadSelection::Files(items) => {
                let failed = self.unreadable.len() + self.not_replaced.len();
                items.len() + self.already_there.len() + failed
            }
            UploadSelection::Tree(_) => usize::MAX,
        }
    }

    /// Whether the content comes from a stream.
    pub(crate) fn is_streamed(&self) -> bool {
        self.input.is_some()
    }

    /// The error if every requested file exists on the server with other content, and none is to be
    /// replaced.
    pub(crate) fn nothing_to_do(&self) -> Option<ClientError> {
        let has_others = !self.items().is_empty()
            || !self.already_there.is_empty()
            || !self.unreadable.is_empty();
        let existing = self.not_replaced.first().filter(|_| !has_others)?;
        Some(ClientError::exists_on_server(existing))
    }

    /// Uploads the files. With several files each failure is reported when it happens; with a
    /// single file it is the result.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several files failed. If the future
    /// is dropped, the server keeps the partial files for the next attempt.
    pub(crate) async fn run(
        self,
        session: ReconnectingSession,
        reporter: Reporter,
    ) -> Result<(), ClientError> {
        if !self.is_streamed() {
            session.warn_if_not_resumable(journal::Direction::Put).await;
        }
        let (file_count, is_tree) =
            (self.file_count(), matches!(self.selection, UploadSelection::Tree(_)));
        let shared = TransferContext::new(session, reporter, &self.options, file_count, is_tree);
        let context = UploadContext {
            shared,
            resume: self.options.resume,
            may_be_stored: self.is_resumed,
            input: self.input,
        };
        let items = match self.selection {
            UploadSelection::Tree(tree) => return tree.run(context).await,
            UploadSelection::Files(items) => items,
        };
        let not_replaced = self.not_replaced.iter().map(ClientError::exists_on_server);
        let files = NamedFiles {
            items,
            already_there: self.already_there,
            failed: self.unreadable.into_iter().chain(not_replaced).collect(),
            failure_text: NOT_STORED,
            concurrency: FILES_AT_ONCE,
        };
        let upload = |item: UploadItem| {
            let context = context.clone();
            async move { context.upload_unless_same(&item).await }
        };
        let display_names = |item: &UploadItem| (item.path.clone(), item.path.to_string());
        context.shared.transfer_all(files, display_names, upload).await
    }
}

/// Returns the path on the server for a local file.
pub(crate) fn target_path(
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

/// Opens a regular file. Follows links.
fn open_regular(path: &Path) -> Result<File, ClientError> {
    let failed = |error| unreadable(path, error);
    // Opening some devices has side effects, so devices are not opened.
    check_regular(path, &std::fs::metadata(path).map_err(failed)?)?;
    let file = unix::open_without_waiting(path).map_err(failed)?;
    check_regular(path, &file.metadata().map_err(failed)?)?;
    Ok(file)
}

fn check_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<(), ClientError> {
    let not_a_file = |is| Err(ClientError::NotAFile { path: path.to_owned(), is });
    unix::kind(metadata).map_or(Ok(()), not_a_file)
}

pub(crate) fn unreadable(path: &Path, source: std::io::Error) -> ClientError {
    ClientError::Source { path: path.to_owned(), source }
}

pub(crate) fn to_client_error(item: &UploadItem, error: PutError) -> ClientError {
    match (error, &item.source) {
        (PutError::Source(error), UploadSource::File(path)) => unreadable(path, error),
        (PutError::Source(error), UploadSource::InTree(root, source)) => {
            unreadable(&root.display_path(source), error)
        }
        (PutError::Source(source), UploadSource::Stream) => {
            ClientError::Source { path: "standard input".into(), source }
        }
        (PutError::Stream(StreamError::Refused(refusal)), from)
            if let Some((folder, refusal)) = folder_refusal(&item.path, &refusal) =>
        {
            ClientError::ServerFolder { path: from.display_name(), folder, refusal }
        }
        (source, from) => ClientError::Put { path: from.display_name(), source },
    }
}

/// Whether the server refused an upload because the file exists.
pub(crate) fn is_exists_refusal(failure: &ClientError) -> bool {
    matches!(
        failure,
        ClientError::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. }
            if refusal.code == RefusalCode::Exists
    )
}

/// The folder of an upload, and a refusal that concerns it and not the file.
fn folder_refusal(path: &FilePath, refusal: &Refusal) -> Option<(String, Refusal)> {
    let why = match refusal.code {
        RefusalCode::NotFound => "the server has no such folder",
        RefusalCode::NotAFolder => "it is not a folder of the server",
        _ => return None,
    };
    let (folder, _) = path.as_str().rsplit_once('/')?;
    Some((folder.to_owned(), Refusal::new(refusal.code, why)))
}

impl UploadSource {
    fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::InTree(root, source) => root.display_path(source),
            Self::Stream => PathBuf::from("-"),
        }
    }

    fn display_name(&self) -> String {
        self.path().display().to_string()
    }
}

#[cfg(test)]
mod tests;
