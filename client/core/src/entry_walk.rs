//! Entries of the server for `list` and `rm`: those of a folder or those that match a pattern, and what is below them.
//!
//! One folder is listed at a time. Memory grows with the number of folders that are still to be listed.

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};
use quiver_transport::StreamError;

use crate::client::Client;
use crate::commands::FolderEntries;
use crate::error::{ClientError, InvalidRequest};
use crate::exchange::{self, ListItem};
use crate::tree::Pattern;
use crate::typed_path;

/// Limit of the folders that are still to be listed.
const MAX_PENDING_FOLDERS: usize = 100_000;

/// The entries that one typed path or pattern names, in byte order within each folder. A folder's own entry comes before
/// what it contains.
#[derive(Debug)]
pub struct EntryWalk {
    client: Client,
    /// The pattern, and what fails if nothing matches it; `None` for a folder.
    pattern: Option<(Pattern, String)>,
    recursive: bool,
    has_matched: bool,
    current: Option<ListedFolder>,
    /// The next one is the last.
    pending: Vec<PendingFolder>,
    folder_count: usize,
    not_served: u64,
}

/// A folder to list.
#[derive(Debug)]
struct PendingFolder {
    path: FolderPath,
    wanted: WantedEntries,
}

/// Which entries of a folder are part of the walk.
#[derive(Debug, Clone)]
enum WantedEntries {
    All,
    /// Those that match one of these parts of the pattern.
    Matching(Vec<usize>),
}

#[derive(Debug)]
struct ListedFolder {
    entries: FolderEntries,
    wanted: WantedEntries,
    subfolders: Vec<PendingFolder>,
}

impl Client {
    /// Walks the entries of a folder, or those that match a pattern; with `recursive` also what is below them. A name that
    /// is spelled like a part of the pattern wins over others that match.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn walk(&self, typed: &str, recursive: bool) -> Result<EntryWalk, ClientError> {
        if !Pattern::has_wildcards(typed) {
            return Ok(EntryWalk::of_folder(self, parse_folder(typed)?, recursive));
        }
        let (path, pattern) = self.resolve_pattern(typed, "list").await?;
        let is_folder = !pattern.may_match_many()
            && self.entry_kind(&path, "list").await? == Some(EntryKind::Folder);
        Ok(if is_folder {
            EntryWalk::of_folder(self, path.into(), recursive)
        } else {
            EntryWalk::of_pattern(self, pattern, failure_text("list", typed), recursive)
        })
    }

    /// Walks the files and folders that a path or pattern names; with `recursive` also what is below them. `verb` says
    /// what fails otherwise.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn walk_named(
        &self,
        typed: &str,
        recursive: bool,
        verb: &str,
    ) -> Result<EntryWalk, ClientError> {
        let (_, pattern) = self.resolve_pattern(typed, verb).await?;
        Ok(EntryWalk::of_pattern(self, pattern, failure_text(verb, typed), recursive))
    }

    /// Parses a pattern, and takes those of its parts literally after which a file or folder is called.
    async fn resolve_pattern(
        &self,
        typed: &str,
        verb: &str,
    ) -> Result<(FilePath, Pattern), ClientError> {
        let path = typed_path::parse_path(typed, verb)?;
        let mut pattern = Pattern::parse(path.as_str())
            .map_err(|rule| ClientError::refused(failure_text(verb, typed), Refusal::from(rule)))?;
        while let Some(literal) = pattern.literal_path() {
            if self.entry_kind(&literal, verb).await?.is_none() {
                break;
            }
            pattern = pattern.take_literally();
        }
        Ok((path, pattern))
    }

    /// What is at a path of the server; `None` if there is nothing, or nothing that it serves.
    async fn entry_kind(
        &self,
        path: &FilePath,
        verb: &str,
    ) -> Result<Option<EntryKind>, ClientError> {
        let handle = self.command_handle().await?;
        let folder = FolderPath::from(path.clone());
        let listed = match exchange::list(&handle.connection, folder, handle.timeout).await {
            Ok(mut entries) => entries.next().await.map(drop),
            Err(error) => Err(error),
        };
        match listed {
            Ok(()) => Ok(Some(EntryKind::Folder)),
            Err(StreamError::Refused(refusal)) => {
                Ok((refusal.code == RefusalCode::NotAFolder).then_some(EntryKind::File))
            }
            Err(error) => Err(ClientError::stream(failure_text(verb, path.as_str()), error)),
        }
    }
}

impl EntryWalk {
    fn of_folder(client: &Client, path: FolderPath, recursive: bool) -> Self {
        let first = PendingFolder { path, wanted: WantedEntries::All };
        Self::start_at(client, first, None, recursive)
    }

