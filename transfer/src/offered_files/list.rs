//! Lists offered files: their own names, or an offered folder. Opens no files.

use std::ops::Bound;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{FilePath, FolderPath};

use super::{OfferedEntry, OfferedFiles};
use crate::list::{EntrySource, NotServed};
use crate::served_folder::{
    ENTRIES_PER_BATCH, FolderListing, ListedName, NameMemory, ServedPathError, run_in_lane,
    served_entry,
};
use crate::{Lane, unix};

/// A folder of [`OfferedFiles`] that is being listed.
#[derive(Debug)]
pub enum OfferedListing<M> {
    /// The names of all that is offered.
    Root(OfferedNames),
    /// An offered folder, or one below it.
    Folder(FolderListing<M>),
}

/// The names of [`OfferedFiles`] that are being listed, in byte order.
#[derive(Debug)]
pub struct OfferedNames {
    files: Arc<OfferedFiles>,
    listed_as: FolderPath,
    lane: Lane,
    /// The last name that was read.
    last: Option<String>,
    not_served: NotServed,
}

/// Some of the offered names, in byte order.
#[derive(Debug, Default)]
struct NameBatch {
    entries: Vec<FolderEntry>,
    /// The last name, served or not; `None` if there are no names.
    last: Option<String>,
    /// Number of names that are not served.
    not_served: u64,
}

impl OfferedNames {
    pub(super) fn new(files: Arc<OfferedFiles>, listed_as: FolderPath, lane: Lane) -> Self {
        Self { files, listed_as, lane, last: None, not_served: NotServed::default() }
    }
}

impl<M: NameMemory> EntrySource for OfferedListing<M> {
    type Error = ServedPathError;

    async fn next_batch(&mut self) -> Result<Vec<FolderEntry>, ServedPathError> {
        match self {
            Self::Root(names) => names.next_batch().await,
            Self::Folder(listing) => listing.next_batch().await,
        }
    }

    /// The names that were not served so far: as of a served folder, and offered files that were
    /// removed or replaced by something that is not served.
    fn not_served(&self) -> NotServed {
        match self {
            Self::Root(names) => names.not_served(),
            Self::Folder(listing) => listing.not_served(),
        }
    }
}

impl EntrySource for OfferedNames {
    type Error = ServedPathError;

    async fn next_batch(&mut self) -> Result<Vec<FolderEntry>, ServedPathError> {
        loop {
            let (files, listed_as) = (self.files.clone(), self.listed_as.clone());
            let after = self.last.clone();
            let read = move || Ok(files.read_names(after.as_deref(), &listed_as));
            let batch: NameBatch = run_in_lane(&self.lane, read).await?;
            // Something that was offered and is gone has no better reason.
            self.not_served.count += batch.not_served;
            if !batch.entries.is_empty() || batch.last.is_none() {
                self.last = batch.last.or(self.last.take());
                return Ok(batch.entries);
            }
            self.last = batch.last;
        }
    }

    fn not_served(&self) -> NotServed {
        self.not_served.clone()
    }
}

impl OfferedFiles {
    /// Reads what the next names are.
    fn read_names(&self, after: Option<&str>, listed_as: &FolderPath) -> NameBatch {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let names = self.entries.range::<str, _>((start, Bound::Unbounded));
        let mut batch = NameBatch::default();
        for (name, entry) in names.take(ENTRIES_PER_BATCH) {
            let path = listed_as.join(name).ok();
            match path.and_then(|path| entry.listed(path)) {
                Some(entry) => batch.entries.push(entry),
                None => batch.not_served += 1,
            }
            batch.last = Some(name.clone());
        }
        batch
    }
}

impl OfferedEntry {
    /// How it is listed with this path, if it is served now.
    fn listed(&self, path: FilePath) -> Option<FolderEntry> {
        let (listed, expected) = match self {
            Self::Folder(folder) if unix::is_removed(folder) => return None,
            Self::Folder(folder) => (served_entry(folder, ".", path), EntryKind::Folder),
            Self::File { parent, name } => {
                (served_entry(parent, name.as_os_str(), path), EntryKind::File)
            }
            Self::OpenFile { file, modified } => {
                let size = file.metadata().ok()?.size();
                let modified = (*modified).into();
                return Some(FolderEntry { path, kind: EntryKind::File, size, modified });
            }
        };
        match listed {
            ListedName::Served(entry) if entry.kind == expected => Some(entry),
            _ => None,
        }
    }
}
