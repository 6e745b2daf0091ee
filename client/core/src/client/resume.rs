//! Resuming what is unfinished, one server after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::ClientName;
use quiver_transfer::blocking;

use super::{Client, GOODBYE};
use crate::address::ServerAddress;
use crate::connection::Connector;
use crate::download::Download;
use crate::error::{ClientError, ErrorCode, InvalidRequest};
use crate::exchange;
use crate::journal::{Direction, Journal, JournalEntry, ServerRef, TransferSubject};
use crate::notice::Notice;
use crate::outcomes::Outcomes;
use crate::reconnecting::ReconnectingSession;
use crate::reporter::Reporter;
use crate::request::ResumeRequest;
use crate::settings::ClientSettings;
use crate::unfinished;
use crate::upload::Upload;

/// Settings that were given for this run; they beat what a transfer was begun with.
#[derive(Debug, Clone, Default)]
pub struct ResumeOverrides {
    /// Where the server is now.
    pub server: Option<ServerAddress>,
    /// Whom to trust.
    pub certificate: Option<PathBuf>,
    /// Who to be.
    pub name: Option<ClientName>,
}

/// Resumes transfers.
struct Resumer<'a> {
    client: &'a Client,
    overrides: &'a ResumeOverrides,
    request: &'a ResumeRequest,
    journal: Journal,
    reporter: Reporter,
}

/// Transfers with one server, as one client.
struct TransferGroup {
    settings: ClientSettings,
    entries: Vec<JournalEntry>,
}

impl Client {
    /// Resumes what is unfinished, with whichever server; `overrides` beat what each was begun with.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] where some of several failed.
    pub async fn resume_unfinished(
        &self,
        overrides: &ResumeOverrides,
        request: &ResumeRequest,
    ) -> Result<(), ClientError> {
        let (journal, reporter) = (self.journal(), self.reporter().clone());
        let (mut entries, invalid) = unfinished::read(&journal).await?;
        for entry in invalid {
            let error = InvalidRequest::JournalEntry { path: entry.path, why: entry.why };
            reporter.failed(Arc::new(error.into())).await;
        }
        if let Some(typed) = &request.path {
            entries.retain(|entry| is_meant(entry, typed));
            if entries.is_empty() {
                return Err(InvalidRequest::NoUnfinishedTransfer(typed.clone()).into());
            }
        }
        if entries.is_empty() {
            reporter.notice(Notice::NothingToResume).await;
            return Ok(());
        }
        Resumer { client: self, overrides, request, journal, reporter }.run(entries).await
    }
}

