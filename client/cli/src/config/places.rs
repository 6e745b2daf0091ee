//! Where the configuration file is: how errors name its keys, and what its paths mean.

use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;

use super::ConfigError;

/// Where the configuration file is, for its errors and its paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilePlaces<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) home: Option<&'a Path>,
}

impl FilePlaces<'_> {
    /// `FILE: KEY`
    pub(super) fn key(&self, key: &str) -> String {
        match self.file {
            Some(path) => format!("{}: {key}", display_path(path)),
            None => key.to_owned(),
        }
    }

    /// The path that the value of a key means: `~` is the home folder, and relative paths start at the folder of the
    /// file, so that they do not depend on the working directory.
    pub(super) fn resolve(&self, path: PathBuf, key: &str) -> Result<PathBuf, ConfigError> {
        if let Ok(below_home) = path.strip_prefix("~") {
            let no_home = || ConfigError::NoHome { place: self.key(key) };
            return Ok(self.home.ok_or_else(no_home)?.join(below_home));
        }
        Ok(match self.file.and_then(Path::parent) {
            Some(folder) => folder.join(path),
            None => path,
        })
    }
}
