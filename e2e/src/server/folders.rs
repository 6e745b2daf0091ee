//! The folders that a server reads and writes, as they are seen from outside; each may be a small disk.

use std::path::PathBuf;

use super::{Options, Server};

/// The folder whose files are served.
pub(super) const FILES: &str = "files";

/// The folder with the quota database, where no other is named.
const STATE: &str = "state";

impl Server {
    /// The folder whose files it serves.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.seen(FILES)
    }

    /// The folder with its quota database.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.seen(STATE)
    }

    fn seen(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        if self.options.disk.as_ref().is_none_or(|(disk, _)| *disk != name) {
            return folder;
        }
        // Mounted where only the server sees it.
        let seen = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        folder.strip_prefix("/").map_or_else(|_| folder.clone(), |folder| seen.join(folder))
    }
}

impl Options {
    /// Its files on a disk of their own, of this size, as mount(8) takes it. See
    /// [`small_disks`](super::small_disks).
    #[must_use]
    pub fn disk(mut self, size: &str) -> Self {
        self.disk = Some((FILES, size.to_owned()));
        self
    }

    /// Its quota database on a disk of its own, likewise.
    #[must_use]
    pub fn state_disk(mut self, size: &str) -> Self {
        self.disk = Some((STATE, size.to_owned()));
        self
    }
}
