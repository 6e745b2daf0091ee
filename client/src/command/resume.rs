//! `resume`: goes on with what is unfinished, one server after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::ClientName;
use quiver_protocol::text::display_safe;
use quiver_transport::Endpoint;

use super::get::Order;
use super::tally::together;
use super::transfers;
use crate::action;
use crate::address::ServerAddress;
use crate::cli;
use crate::config::{Config, Folders};
use crate::connection::{Connector, Link};
use crate::failure::{Exit, Failure};
use crate::journal::{Direction, Entry, Journal, Unfinished};
use crate::output::{Output, human};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// Settings that were given for this run; they beat what a transfer was begun with.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Where the server is now.
    pub server: Option<ServerAddress>,
    /// Whom to trust.
    pub certificate: Option<PathBuf>,
    /// Who to be.
    pub name: Option<ClientName>,
}

/// Goes on with transfers.
#[derive(Debug)]
pub struct Resume<'a> {
    /// What holds for every server.
    pub config: &'a Config,
    /// Settings for this run.
    pub given: &'a Given,
    /// This program's folders.
    pub folders: &'a Folders,
    /// The socket.
    pub endpoint: &'a Endpoint,
    /// Where all is said.
    pub output: &'a Output,
    /// What this run has begun and not done.
    pub unfinished: &'a Unfinished,
}

/// Transfers with one server, as one client.
struct Group {
    config: Config,
    entries: Vec<Entry>,
}

/// What became of all of them.
#[derive(Default)]
struct Tally {
    asked: usize,
    failed: usize,
    exits: Vec<Exit>,
    last: Option<Failure>,
}

impl Resume<'_> {
    /// Goes on with one transfer, or with all.
    ///
    /// # Errors
    /// [`Failure`]; [`Failure::Several`] where some of several failed.
    pub async fn run(&self, arguments: &cli::Resume) -> Result<(), Failure> {
        let journal = Journal::of(self.folders);
        let mut entries = transfers::read(&journal, self.output).await?;
        if let Some(typed) = &arguments.path {
            entries.retain(|entry| is_meant(entry, typed));
            if entries.is_empty() {
                let typed = typed.to_string_lossy();
                let what = format!("nothing unfinished is called {}", display_safe(&typed));
                return Err(Failure::usage(what, "quiver transfers lists what is"));
            }
        }
        if entries.is_empty() {
            self.output.say("nothing is unfinished").await;
            return Ok(());
        }
        let mut tally = Tally { asked: entries.len(), ..Tally::default() };
        let mut groups: Vec<Group> = Vec::new();
        for entry in entries {
            let path = display_safe(entry.path.as_str()).into_owned();
            if entry.direction == Direction::Put {
                let what = format!("{path} is on its way to the server");
                let failure = Failure::usage(what, "the same quiver put goes on with it");
                tally.failed(self.output, failure).await;
                continue;
            }
            let (entry, here) = transfers::look(entry).await;
            if here.is_running {
                tally.asked -= 1;
                self.output.say(format!("{path} is under way")).await;
                continue;
            }
            let config = self.config(&entry);
            match groups.iter_mut().find(|group| group.config == config) {
                Some(group) => group.entries.push(entry),
                None => groups.push(Group { config, entries: vec![entry] }),
            }
        }
        for group in groups {
            self.group(group, arguments, &mut tally).await;
        }
        tally.result()
    }

    /// How to reach a transfer's server.
    fn config(&self, entry: &Entry) -> Config {
        let given = self.given;
        let certificate = given.certificate.clone().or_else(|| entry.certificate.clone());
        Config {
            server: given.server.clone().unwrap_or_else(|| entry.server.clone()),
            certificate,
            name: Some(given.name.clone().unwrap_or_else(|| entry.name.clone())),
            ..self.config.clone()
        }
    }

    async fn group(&self, group: Group, arguments: &cli::Resume, tally: &mut Tally) {
        let count = group.entries.len();
        let (link, mut entries) = match self.connect(&group.config).await {
            Ok(link) => (link, group.entries),
            Err(failure) => return tally.failed_all(self.output, failure, count).await,
        };
        let server = link.origin().fingerprint;
        let strangers = entries.extract_if(.., |entry| entry.fingerprint != server);
        for stranger in strangers.collect::<Vec<_>>() {
            let path = display_safe(stranger.path.as_str()).into_owned();
            let what = format!("{path} is a file of another server than {}", group.config.server);
            let hint = "--server says where that one is; quiver transfers --clean forgets it";
            tally.failed(self.output, Failure::usage(what, hint)).await;
        }
        let (order, failed) = Order::of_entries(&entries, arguments);
        for failure in failed {
            tally.failed(self.output, failure).await;
        }
        let asked = order.asked();
        if asked > 0 {
            let receipt = Arc::new(human::received);
            match order.fetch(&link, self.output.clone(), receipt).await {
                Ok(()) => {}
                // Each was reported.
                Err(Failure::Several { failed, exit, .. }) => tally.count(failed, exit),
                Err(failure) => tally.failed(self.output, failure).await,
            }
        }
        // A failing goodbye fails nothing else.
        let _ = action::goodbye(&link.line().connection, GOODBYE).await;
    }

    async fn connect(&self, config: &Config) -> Result<Link, Failure> {
        let (endpoint, output) = (self.endpoint.clone(), self.output.clone());
        let mut connector = Connector::new(config, Some(self.folders), endpoint, output)?;
        connector.share(self.unfinished.clone());
        let session = connector.connect().await?;
        Ok(Link::new(connector, &session))
    }
}

impl Tally {
    async fn failed(&mut self, output: &Output, failure: Failure) {
        self.failed_all(output, failure, 1).await;
    }

    /// One failure of several transfers. Of one alone it is the result.
    async fn failed_all(&mut self, output: &Output, failure: Failure, count: usize) {
        if self.asked > 1 {
            output.failure(&failure).await;
        }
        self.count(count, failure.exit());
        self.last = Some(failure);
    }

    fn count(&mut self, failed: usize, exit: Exit) {
        self.failed += failed;
        self.exits.push(exit);
    }

    fn result(self) -> Result<(), Failure> {
        if self.exits.is_empty() {
            return Ok(());
        }
        let (failed, asked) = (self.failed, self.asked);
        match self.last {
            Some(failure) if asked == 1 => Err(failure),
            _ => {
                let exit = together(&self.exits, failed == asked);
                Err(Failure::Several { what: "files did not arrive", failed, asked, exit })
            }
        }
    }
}

/// Whether what was typed names a transfer: its path on the server, or its file here.
fn is_meant(entry: &Entry, typed: &Path) -> bool {
    let here = || std::path::absolute(typed).is_ok_and(|path| path == entry.local);
    typed.to_str() == Some(entry.path.as_str()) || here()
}
