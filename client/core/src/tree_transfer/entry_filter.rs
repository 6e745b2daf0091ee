//! Selects entries of the server's lists, and their targets.

use quiver_protocol::reply::FolderEntry;
use quiver_protocol::{FilePath, FolderPath};

/// Selects entries of a list.
pub(crate) trait EntryFilter {
    /// Returns the target of an entry, or `None` to ignore it.
    fn target(&mut self, entry: &FolderEntry) -> Option<FilePath>;

    /// Whether it holds more folders than its limit.
    fn is_full(&self) -> bool {
        false
    }
}

/// Selects all entries of a folder. The value is the target folder.
pub(crate) struct WholeFolder(pub(crate) FolderPath);

impl EntryFilter for WholeFolder {
    fn target(&mut self, entry: &FolderEntry) -> Option<FilePath> {
        // A path valid in the server's folder is valid in a target folder whose path is not longer.
        self.0.join(entry.path.file_name()).ok()
    }
}