    fn of_pattern(client: &Client, pattern: Pattern, what: String, recursive: bool) -> Self {
        let wanted = WantedEntries::Matching(vec![0]);
        let first = PendingFolder { path: pattern.base().clone(), wanted };
        Self::start_at(client, first, Some((pattern, what)), recursive)
    }

    fn start_at(
        client: &Client,
        first: PendingFolder,
        pattern: Option<(Pattern, String)>,
        recursive: bool,
    ) -> Self {
        Self {
            client: client.clone(),
            pattern,
            recursive,
            has_matched: false,
            current: None,
            pending: vec![first],
            folder_count: 0,
            not_served: 0,
        }
    }

    /// Whether it looks for the matches of a pattern that may be several.
    #[must_use]
    pub fn may_match_many(&self) -> bool {
        self.pattern.as_ref().is_some_and(|(pattern, _)| pattern.may_match_many())
    }

    /// The number of folders whose list was requested.
    #[must_use]
    pub fn folder_count(&self) -> usize {
        self.folder_count
    }

    /// The number of names in the listed folders that the server does not serve; 0 for the folders of a pattern.
    #[must_use]
    pub fn not_served(&self) -> u64 {
        self.not_served
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// [`ClientError`] of one folder: another call goes on with the next one. At the end, an error if no entry matches the
    /// pattern.
    pub async fn next(&mut self) -> Result<Option<FolderEntry>, ClientError> {
        loop {
            let Some(mut folder) = self.next_folder().await? else { return self.finish() };
            match folder.entries.next().await? {
                ListItem::Entry(entry) => {
                    let is_wanted = self.select(&entry, &mut folder);
                    let folder_count = self.pending.len() + folder.subfolders.len();
                    self.current = Some(folder);
                    if folder_count > MAX_PENDING_FOLDERS {
                        (self.current, self.pending) = (None, Vec::new());
                        return Err(InvalidRequest::TooManyEntries.into());
                    }
                    if is_wanted {
                        return Ok(Some(entry));
                    }
                }
                ListItem::End(end) => {
                    if matches!(folder.wanted, WantedEntries::All) {
                        self.not_served += end.not_served;
                    }
                    self.pending.extend(folder.subfolders.into_iter().rev());
                }
            }
        }
    }

    /// The folder that is being listed, or else the next one. The caller puts it back.
    async fn next_folder(&mut self) -> Result<Option<ListedFolder>, ClientError> {
        if let Some(folder) = self.current.take() {
            return Ok(Some(folder));
        }
        let Some(PendingFolder { path, wanted }) = self.pending.pop() else { return Ok(None) };
        self.folder_count += 1;
        let what = match path.as_str() {
            "" => "cannot list the files".to_owned(),
            path => format!("cannot list {}", display_safe(path)),
        };
        let entries = self.client.list_folder(path, what).await?;
        Ok(Some(ListedFolder { entries, wanted, subfolders: Vec::new() }))
    }

    /// Whether the entry is part of the walk. Also remembers it if it is a folder to list.
    fn select(&mut self, entry: &FolderEntry, folder: &mut ListedFolder) -> bool {
        let (is_wanted, positions) = match (&folder.wanted, &self.pattern) {
            (WantedEntries::Matching(positions), Some((pattern, _))) => {
                let name = entry.path.file_name();
                let mut next: Vec<usize> =
                    positions.iter().flat_map(|&at| pattern.advance(at, name)).collect();
                next.sort_unstable();
                next.dedup();
                let matches = next.last() == Some(&pattern.part_count());
                next.retain(|&at| at < pattern.part_count());
                (matches, next)
            }
            (WantedEntries::All | WantedEntries::Matching(_), _) => (true, Vec::new()),
        };
        self.has_matched |= is_wanted;
        if entry.kind == EntryKind::Folder {
            let wanted = if is_wanted && self.recursive {
                Some(WantedEntries::All)
            } else {
                (!positions.is_empty()).then_some(WantedEntries::Matching(positions))
            };
            let path = FolderPath::from(entry.path.clone());
            folder.subfolders.extend(wanted.map(|wanted| PendingFolder { path, wanted }));
        }
        is_wanted
    }

    fn finish(&mut self) -> Result<Option<FolderEntry>, ClientError> {
        match self.pattern.take() {
            Some((pattern, what)) if !self.has_matched => {
                let why = match pattern.may_match_many() {
                    true => "nothing matches",
                    false => "no such file or folder",
                };
                Err(ClientError::refused(what, Refusal::new(RefusalCode::NotFound, why)))
            }
            _ => Ok(None),
        }
    }
}

fn parse_folder(typed: &str) -> Result<FolderPath, ClientError> {
    typed_path::parse_folder(typed)
        .map_err(|refusal| ClientError::refused(failure_text("list", typed), refusal))
}

fn failure_text(verb: &str, typed: &str) -> String {
    format!("cannot {verb} {}", display_safe(typed))
}
