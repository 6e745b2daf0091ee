//! The names that words are completed to. They come from this machine only: the settings, the records of this user, what was
//! seen of servers before, and the sockets of running programs. No connection is made, so no slot of a server is taken.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Utc;
use quiver_client::address::ServerAddress;
use quiver_client::folders::Folders;
use quiver_client::journal::{Direction, Journal, TransferSubject};
use quiver_client::peer_store::PeerStore;
use quiver_client::seen_names::SeenNames;
use quiver_control::ProcessList;
use quiver_protocol::Timestamp;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::line::CommandLine;
use crate::cli::SettingsArgs;
use crate::config::Config;
use crate::manual;

/// Time limit for the answers of other processes.
const PROCESS_TIMEOUT: Duration = Duration::from_millis(500);

/// What an argument names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Servers,
    ServerPaths,
    ServerFolders,
    Clients,
    /// Clients, but only as the first argument of the command: the text of a message follows.
    FirstClient,
    Contacts,
    IncomingOffers,
    OutgoingOffers,
    RunningTransfers,
    Resumable,
    Commands,
}

/// Where names are looked up.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    line: CommandLine,
    folders: Folders,
    runtime_folder: Option<PathBuf>,
    /// The names of the entries of the configuration file.
    entries: Vec<String>,
    /// The server that the line is about; `None` if the settings are invalid.
    server: Option<ServerAddress>,
}

impl Sources {
    /// Reads the settings of the line, and nothing else yet.
    pub(super) fn new(
        line: CommandLine,
        folders: Folders,
        runtime_folder: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<&Path>,
    ) -> Self {
        let file = folders.config().ok().map(|config| config.join("config.toml"));
        let server = line.flag("--server").map(str::parse).transpose();
        let config = server.ok().and_then(|server| {
            let flags = SettingsArgs { server, ..SettingsArgs::default() };
            Config::new(flags, variable, file.as_deref(), home).ok()
        });
        let entries = config.as_ref().map(|config| config.servers.names().map(str::to_owned));
        let entries = entries.into_iter().flatten().collect();
        let server = config.map(|config| config.client.server);
        Self { line, folders, runtime_folder, entries, server }
    }

    /// The names of a source; `typed` is the unfinished word, which says which folder is meant.
    pub(super) fn names(&self, source: Source, typed: &str) -> Vec<String> {
        let names: BTreeSet<String> = match source {
            Source::Servers => self.servers(),
            Source::ServerPaths => self.server_paths(typed, true),
            Source::ServerFolders => self.server_paths(typed, false),
            Source::Clients => self.clients(),
            Source::FirstClient if self.line.arguments().last() == Some("tell") => self.clients(),
            Source::FirstClient => BTreeSet::new(),
            Source::Contacts => self.contacts(),
            Source::IncomingOffers => self.incoming_offers(),
            Source::OutgoingOffers => self.outgoing_offers(),
            Source::RunningTransfers => self.running_transfers(),
            Source::Resumable => &self.running_transfers() | &self.unfinished_transfers(),
            Source::Commands => self.commands(),
        };
        names.into_iter().collect()
    }

    /// Entries of the configuration file, and servers whose fingerprint was confirmed.
    fn servers(&self) -> BTreeSet<String> {
        let known = self.folders.known_servers().ok().and_then(|known| known.list().ok());
        let known = known.into_iter().flatten().map(|server| server.address.to_string());
        self.entries.iter().cloned().chain(known).collect()
    }

    /// What was seen in the folder that the typed path names, each name after the path as it was typed.
    fn server_paths(&self, typed: &str, with_files: bool) -> BTreeSet<String> {
        let Some(server) = &self.server else { return BTreeSet::new() };
        let seen = SeenNames::from_folders(&self.folders).read(server);
        let start = typed.rfind('/').map_or(0, |slash| slash + 1);
        let parts = typed[..start].split('/').filter(|part| !matches!(*part, "" | "."));
        let folder = parts.collect::<Vec<_>>().join("/");
        let names = seen.names_in(&folder).filter(|(_, is_folder)| with_files || *is_folder);
        let path = |(name, is_folder): (&str, bool)| {
            format!("{}{name}{}", &typed[..start], if is_folder { "/" } else { "" })
        };
        names.map(path).collect()
    }

