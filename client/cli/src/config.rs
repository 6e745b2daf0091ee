//! The settings: flags override the environment, the environment the configuration file, the file the defaults.
//!
//! Reads only that file; the environment is an argument.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_protocol::ClientName;
use quiver_protocol::text::{display_path, display_safe};
use serde::Deserialize;
use thiserror::Error;

use crate::cli::SettingsArgs;
use quiver_client::ClientSettings;
use quiver_client::address::{AddressError, ServerAddress};
use quiver_client::settings::PathPolicy;

/// The settings of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server, and the client's name and credentials.
    pub client: ClientSettings,
    /// Print only data and errors.
    pub quiet: bool,
    /// Print debug messages to stderr.
    pub verbose: bool,
    /// Announce at the prompt that other clients connect and disconnect.
    pub announce: bool,
}

/// Why the settings are invalid.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The configuration file exists and cannot be read.
    #[error("cannot read {}: {source}", display_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The configuration file is not valid TOML, or has an unknown key or a value of the wrong type.
    #[error("{}, line {line}: {}", display_path(.path), display_safe(.why))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's message; it names an unknown key.
        why: String,
    },
    /// An invalid server address.
    #[error("{place}: {why}")]
    Server {
        /// The variable, or the file and its key.
        place: String,
        /// The broken rule.
        why: AddressError,
    },
    /// An invalid client name.
    #[error("{place}: {why}")]
    Name {
        /// The variable, or the file and its key.
        place: String,
        /// The broken rule.
        why: quiver_protocol::name::BadName,
    },
    /// An environment variable that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}

impl Config {
    /// Combines the sources of settings. `variable` looks up an environment variable; `file` is the path of the
    /// configuration file, which need not exist, or `None` without a folder for it.
    ///
    /// # Errors
    /// [`ConfigError`]. Values that a flag overrides are not checked.
    pub fn new(
        flags: SettingsArgs,
        variable: impl Fn(&str) -> Option<OsString>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let saved = file.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let place_in_file = |key| match file {
            Some(path) => format!("{}: {key}", display_path(path)),
            None => String::from(key),
        };
        let text = |name: &'static str| match variable(name) {
            Some(value) if !value.is_empty() => {
                value.into_string().map(Some).map_err(|_| ConfigError::NotText(name))
            }
            _ => Ok(None),
        };
        let parse_server = |value: String, place| {
            value.parse().map(Some).map_err(|why| ConfigError::Server { place, why })
        };
        let parse_name = |value: String, place| {
            ClientName::parse(&value).map(Some).map_err(|why| ConfigError::Name { place, why })
        };
        // Relative paths in the file start at its folder, so that they do not depend on the working directory.
        let resolve = |path: PathBuf| match file.and_then(Path::parent) {
            Some(folder) => folder.join(path),
            None => path,
        };
        let non_empty = |value: Option<OsString>| value.filter(|value| !value.is_empty());
        let client = ClientSettings {
            server: match (flags.server, text("QUIVER_SERVER")?, saved.server) {
                (Some(server), _, _) => Some(server),
                (_, Some(value), _) => parse_server(value, "QUIVER_SERVER".to_owned())?,
                (_, _, Some(value)) => parse_server(value, place_in_file("server"))?,
                _ => None,
            }
            .unwrap_or_else(ServerAddress::local),
            certificate: flags
                .cert
                .or_else(|| non_empty(variable("QUIVER_CERT")).map(PathBuf::from))
                .or_else(|| saved.cert.map(resolve)),
            name: match (flags.name, text("QUIVER_NAME")?, saved.name) {
                (Some(name), _, _) => Some(name),
                (_, Some(value), _) => parse_name(value, "QUIVER_NAME".to_owned())?,
                (_, _, Some(value)) => parse_name(value, place_in_file("name"))?,
                _ => None,
            },
            password_file: flags.password_file,
            timeout: Duration::from_secs(flags.timeout),
            paths: match (flags.relay_only, flags.direct_only) {
                (true, _) => PathPolicy::RelayOnly,
                (_, true) => PathPolicy::DirectOnly,
                _ => saved.paths.unwrap_or_default().into(),
            },
        };
        let announce = saved.announce.unwrap_or(true);
        Ok(Self { client, quiet: flags.quiet, verbose: flags.verbose, announce })
    }
}

/// The content of the configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    server: Option<String>,
    cert: Option<PathBuf>,
    name: Option<String>,
    announce: Option<bool>,
    paths: Option<SavedPaths>,
}

/// Which paths to other clients are used, as the file has it.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedPaths {
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
    fn read(path: &Path) -> Result<Self, ConfigError> {
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

#[cfg(test)]
mod tests;
