//! What is meant: flags, then the environment, then the configuration file, then the defaults.
//!
//! Pure but for reading the file: the environment is an argument.

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

/// Settings, whoever made them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the client connects to, and as what.
    pub client: ClientSettings,
    /// Only data and errors.
    pub quiet: bool,
    /// What happens underneath, on stderr.
    pub verbose: bool,
}

/// Settings that cannot be meant.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", display_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what a configuration looks like.
    #[error("{}, line {line}: {}", display_path(.path), display_safe(.why))]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said; it names an unknown key.
        why: String,
    },
    /// A server that is no address.
    #[error("{place}: {why}")]
    Server {
        /// The variable, or the file and its key.
        place: String,
        /// The broken rule.
        why: AddressError,
    },
    /// A name that is no name.
    #[error("{place}: {why}")]
    Name {
        /// The variable, or the file and its key.
        place: String,
        /// The broken rule.
        why: quiver_protocol::name::BadName,
    },
    /// A variable that is not text.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}

impl Config {
    /// What the settings mean. `variable` looks into the environment, `file` is the configuration
    /// file's path, where there can be one; it need not exist.
    ///
    /// # Errors
    /// [`ConfigError`]. What a flag overrides is not looked at.
    pub fn new(
        typed: SettingsArgs,
        variable: impl Fn(&str) -> Option<OsString>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let written = file.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let place = |key| match file {
            Some(path) => format!("{}: {key}", display_path(path)),
            None => String::from(key),
        };
        let text = |name: &'static str| match variable(name) {
            Some(value) if !value.is_empty() => {
                value.into_string().map(Some).map_err(|_| ConfigError::NotText(name))
            }
            _ => Ok(None),
        };
        let server = |value: String, place| {
            value.parse().map(Some).map_err(|why| ConfigError::Server { place, why })
        };
        let name = |value: String, place| {
            ClientName::parse(&value).map(Some).map_err(|why| ConfigError::Name { place, why })
        };
        // The file's relative paths start at the file: they mean one thing wherever they are used.
        let beside = |path: PathBuf| match file.and_then(Path::parent) {
            Some(folder) => folder.join(path),
            None => path,
        };
        let set = |variable: Option<OsString>| variable.filter(|value| !value.is_empty());
        let client = ClientSettings {
            server: match (typed.server, text("QUIVER_SERVER")?, written.server) {
                (Some(server), _, _) => Some(server),
                (_, Some(value), _) => server(value, "QUIVER_SERVER".to_owned())?,
                (_, _, Some(value)) => server(value, place("server"))?,
                _ => None,
            }
            .unwrap_or_else(ServerAddress::local),
            certificate: typed
                .cert
                .or_else(|| set(variable("QUIVER_CERT")).map(PathBuf::from))
                .or_else(|| written.cert.map(beside)),
            name: match (typed.name, text("QUIVER_NAME")?, written.name) {
                (Some(name), _, _) => Some(name),
                (_, Some(value), _) => name(value, "QUIVER_NAME".to_owned())?,
                (_, _, Some(value)) => name(value, place("name"))?,
                _ => None,
            },
            password_file: typed.password_file,
            timeout: Duration::from_secs(typed.timeout),
        };
        Ok(Self { client, quiet: typed.quiet, verbose: typed.verbose })
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    server: Option<String>,
    cert: Option<PathBuf>,
    name: Option<String>,
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
