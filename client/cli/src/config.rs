//! The settings: flags override the environment, the environment the configuration file, the file the defaults.
//!
//! Reads only that file; the environment is an argument.

mod file;
mod places;
mod servers;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quiver_client::address::{AddressError, ServerAddress};
use quiver_client::settings::PathPolicy;
use quiver_client::{ClientSettings, ResumeOverrides};
use quiver_protocol::ClientName;
use quiver_protocol::text::{display_path, display_safe};
use thiserror::Error;

use self::file::ConfigFile;
use self::places::FilePlaces;
pub use self::servers::ServerEntries;
use crate::cli::SettingsArgs;
use crate::server_choice::ServerChoice;

/// The settings of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The server, and the client's name and credentials.
    pub client: ClientSettings,
    /// The servers to which the configuration file gives names.
    pub servers: ServerEntries,
    /// What the flags say about transfers that are resumed.
    pub overrides: ResumeOverrides,
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
    /// A name of a server entry that `--server` does not take.
    #[error("{place}: a server entry has a name like work or lab-2")]
    EntryName {
        /// The file and the entry.
        place: String,
    },
    /// Two names of server entries that differ only in case.
    #[error("{place}: another server entry has this name; case does not matter")]
    RepeatedEntry {
        /// The file and the entry.
        place: String,
    },
    /// A path that begins with `~`, of a user without a home folder.
    #[error("{place}: this user has no home folder for ~")]
    NoHome {
        /// The file and its key.
        place: String,
    },
    /// An environment variable that is not UTF-8.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}

impl Config {
    /// Combines the sources of settings. `variable` looks up an environment variable; `file` is the path of the
    /// configuration file, which need not exist, or `None` without a folder for it; `home` is the user's home folder.
    ///
    /// # Errors
    /// [`ConfigError`]. Values that a flag overrides are not checked, but all server entries are.
    pub fn new(
        flags: SettingsArgs,
        variable: impl Fn(&str) -> Option<OsString>,
        file: Option<&Path>,
        home: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let mut saved = file.map(ConfigFile::read).transpose()?.unwrap_or_default();
        let places = FilePlaces { file, home };
        let servers = ServerEntries::new(std::mem::take(&mut saved.servers), &places)?;
        let overrides = resume_overrides(&flags, &servers);
        let (announce, paths) = (saved.announce.unwrap_or(true), saved.paths.unwrap_or_default());
        let (quiet, verbose) = (flags.quiet, flags.verbose);
        let timeout = Duration::from_secs(flags.timeout);
        let paths = match (flags.relay_only, flags.direct_only) {
            (true, _) => PathPolicy::RelayOnly,
            (_, true) => PathPolicy::DirectOnly,
            _ => paths.into(),
        };
        let congestion = flags.congestion.or_else(|| saved.congestion.map(Into::into));
        let server = ServerSettings::new(flags, variable, saved, &servers, &places)?;
        let client = ClientSettings {
            server: server.address,
            certificate: server.certificate,
            name: server.name,
            password_file: server.password_file,
            timeout,
            paths,
            one_shot: false,
            congestion: congestion.unwrap_or_default(),
        };
        Ok(Self { client, servers, overrides, quiet, verbose, announce })
    }
}

impl ServerSettings {
    fn new(
        flags: SettingsArgs,
        variable: impl Fn(&str) -> Option<OsString>,
        saved: ConfigFile,
        servers: &ServerEntries,
        places: &FilePlaces<'_>,
    ) -> Result<Self, ConfigError> {
        let text = |name: &'static str| match variable(name) {
            Some(value) if !value.is_empty() => {
                value.into_string().map(Some).map_err(|_| ConfigError::NotText(name))
            }
            _ => Ok(None),
        };
        let has_saved_server = saved.server.is_some();
        let saved_server = saved.server.map(|value| parse_choice(&value, places.key("server")));
        let saved_address = match &saved_server {
            None => Some(ServerAddress::local()),
            Some(choice) => choice.as_ref().ok().map(|choice| servers.address(choice)),
        };
        let choice = match (flags.server, text("QUIVER_SERVER")?) {
            (Some(choice), _) => Some(choice),
            (None, Some(value)) => Some(parse_choice(&value, "QUIVER_SERVER".to_owned())?),
            (None, None) => saved_server.transpose()?,
        };
        let entry = choice.as_ref().and_then(|choice| servers.find(choice));
        let address =
            choice.as_ref().map_or_else(ServerAddress::local, |choice| servers.address(choice));
        // The certificate and the name outside of entries belong to the server outside of entries.
        let is_saved_server = saved_address.as_ref() == Some(&address);
        let certificate = match flags.cert {
            Some(path) => Some(path),
            None => match variable("QUIVER_CERT").filter(|path| !path.is_empty()) {
                Some(path) => Some(path.into()),
                None => match entry.and_then(|entry| entry.certificate.clone()) {
                    None if is_saved_server => {
                        saved.cert.map(|path| places.resolve(path, "cert")).transpose()?
                    }
                    certificate => certificate,
                },
            },
        };
        let name = match (flags.name, text("QUIVER_NAME")?) {
            (Some(name), _) => Some(name),
            (None, Some(value)) => Some(parse_name(&value, "QUIVER_NAME".to_owned())?),
            (None, None) => match entry.and_then(|entry| entry.name.clone()) {
                None if is_saved_server || !has_saved_server => {
                    saved.name.map(|name| parse_name(&name, places.key("name"))).transpose()?
                }
                name => name,
            },
        };
        let password_file =
            flags.password_file.or_else(|| entry.and_then(|entry| entry.password_file.clone()));
        Ok(Self { address, certificate, name, password_file })
    }
}

/// What this run's flags say about the transfers that `resume` continues, each of which has its own server.
fn resume_overrides(flags: &SettingsArgs, servers: &ServerEntries) -> ResumeOverrides {
    let entry = flags.server.as_ref().and_then(|choice| servers.find(choice));
    ResumeOverrides {
        server: flags.server.as_ref().map(|choice| servers.address(choice)),
        certificate: flags.cert.clone().or_else(|| entry?.certificate.clone()),
        name: flags.name.clone().or_else(|| entry?.name.clone()),
        password_file: flags.password_file.clone(),
        password_files: servers.password_files(),
    }
}

/// The server of this run and what belongs to it, from all sources.
struct ServerSettings {
    address: ServerAddress,
    certificate: Option<PathBuf>,
    name: Option<ClientName>,
    password_file: Option<PathBuf>,
}

fn parse_name(value: &str, place: String) -> Result<ClientName, ConfigError> {
    ClientName::parse(value).map_err(|why| ConfigError::Name { place, why })
}

fn parse_choice(value: &str, place: String) -> Result<ServerChoice, ConfigError> {
    value.parse().map_err(|why| ConfigError::Server { place, why })
}

#[cfg(test)]
mod tests;