    /// Clients that were connected when they were last listed, and contacts.
    fn clients(&self) -> BTreeSet<String> {
        let seen = self
            .server
            .as_ref()
            .map(|server| SeenNames::from_folders(&self.folders).read(server).clients().to_vec());
        seen.into_iter().flatten().chain(self.contacts()).collect()
    }

    /// The contacts on the server; on all of them if its key is not known.
    fn contacts(&self) -> BTreeSet<String> {
        let known = self.server.as_ref().and_then(|server| {
            self.folders.known_servers().ok()?.look_up(server).ok()?.map(|known| known.fingerprint)
        });
        let contacts = self.peer_store().and_then(|store| store.contacts(known).ok());
        contacts.into_iter().flatten().map(|contact| contact.name.to_string()).collect()
    }

    fn incoming_offers(&self) -> BTreeSet<String> {
        let offers = self.peer_store().and_then(|store| store.incoming_offers(now()).ok());
        let open = offers.into_iter().flatten().filter(|offer| !offer.state.is_settled());
        open.map(|offer| offer.number.to_string()).collect()
    }

    fn outgoing_offers(&self) -> BTreeSet<String> {
        let offers = self.peer_store().and_then(|store| store.outgoing_offers(now()).ok());
        let open = offers.into_iter().flatten().filter(|offer| !offer.state.is_settled());
        open.map(|offer| offer.number.to_string()).collect()
    }

    /// The records of other clients, unless there are none: opening them would make them.
    fn peer_store(&self) -> Option<PeerStore> {
        let state = self.folders.state().ok()?;
        state.join("peers.db").exists().then(|| PeerStore::open(state).ok())?
    }

    /// The numbers of the transfers of all programs of this user.
    fn running_transfers(&self) -> BTreeSet<String> {
        let Some(folder) = self.runtime_folder.as_deref() else { return BTreeSet::new() };
        let runtime = Builder::new_current_thread().enable_all().build();
        let list = runtime.ok().and_then(|runtime| {
            runtime
                .block_on(async { timeout(PROCESS_TIMEOUT, ProcessList::read(folder)).await.ok() })
        });
        let transfers = list.and_then(Result::ok).unwrap_or_default().transfers;
        let number = |number: u64| number.to_string();
        transfers.into_iter().filter_map(|transfer| transfer.number.map(number)).collect()
    }

    /// The paths of unfinished transfers: a download's on the server, an upload's on this machine.
    fn unfinished_transfers(&self) -> BTreeSet<String> {
        let (entries, _) = Journal::from_folders(&self.folders).read().unwrap_or_default();
        let path = |entry: &quiver_client::journal::JournalEntry| match &entry.subject {
            TransferSubject::File(file) if entry.direction == Direction::Get => {
                Some(file.path.to_string())
            }
            TransferSubject::File(file) => file.local.to_str().map(str::to_owned),
            TransferSubject::Tree(tree) => tree.folder.to_str().map(str::to_owned),
        };
        entries.iter().filter_map(path).collect()
    }

    /// The commands that have a man page of their own, below those that are complete in the line.
    fn commands(&self) -> BTreeSet<String> {
        let mut command = manual::command();
        for word in self.line.arguments().skip_while(|word| *word != "man").skip(1) {
            let Some(own) = command.find_subcommand(word) else { return BTreeSet::new() };
            command = own.clone();
        }
        command.get_subcommands().map(|own| own.get_name().to_owned()).collect()
    }
}

fn now() -> Timestamp {
    Timestamp(Utc::now())
}
