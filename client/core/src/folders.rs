//! Where this program keeps what is its own, by the XDG base directories. Knows nothing of what it keeps.
//!
//! A user without a home, as in a container, has only the folders that variables name; some have none that can
//! be used. What needs no folder works without.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use thiserror::Error;

use crate::unix;

/// This program's folders. None of them need exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    config: Result<PathBuf, FolderError>,
    data: Result<PathBuf, FolderError>,
    state: Result<PathBuf, FolderError>,
}

/// Why there is no folder for something.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FolderError {
    /// Neither a home nor a variable says where it would be.
    #[error("this user has no home folder")]
    NoHome,
    /// It cannot be looked at, and nobody can tell what is in it.
    #[error("cannot look at {}: {why}", display_path(.path))]
    Inaccessible {
        /// Where it would be.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Something else than a folder is in the way.
    #[error("{} cannot be a folder: {why}", display_path(.path))]
    NotAFolder {
        /// Where it would be.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

/// Creates a folder, and those above it, that only its owner can look into.
///
/// # Errors
/// What the system says.
pub fn create_private(folder: &Path) -> io::Result<()> {
    unix::create_private_folder(folder)
}

impl Folders {
    /// The folders of a user with this home, if any; `variable` looks into the environment.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Self {
        // An empty HOME is none, and a relative one would mean another folder in every folder.
        let home = home.filter(|home| home.is_absolute());
        let folder = |name: &str, below_home: &str| {
            // A relative path is to be ignored (XDG Base Directory Specification, 0.8).
            let named = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = named.or_else(|| Some(home?.join(below_home))).ok_or(FolderError::NoHome)?;
            usable(base.join("quiver"))
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            data: folder("XDG_DATA_HOME", ".local/share"),
            state: folder("XDG_STATE_HOME", ".local/state"),
        }
    }

    /// These folders, wherever a user's would be.
    #[must_use]
    pub fn at(config: PathBuf, data: PathBuf, state: PathBuf) -> Self {
        Self { config: Ok(config), data: Ok(data), state: Ok(state) }
    }

    /// For what people write: `config.toml`.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn config(&self) -> Result<&Path, &FolderError> {
        self.config.as_deref()
    }

    /// For what must not be lost: the client's identity.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn data(&self) -> Result<&Path, &FolderError> {
        self.data.as_deref()
    }

    /// For what the program learned: known servers, unfinished transfers, the prompt's history.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn state(&self) -> Result<&Path, &FolderError> {
        self.state.as_deref()
    }
}

/// A folder that is there, or that may be made where the disk lets this user.
fn usable(path: PathBuf) -> Result<PathBuf, FolderError> {
    let Err(error) = path.symlink_metadata() else { return Ok(path) };
    let why = error.to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Err(FolderError::Inaccessible { path, why }),
        // As with HOME=/dev/null.
        io::ErrorKind::NotADirectory => Err(FolderError::NotAFolder { path, why }),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: fn(&str) -> Option<OsString> = |_| None;

    #[test]
    fn a_variable_beats_the_home_and_neither_is_needed_where_the_other_is() {
        let home = tempfile::tempdir().unwrap();
        let variable = |name: &str| match name {
            "XDG_CONFIG_HOME" => Some("/c".into()),
            "XDG_DATA_HOME" => Some("relative".into()),
            "XDG_STATE_HOME" => Some("/s".into()),
            _ => None,
        };
        let folders = Folders::new(variable, Some(home.path()));
        assert_eq!(folders.config(), Ok(Path::new("/c/quiver")));
        assert_eq!(folders.data(), Ok(&*home.path().join(".local/share/quiver")));
        let folders = Folders::new(NOTHING, Some(home.path()));
        assert_eq!(folders.config(), Ok(&*home.path().join(".config/quiver")));
        assert_eq!(folders.state(), Ok(&*home.path().join(".local/state/quiver")));
        for home in [None, Some(Path::new("")), Some(Path::new("relative"))] {
            let folders = Folders::new(variable, home);
            assert_eq!(folders.state(), Ok(Path::new("/s/quiver")));
            assert_eq!(folders.data(), Err(&FolderError::NoHome));
        }
    }

    #[test]
    fn a_home_that_cannot_be_one_is_told() {
        let folders = Folders::new(NOTHING, Some(Path::new("/dev/null")));
        let why = folders.state().unwrap_err().to_string();
        let path = "/dev/null/.local/state/quiver";
        assert!(why.starts_with(&format!("{path} cannot be a folder: Not a directory")), "{why}");
        // It need not exist.
        assert!(Folders::new(NOTHING, Some(Path::new("/nonexistent"))).data().is_ok());
    }
}