impl Resumer<'_> {
    async fn run(&self, entries: Vec<JournalEntry>) -> Result<(), ClientError> {
        let asked = entries.len();
        let mut outcomes = Outcomes::new(self.reporter.clone(), asked, "transfers are not done");
        let mut groups: Vec<TransferGroup> = Vec::new();
        for entry in entries {
            let found = unfinished::look(&self.journal, entry).await;
            if found.is_running {
                outcomes.fewer(1);
                self.reporter.notice(Notice::AlreadyRunning { transfer: found.display_name() }).await;
                continue;
            }
            let settings = self.settings(&found.entry.server);
            match groups.iter_mut().find(|group| group.settings == settings) {
                Some(group) => group.entries.push(found.entry),
                None => groups.push(TransferGroup { settings, entries: vec![found.entry] }),
            }
        }
        for group in groups {
            self.group(group, &mut outcomes).await;
        }
        outcomes.result()
    }

    /// How to reach a transfer's server.
    fn settings(&self, server: &ServerRef) -> ClientSettings {
        let given = self.overrides;
        ClientSettings {
            server: given.server.clone().unwrap_or_else(|| server.address.clone()),
            certificate: given.certificate.clone().or_else(|| server.certificate.clone()),
            name: Some(given.name.clone().unwrap_or_else(|| server.name.clone())),
            ..self.client.settings().clone()
        }
    }

    async fn group(&self, group: TransferGroup, outcomes: &mut Outcomes) {
        let count = group.entries.len();
        let session = match self.connect(&group.settings).await {
            Ok(session) => session,
            Err(error) => return outcomes.failed_all(error, count).await,
        };
        let server = session.server_ref().fingerprint;
        let (entries, others): (Vec<_>, Vec<_>) =
            group.entries.into_iter().partition(|entry| entry.server.fingerprint == server);
        for other in others {
            let kind = match &other.subject {
                TransferSubject::File(_) => "a file",
                TransferSubject::Tree(_) => "a tree",
            };
            let (path, server) = (unfinished::display_name(&other), group.settings.server.to_string());
            outcomes.failed(InvalidRequest::WrongServer { path, kind, server }.into()).await;
        }
        let (trees, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.file().is_none());
        for tree in &trees {
            if let Err(error) = self.tree(tree, &session).await {
                if error.code() == ErrorCode::NotFound {
                    // Nothing of it is there any more.
                    let (journal, id) = (self.journal.clone(), tree.id());
                    let _ = blocking::run(move || journal.remove(id)).await;
                }
                outcomes.failed(error).await;
            }
        }
        // Some were of trees, and are done.
        let files = self.still_there(files, outcomes).await;
        let (gets, puts): (Vec<_>, Vec<_>) =
            files.iter().partition(|entry| entry.direction == Direction::Get);
        let gets = gets.into_iter().filter_map(JournalEntry::file);
        let (download, failed) = Download::of_files(gets, self.request);
        for error in failed {
            outcomes.failed(error).await;
        }
        if download.asked() > 0 {
            outcomes.together(self.download(download, &session, Vec::new()).await).await;
        }
        let puts = puts.into_iter().filter_map(JournalEntry::file);
        let (upload, failed) = Upload::of_files(puts, self.request);
        for error in failed {
            outcomes.failed(error).await;
        }
        if upload.asked() > 0 {
            outcomes.together(self.upload(upload, &session, Vec::new()).await).await;
        }
        // A failing goodbye fails nothing else.
        let _ = exchange::goodbye(&session.handle().connection, GOODBYE).await;
    }

    async fn tree(
        &self,
        entry: &JournalEntry,
        session: &ReconnectingSession,
    ) -> Result<(), ClientError> {
        let TransferSubject::Tree(tree) = &entry.subject else { return Ok(()) };
        let named = tree.named.clone();
        match entry.direction {
            Direction::Get => {
                let download = Download::of_tree(tree, self.request)?;
                self.download(download, session, named).await
            }
            Direction::Put => {
                let upload = Upload::of_tree(tree, self.request)?;
                self.upload(upload, session, named).await
            }
        }
    }

    async fn download(
        &self,
        download: Download,
        session: &ReconnectingSession,
        named: Vec<String>,
    ) -> Result<(), ClientError> {
        let under_way = self.client.begin(Direction::Get, named, false, download.targets());
        let reporter = under_way.reporter.clone();
        under_way.run_among_others(download.run(session.clone(), reporter)).await
    }

    async fn upload(
        &self,
        mut upload: Upload,
        session: &ReconnectingSession,
        named: Vec<String>,
    ) -> Result<(), ClientError> {
        let under_way = self.client.begin(Direction::Put, named, false, Vec::new());
        let reporter = under_way.reporter.clone();
        let work = async {
            // What may be replaced was settled when it was begun.
            upload.settle(session, &reporter).await?;
            upload.run(session.clone(), reporter.clone()).await
        };
        under_way.run_among_others(work).await
    }

    /// Those that have not come to their end meanwhile.
    async fn still_there(
        &self,
        files: Vec<JournalEntry>,
        outcomes: &mut Outcomes,
    ) -> Vec<JournalEntry> {
        let before = files.len();
        let journal = self.journal.clone();
        let left = blocking::run(move || {
            let mut files = files;
            files.retain(|entry| journal.find(entry.id()).is_some());
            files
        });
        // Fails only where the runtime is going down.
        let left = left.await.unwrap_or_default();
        outcomes.fewer(before - left.len());
        left
    }

    async fn connect(&self, settings: &ClientSettings) -> Result<ReconnectingSession, ClientError> {
        let mut connector: Connector = self.client.connector(settings)?;
        let session = connector.connect().await?;
        Ok(ReconnectingSession::new(connector, session))
    }
}

/// Whether what was typed names a transfer: its path on the server, or its file or folder here.
fn is_meant(entry: &JournalEntry, typed: &Path) -> bool {
    let here = |path: &Path| std::path::absolute(typed).is_ok_and(|typed| typed == path);
    match &entry.subject {
        TransferSubject::File(file) => {
            typed.to_str() == Some(file.path.as_str()) || here(&file.local)
        }
        TransferSubject::Tree(tree) => {
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
