//! `resume`: goes on with what is unfinished, one server after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::ClientName;
use quiver_protocol::text::display_safe;
use quiver_transfer::blocking;
use quiver_transport::Endpoint;

use super::get::{NOBODY, Order};
use super::put::Upload;
use super::tally::together;
use super::transfers;
use crate::cli;
use crate::config::Config;
use crate::connection::{Connector, Link, Session};
use crate::failure::{Exit, Failure};
use crate::output::{Output, human};
use quiver_client::action;
use quiver_client::address::ServerAddress;
use quiver_client::folders::Folders;
use quiver_client::journal::{Direction, Entry, Journal, Origin, Unfinished, What};

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
            let (entry, here) = transfers::look(&journal, entry).await;
            if here.is_running {
                tally.asked -= 1;
                self.output.say(format!("{} is under way", transfers::shown(&entry))).await;
                continue;
            }
            let config = self.config(&entry.origin);
            match groups.iter_mut().find(|group| group.config == config) {
                Some(group) => group.entries.push(entry),
                None => groups.push(Group { config, entries: vec![entry] }),
            }
        }
        for group in groups {
            self.group(group, &journal, arguments, &mut tally).await;
        }
        tally.result()
    }

    /// How to reach a transfer's server.
    fn config(&self, origin: &Origin) -> Config {
        let given = self.given;
        let certificate = given.certificate.clone().or_else(|| origin.certificate.clone());
        Config {
            server: given.server.clone().unwrap_or_else(|| origin.server.clone()),
            certificate,
            name: Some(given.name.clone().unwrap_or_else(|| origin.name.clone())),
            ..self.config.clone()
        }
    }

    async fn group(
        &self,
        group: Group,
        journal: &Journal,
        arguments: &cli::Resume,
        tally: &mut Tally,
    ) {
        let count = group.entries.len();
        let (session, link) = match self.connect(&group.config).await {
            Ok(connected) => connected,
            Err(failure) => return tally.failed_all(self.output, failure, count).await,
        };
        let server = link.origin().fingerprint;
        let (entries, strangers): (Vec<_>, Vec<_>) =
            group.entries.into_iter().partition(|entry| entry.origin.fingerprint == server);
        for stranger in strangers {
            let (path, is) = match &stranger.what {
                What::File(_) => (transfers::shown(&stranger), "a file"),
                What::Tree(_) => (transfers::shown(&stranger), "a tree"),
            };
            let what = format!("{path} is {is} of another server than {}", group.config.server);
            let hint = "--server says where that one is; quiver transfers --clean forgets it";
            tally.failed(self.output, Failure::usage(what, hint)).await;
        }
        let (trees, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.file().is_none());
        for tree in &trees {
            if let Err(failure) = self.tree(tree, &session, &link, arguments).await {
                if failure.exit() == Exit::NotFound {
                    // Nothing of it is there any more.
                    let (journal, id) = (journal.clone(), tree.id());
                    let _ = blocking::run(move || journal.remove(id)).await;
                }
                tally.failed(self.output, failure).await;
            }
        }
        // Some were of trees, and are done.
        let files = self.still_there(journal, files, tally).await;
        let (gets, puts): (Vec<_>, Vec<_>) =
            files.iter().partition(|entry| entry.direction == Direction::Get);
        let (order, failed) = Order::of_files(gets.into_iter().filter_map(Entry::file), arguments);
        tally.failed_each(self.output, failed).await;
        if order.asked() > 0 {
            let receipt = Arc::new(human::received);
            tally
                .several(self.output, order.fetch(&link, self.output.clone(), receipt).await)
                .await;
        }
        let (upload, failed) =
            Upload::of_files(puts.into_iter().filter_map(Entry::file), arguments);
        tally.failed_each(self.output, failed).await;
        if upload.asked() > 0 {
            tally.several(self.output, self.store(upload, &session, &link).await).await;
        }
        // A failing goodbye fails nothing else.
        let _ = action::goodbye(&link.line().connection, GOODBYE).await;
    }

    async fn tree(
        &self,
        entry: &Entry,
        session: &Session,
        link: &Link,
        arguments: &cli::Resume,
    ) -> Result<(), Failure> {
        let What::Tree(tree) = &entry.what else { return Ok(()) };
        match entry.direction {
            Direction::Get => {
                let order = Order::of_tree(tree, arguments)?;
                order.fetch(link, self.output.clone(), Arc::new(human::received)).await
            }
            Direction::Put => self.store(Upload::of_tree(tree, arguments)?, session, link).await,
        }
    }

    async fn store(
        &self,
        mut upload: Upload,
        session: &Session,
        link: &Link,
    ) -> Result<(), Failure> {
        // What may be replaced was settled when it was begun.
        upload.settle(session, NOBODY).await?;
        upload.store(link, self.output.clone(), Arc::new(human::stored)).await
    }

    /// Those that have not come to their end meanwhile.
    async fn still_there(
        &self,
        journal: &Journal,
        files: Vec<Entry>,
        tally: &mut Tally,
    ) -> Vec<Entry> {
        let before = files.len();
        let journal = journal.clone();
        let left = blocking::run(move || {
            let mut files = files;
            files.retain(|entry| journal.find(entry.id()).is_some());
            files
        });
        // Fails only where the runtime is going down.
        let left = left.await.unwrap_or_default();
        tally.asked -= before - left.len();
        left
    }

    async fn connect(&self, config: &Config) -> Result<(Session, Link), Failure> {
        let (endpoint, output) = (self.endpoint.clone(), self.output.clone());
        let mut connector = Connector::new(config, self.folders, endpoint, output)?;
        connector.share(self.unfinished.clone());
        let session = connector.connect().await?;
        let link = Link::new(connector, &session);
        Ok((session, link))
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

    async fn failed_each(&mut self, output: &Output, failures: Vec<Failure>) {
        for failure in failures {
            self.failed(output, failure).await;
        }
    }

    /// What became of files that were moved together.
    async fn several(&mut self, output: &Output, result: Result<(), Failure>) {
        match result {
            Ok(()) => {}
            // Each was reported.
            Err(Failure::Several { failed, exit, .. }) => self.count(failed, exit),
            Err(failure) => self.failed(output, failure).await,
        }
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
                Err(Failure::Several { what: "transfers are not done", failed, asked, exit })
            }
        }
    }
}

/// Whether what was typed names a transfer: its path on the server, or its file or folder here.
fn is_meant(entry: &Entry, typed: &Path) -> bool {
    let here = |path: &Path| std::path::absolute(typed).is_ok_and(|typed| typed == path);
    match &entry.what {
        What::File(file) => typed.to_str() == Some(file.path.as_str()) || here(&file.local),
        What::Tree(tree) => {
            let is_named = |named: &String| {
                let from_here = tree.folder.join(named);
                let is_it = entry.direction == Direction::Put && here(&from_here);
                typed.to_str().map(without_slash) == Some(without_slash(named)) || is_it
            };
            tree.named.iter().any(is_named) || here(&tree.folder)
        }
    }
}

/// A folder as it is shown, with a slash at its end, is the same without.
fn without_slash(typed: &str) -> &str {
    typed.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(typed)
}
