//! The names of one server, bounded in number and length. Handles values only, no files.

use std::collections::BTreeMap;
use std::io;

use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::display_safe;
use serde::{Deserialize, Serialize};

/// The most folders of a server whose names are kept; those that were listed last.
const MAX_FOLDERS: usize = 200;

/// The most names that are kept of a folder.
const MAX_NAMES: usize = 1000;

/// The most names of clients.
const MAX_CLIENTS: usize = 200;

/// The names that were seen on a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenServer {
    /// The folder that was listed last is the last one.
    folders: Vec<SeenFolder>,
    clients: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SeenFolder {
    path: String,
    /// Each name with whether it is a folder.
    names: BTreeMap<String, bool>,
}

/// What was learned of a server.
#[derive(Debug, Clone)]
pub(crate) enum SeenChange {
    /// A folder was listed to its end.
    Listed(FolderNames),
    /// A file or folder is there.
    Added {
        /// Its path.
        path: String,
        /// What it is.
        kind: EntryKind,
    },
    /// A file or folder is there no longer.
    Removed(String),
    /// A file or folder has another path now.
    Moved {
        /// Its old path.
        from: String,
        /// Its new path.
        to: String,
    },
    /// The names of connected clients.
    Clients(Vec<String>),
}

/// The names of a folder as its list is received.
#[derive(Debug, Clone)]
pub(crate) struct FolderNames {
    path: String,
    names: BTreeMap<String, bool>,
}

impl SeenChange {
    /// How many names it has, about.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Listed(folder) => folder.names.len() + 1,
            Self::Added { .. } | Self::Removed(_) | Self::Moved { .. } => 1,
            Self::Clients(names) => names.len(),
        }
    }
}

impl FolderNames {
    pub(crate) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), names: BTreeMap::new() }
    }

    /// Adds a name. Names beyond the limit, and those that a terminal cannot show as they are, are left out.
    pub(crate) fn push(&mut self, name: &str, kind: EntryKind) {
        if self.names.len() < MAX_NAMES && is_plain(name) {
            self.names.insert(name.to_owned(), kind == EntryKind::Folder);
        }
    }
}

impl SeenServer {
    /// The names in a folder, each with whether it is a folder; the empty path is the root.
    pub fn names_in(&self, folder: &str) -> impl Iterator<Item = (&str, bool)> {
        let found = self.folders.iter().find(|seen| seen.path == folder);
        let names = found.into_iter().flat_map(|seen| &seen.names);
        names.map(|(name, is_folder)| (name.as_str(), *is_folder))
    }

    /// The names of clients.
    #[must_use]
    pub fn clients(&self) -> &[String] {
        &self.clients
    }

    pub(super) fn apply(&mut self, change: SeenChange) {
        match change {
            SeenChange::Listed(FolderNames { path, names }) => {
                self.folders.retain(|seen| seen.path != path);
                self.folders.push(SeenFolder { path, names });
                let surplus = self.folders.len().saturating_sub(MAX_FOLDERS);
                self.folders.drain(..surplus);
            }
            SeenChange::Added { path, kind } => self.add(&path, kind),
            SeenChange::Removed(path) => self.remove(&path),
            SeenChange::Moved { from, to } => self.rename(&from, &to),
            SeenChange::Clients(mut names) => {
                names.retain(|name| is_plain(name));
                names.truncate(MAX_CLIENTS);
                self.clients = names;
            }
        }
    }

    /// Adds a path, and the folders that it is in.
    fn add(&mut self, path: &str, kind: EntryKind) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !is_plain(name) {
            return;
        }
        if !parent.is_empty() {
            self.add(parent, EntryKind::Folder);
        }
        if !self.folders.iter().any(|seen| seen.path == parent) {
            let names = BTreeMap::new();
            self.apply(SeenChange::Listed(FolderNames { path: parent.to_owned(), names }));
        }
        let Some(folder) = self.folders.iter_mut().find(|seen| seen.path == parent) else { return };
        if folder.names.len() < MAX_NAMES {
            folder.names.insert(name.to_owned(), kind == EntryKind::Folder);
        }
    }

    /// Removes a path with everything below it.
    fn remove(&mut self, path: &str) {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let below = format!("{path}/");
        self.folders.retain(|seen| seen.path != path && !seen.path.starts_with(&below));
        if let Some(folder) = self.folders.iter_mut().find(|seen| seen.path == parent) {
            folder.names.remove(name);
        }
    }

    /// Renames a path. One that was not seen is not known to be a file or a folder, and neither is its new name then.
    fn rename(&mut self, from: &str, to: &str) {
        let (parent, name) = from.rsplit_once('/').unwrap_or(("", from));
        let kind = self
            .names_in(parent)
            .find(|(seen, _)| *seen == name)
            .map(|(_, is_folder)| if is_folder { EntryKind::Folder } else { EntryKind::File });
        self.remove(from);
        if let Some(kind) = kind {
            self.add(to, kind);
        }
    }

    /// The file's text, without the oldest folders if it would be larger than `limit` bytes.
    pub(super) fn encode(&self, limit: usize) -> io::Result<Vec<u8>> {
        let mut kept = self.clone();
        loop {
            let text = serde_json::to_vec(&kept)?;
            if text.len() <= limit || kept.folders.is_empty() {
                return Ok(text);
            }
            let half = kept.folders.len().div_ceil(2);
            kept.folders.drain(..half);
        }
    }
}

/// Whether a terminal shows the name as it is.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && display_safe(name) == name
}
