//! The configuration file as it is written: its keys, and what its paths mean.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use quiver_client::settings::PathPolicy;
use quiver_protocol::text::display_path;
use serde::Deserialize;

use super::ConfigError;
use super::servers::SavedServer;

/// The content of the configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    pub(super) server: Option<String>,
    pub(super) cert: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) announce: Option<bool>,
    pub(super) paths: Option<SavedPaths>,
    #[serde(default)]
    pub(super) servers: BTreeMap<String, SavedServer>,
}

/// Which paths to other clients are used, as the file has it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SavedPaths {
    #[default]
    Any,
    RelayOnly,
    DirectOnly,
}

impl From<SavedPaths> for PathPolicy {
    fn from(saved: SavedPaths) -> Self {
        match saved {
            SavedPaths::Any => Self::Any,
            SavedPaths::RelayOnly => Self::RelayOnly,
            SavedPaths::DirectOnly => Self::DirectOnly,
        }
    }
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line =
                text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1;
            ConfigError::Syntax { path: path.to_owned(), line, why: error.message().to_owned() }
        })
    }
}

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
