//! The folders of a server as the tests access them; each may be a small disk.

use std::path::PathBuf;

use super::{Server, ServerOptions};

/// The served folder.
pub(super) const FILES: &str = "files";

/// The folder of another disk below the served folder.
const OTHER: &str = "files/other";

/// The default folder of the quota database.
const STATE: &str = "state";

impl Server {
    /// The served folder.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.accessible_path(FILES)
    }

    /// The folder of its quota database.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.accessible_path(STATE)
    }

    fn accessible_path(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        if self.options.disk.is_none() {
            return folder;
        }
        // The disk is mounted in the server's mount namespace only.
        let root = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        folder.strip_prefix("/").map_or_else(|_| folder.clone(), |folder| root.join(folder))
    }
}

impl ServerOptions {
    /// Puts the served folder on a small disk of this size, as mount(8) takes it. Check
    /// [`small_disks_available`](super::small_disks_available) first.
    #[must_use]
    pub fn disk(mut self, size: &str) -> Self {
        self.disk = Some((FILES, size.to_owned()));
        self
    }

    /// Puts the folder `other` in the served folder on a small disk of this size.
    #[must_use]
    pub fn other_disk(mut self, size: &str) -> Self {
        self.disk = Some((OTHER, size.to_owned()));
        self
    }

    /// Puts its quota database on a small disk of this size.
    #[must_use]
    pub fn state_disk(mut self, size: &str) -> Self {
        self.disk = Some((STATE, size.to_owned()));
        self
    }
}
