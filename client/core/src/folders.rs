//! The program's own folders, by the XDG base directories. Independent of the files in them.
//!
//! A user without a home, as in a container, has only the folders that variables name, and perhaps no usable folder.
//! Commands that need no folder work without one.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use thiserror::Error;

use crate::known_servers::KnownServers;
use crate::unix;

/// The program's folders. None of them needs to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    config: Result<PathBuf, FolderError>,
    data: Result<PathBuf, FolderError>,
    state: Result<PathBuf, FolderError>,
    cache: Result<PathBuf, FolderError>,
}

/// Why a folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FolderError {
    /// Neither a home nor a variable names the folder.
    #[error("this user has no home folder")]
    NoHome,
    /// The folder cannot be accessed.
    #[error("cannot access {}: {why}", display_path(.path))]
    Inaccessible {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
    /// A component of the path is not a folder.
    #[error("{} cannot be a folder: {why}", display_path(.path))]
    NotAFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        why: String,
    },
}

/// Creates a folder with its parents, accessible to its owner only.
///
/// # Errors
/// The system's error.
pub fn create_private(folder: &Path) -> io::Result<()> {
    unix::create_private_folder(folder)
}

impl Folders {
    /// The folders of a user with this home, if any; `variable` looks up an environment variable.
    #[must_use]
    pub fn new(variable: impl Fn(&str) -> Option<OsString>, home: Option<&Path>) -> Self {
        // An empty HOME counts as none, and a relative one would depend on the current folder.
        let home = home.filter(|home| home.is_absolute());
        let folder = |name: &str, below_home: &str| {
            // Relative paths are ignored (XDG Base Directory Specification, 0.8).
            let named = variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
            let base = named.or_else(|| Some(home?.join(below_home))).ok_or(FolderError::NoHome)?;
            usable(base.join("quiver"))
        };
        Self {
            config: folder("XDG_CONFIG_HOME", ".config"),
            data: folder("XDG_DATA_HOME", ".local/share"),
            state: folder("XDG_STATE_HOME", ".local/state"),
            cache: folder("XDG_CACHE_HOME", ".cache"),
        }
    }

    /// The given folders, in place of a user's, and none for what can be lost.
    #[must_use]
    pub fn at(config: PathBuf, data: PathBuf, state: PathBuf) -> Self {
        let cache = Err(FolderError::NoHome);
        Self { config: Ok(config), data: Ok(data), state: Ok(state), cache }
    }

    /// The folder for `config.toml`, which the user writes.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn config(&self) -> Result<&Path, &FolderError> {
        self.config.as_deref()
    }

    /// The folder for data that must not be lost: the client's identity.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn data(&self) -> Result<&Path, &FolderError> {
        self.data.as_deref()
    }

    /// The folder for the program's state: known servers, unfinished transfers, the prompt's history.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn state(&self) -> Result<&Path, &FolderError> {
        self.state.as_deref()
    }

    /// The file of servers that the user has confirmed, which need not exist.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn known_servers(&self) -> Result<KnownServers, &FolderError> {
        Ok(KnownServers::new(self.state()?.join("known_servers")))
    }

    /// The folder for what can be lost: content that a browser has handed over.
    ///
    /// # Errors
    /// [`FolderError`].
    pub fn cache(&self) -> Result<&Path, &FolderError> {
        self.cache.as_deref()
    }
}

/// The path, unless it is certain that no folder can be there.
fn usable(path: PathBuf) -> Result<PathBuf, FolderError> {
    let Err(error) = path.symlink_metadata() else { return Ok(path) };
    let why = error.to_string();
    match error.kind() {
        io::ErrorKind::PermissionDenied => Err(FolderError::Inaccessible { path, why }),
        // For example HOME=/dev/null.
        io::ErrorKind::NotADirectory => Err(FolderError::NotAFolder { path, why }),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_VARIABLES: fn(&str) -> Option<OsString> = |_| None;

    #[test]
    fn a_variable_overrides_the_home_and_either_is_enough() {
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
        assert_eq!(folders.cache(), Ok(&*home.path().join(".cache/quiver")));
        let folders = Folders::new(NO_VARIABLES, Some(home.path()));
        assert_eq!(folders.config(), Ok(&*home.path().join(".config/quiver")));
        assert_eq!(folders.state(), Ok(&*home.path().join(".local/state/quiver")));
        for home in [None, Some(Path::new("")), Some(Path::new("relative"))] {
            let folders = Folders::new(variable, home);
            assert_eq!(folders.state(), Ok(Path::new("/s/quiver")));
            assert_eq!(folders.data(), Err(&FolderError::NoHome));
        }
    }

    #[test]
    fn a_home_that_is_not_a_folder_is_reported() {
        let folders = Folders::new(NO_VARIABLES, Some(Path::new("/dev/null")));
        let why = folders.state().unwrap_err().to_string();
        let path = "/dev/null/.local/state/quiver";
        assert!(why.starts_with(&format!("{path} cannot be a folder: Not a directory")), "{why}");
        // It does not need to exist.
        assert!(Folders::new(NO_VARIABLES, Some(Path::new("/nonexistent"))).data().is_ok());
    }
}
