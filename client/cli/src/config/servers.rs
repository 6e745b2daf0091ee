//! The server entries of the configuration file, `[servers.NAME]`, and the settings of the chosen server.

use std::collections::BTreeMap;
use std::path::PathBuf;

use quiver_client::address::ServerAddress;
use quiver_protocol::ClientName;
use serde::Deserialize;

use super::places::FilePlaces;
use super::{ConfigError, parse_name};
use crate::server_choice::ServerChoice;

/// An entry as the file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedServer {
    address: String,
    cert: Option<PathBuf>,
    name: Option<String>,
    password_file: Option<PathBuf>,
}

/// The servers to which the configuration file gives names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerEntries(BTreeMap<String, ServerEntry>);

/// A server and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerEntry {
    pub(super) address: ServerAddress,
    pub(super) certificate: Option<PathBuf>,
    pub(super) name: Option<ClientName>,
    pub(super) password_file: Option<PathBuf>,
}

impl ServerEntries {
    /// The names of the entries.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Checks all entries, also those that are not used: a mistake is found when it is made.
    pub(super) fn new(
        saved: BTreeMap<String, SavedServer>,
        places: &FilePlaces<'_>,
    ) -> Result<Self, ConfigError> {
        let mut entries = BTreeMap::new();
        for (typed, saved) in saved {
            let section = format!("servers.{typed}");
            let choice = typed.parse::<ServerChoice>().ok();
            let Some(name) = choice.as_ref().and_then(ServerChoice::entry_name) else {
                return Err(ConfigError::EntryName { place: places.key(&section) });
            };
            let entry = ServerEntry::new(saved, &section, places)?;
            // Names ignore case, as those of hosts do.
            if entries.insert(name.to_owned(), entry).is_some() {
                return Err(ConfigError::RepeatedEntry { place: places.key(&section) });
            }
        }
        Ok(Self(entries))
    }

    /// The address of the server that a person names.
    #[must_use]
    pub fn address(&self, choice: &ServerChoice) -> ServerAddress {
        let entry = self.find(choice);
        entry.map_or_else(|| choice.address().clone(), |entry| entry.address.clone())
    }

    /// The password file of each entry that has one.
    pub(super) fn password_files(&self) -> Vec<(ServerAddress, PathBuf)> {
        let file =
            |entry: &ServerEntry| Some((entry.address.clone(), entry.password_file.clone()?));
        self.0.values().filter_map(file).collect()
    }

    pub(super) fn find(&self, choice: &ServerChoice) -> Option<&ServerEntry> {
        self.0.get(choice.entry_name()?)
    }
}

impl ServerEntry {
    fn new(
        saved: SavedServer,
        section: &str,
        places: &FilePlaces<'_>,
    ) -> Result<Self, ConfigError> {
        let key = |key: &str| format!("{section}.{key}");
        let place = |name: &str| places.key(&key(name));
        let path = |path: Option<PathBuf>, name: &str| {
            path.map(|path| places.resolve(path, &key(name))).transpose()
        };
        Ok(Self {
            address: saved
                .address
                .parse()
                .map_err(|why| ConfigError::Server { place: place("address"), why })?,
            certificate: path(saved.cert, "cert")?,
            name: saved.name.map(|name| parse_name(&name, place("name"))).transpose()?,
            password_file: path(saved.password_file, "password_file")?,
        })
    }
}
