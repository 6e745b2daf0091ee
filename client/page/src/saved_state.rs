//! The file with the settings of the page and the servers of earlier sign-ins. Only its owner can read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use quiver_client::folders::create_private;
use serde::{Deserialize, Serialize};

use crate::views::{PageSettings, RecentServer};

/// The name of the file in the folder for state.
pub(crate) const FILE_NAME: &str = "page.json";

/// Servers that are remembered.
const MAX_RECENT: usize = 10;

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedState {
    /// `None` before they were changed.
    #[serde(default)]
    pub(crate) settings: Option<PageSettings>,
    /// The latest first.
    #[serde(default)]
    pub(crate) recent: Vec<RecentServer>,
}

impl SavedState {
    /// Reads the file; the defaults if there is none.
    ///
    /// # Errors
    /// The system's error, or `InvalidData`.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(content) => Ok(serde_json::from_slice(&content)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file in one step.
    ///
    /// # Errors
    /// The system's error; the file is then unchanged.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            create_private(folder)?;
        }
        let temporary = path.with_extension("json.new");
        // Left by a process that was killed.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    }

    /// Records a sign-in.
    pub(crate) fn add_recent(&mut self, used: RecentServer) {
        self.recent.retain(|known| known.server != used.server || known.name != used.name);
        self.recent.insert(0, used);
        self.recent.truncate(MAX_RECENT);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chrono::DateTime;
    use quiver_protocol::Timestamp;

    use super::*;

    fn used(server: &str, second: i64) -> RecentServer {
        RecentServer {
            server: server.to_owned(),
            name: Some("Ann".to_owned()),
            certificate: None,
            used: Timestamp(DateTime::from_timestamp(second, 0).unwrap()),
        }
    }

    #[test]
    fn the_file_is_private_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/page.json");
        assert_eq!(SavedState::read(&path).unwrap(), SavedState::default());
        let mut saved = SavedState::default();
        saved.add_recent(used("a:1", 1));
        saved.write(&path).unwrap();
        saved.add_recent(used("b:1", 2));
        saved.write(&path).unwrap();
        assert_eq!(SavedState::read(&path).unwrap(), saved);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert_eq!(SavedState::read(&path).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn the_latest_server_is_the_first_and_each_is_there_once() {
        let mut saved = SavedState::default();
        for second in 0..20 {
            saved.add_recent(used(&format!("host:{}", second % 12 + 1), second));
        }
        let servers: Vec<_> = saved.recent.iter().map(|recent| recent.used.0.timestamp()).collect();
        assert_eq!(servers, (10..20).rev().collect::<Vec<_>>());
    }
}
