//! The configuration file as it is written.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use quiver_client::settings::PathPolicy;
use quiver_transport::CongestionControl;
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
    pub(super) congestion: Option<SavedCongestion>,
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

/// The congestion control, as the file has it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SavedCongestion {
    Auto,
    Model,
    Cubic,
}

impl From<SavedCongestion> for CongestionControl {
    fn from(saved: SavedCongestion) -> Self {
        match saved {
            SavedCongestion::Auto => Self::Auto,
            SavedCongestion::Model => Self::Model,
            SavedCongestion::Cubic => Self::Cubic,
        }
    }
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
