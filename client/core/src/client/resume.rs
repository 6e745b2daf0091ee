//! Resumes unfinished transfers, one server after the other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quiver_protocol::ClientName;
use quiver_transfer::blocking;

use super::transfers::{PreparedTransfer, RunningTransfer, TransferGuard, Work};
use super::{Client, EXIT_TIMEOUT};
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
use crate::transfers::OtherSide;
use crate::typed_path::strict;
use crate::unfinished;
use crate::upload::Upload;

/// Settings of this run that override those of the run that started a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResumeOverrides {
    /// The server's address.
    pub server: Option<ServerAddress>,
    /// The file with the server's certificate.
    pub certificate: Option<PathBuf>,
    /// The client's name.
    pub name: Option<ClientName>,
    /// The file with the password, for all servers.
    pub password_file: Option<PathBuf>,
    /// Files with passwords, each for one server only.
    pub password_files: Vec<(ServerAddress, PathBuf)>,
}

impl ResumeOverrides {
    /// The password file for a server. The password of another server must not be sent to it.
    fn password_file_for(&self, server: &ServerAddress) -> Option<PathBuf> {
        let of_server = || {
            let found = self.password_files.iter().find(|(address, _)| address == server);
            found.map(|(_, file)| file.clone())
        };
        self.password_file.clone().or_else(of_server)
    }
}

/// Resumes transfers, given what all of them need.
struct Resumer<'a> {
    client: &'a Client,
    overrides: &'a ResumeOverrides,
    request: &'a ResumeRequest,
    journal: Journal,
    reporter: Reporter,
}

/// Transfers with the same connection settings.
struct TransferGroup {
    settings: ClientSettings,
    entries: Vec<JournalEntry>,
}

impl Client {
    /// Resumes unfinished transfers of all servers. `overrides` take precedence over the settings that each transfer
    /// was started with.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::SomeFailed`] if some of several transfers failed.
    pub async fn resume_unfinished(
        &self,
        overrides: &ResumeOverrides,
        request: &ResumeRequest,
    ) -> Result<(), ClientError> {
        let (journal, reporter) = (self.journal(), self.reporter().clone());
        let (mut entries, invalid) = unfinished::read(&journal).await?;
        for entry in invalid {
            let error = InvalidRequest::JournalEntry { path: entry.path, why: entry.why };
            reporter.report_failure(Arc::new(error.into())).await;
        }
        if let Some(typed) = &request.path {
            entries.retain(|entry| matches_path(entry, typed));
            if entries.is_empty() {
                return Err(InvalidRequest::NoUnfinishedTransfer(typed.clone()).into());
            }
        }
        if entries.is_empty() {
            reporter.notify(Notice::NothingToResume).await;
            return Ok(());
        }
        Resumer { client: self, overrides, request, journal, reporter }.run(entries).await
    }

    /// Resumes one unfinished transfer with the server that this client is connected to. `id` is that of its entry in the
    /// journal; the path of `request` is ignored.
    ///
    /// # Errors
    /// [`ClientError`]: [`InvalidRequest::WrongServer`] if it is of another server, and others if it has finished or is
    /// running.
    pub async fn resume_entry(
        &self,
        id: u64,
        request: &ResumeRequest,
    ) -> Result<RunningTransfer, ClientError> {
        let (journal, session) = (self.journal(), self.session()?);
        let copy = journal.clone();
        let found = blocking::run(move || copy.find(id)).await;
        let entry = found.ok().flatten().ok_or(InvalidRequest::UnknownTransfer(id))?;
        let path = match &entry.subject {
            TransferSubject::File(file) => file.local.clone(),
            TransferSubject::Tree(tree) => tree.folder.clone(),
        };
        if session.server_ref().fingerprint != entry.server.fingerprint {
            return Err(wrong_server(&entry, session.server_ref().address.to_string()).into());
        }
        if unfinished::inspect(&journal, entry.clone()).await.is_running {
            return Err(InvalidRequest::AlreadyRunning(path).into());
        }
        let request = request.clone();
        // Looks at local files.
        let prepared = blocking::run(move || PreparedTransfer::of_entry(&entry, &request)).await;
        let mut prepared = prepared.map_err(|_| ClientError::Interrupted)??;
        self.check_with_server(&mut prepared).await?;
        self.start(prepared)
    }
}

impl PreparedTransfer {
    /// The rest of an unfinished transfer. Blocks.
    fn of_entry(entry: &JournalEntry, request: &ResumeRequest) -> Result<Self, ClientError> {
        let (named, work) = match (&entry.subject, entry.direction) {
            (TransferSubject::File(file), direction) => {
                let (work, mut failed) = if direction == Direction::Get {
                    let (download, failed) = Download::resume_files(std::iter::once(file), request);
                    (Work::Download(download), failed)
                } else {
                    let (upload, failed) = Upload::resume_files(std::iter::once(file), request);
                    (Work::Upload(upload), failed)
                };
                if let Some(error) = failed.pop() {
                    return Err(error);
                }
                (vec![file.path.to_string()], work)
            }
            (TransferSubject::Tree(tree), Direction::Get) => {
                (tree.named.clone(), Work::Download(Download::resume_tree(tree, request)?))
            }
            (TransferSubject::Tree(tree), Direction::Put) => {
                (tree.named.clone(), Work::Upload(Upload::resume_tree(tree, request)?))
            }
        };
        Ok(Self::with_server(work, named))
    }
}

impl Resumer<'_> {
    async fn run(&self, entries: Vec<JournalEntry>) -> Result<(), ClientError> {
        let total = entries.len();
        let mut outcomes = Outcomes::new(self.reporter.clone(), total, "transfers did not finish");
        let mut groups: Vec<TransferGroup> = Vec::new();
        for entry in entries {
            let found = unfinished::inspect(&self.journal, entry).await;
            if found.is_running {
                outcomes.remove_items(1);
                self.reporter
                    .notify(Notice::AlreadyRunning { transfer: found.display_name() })
                    .await;
                continue;
            }
            let settings = self.settings(&found.entry.server);
            match groups.iter_mut().find(|group| group.settings == settings) {
                Some(group) => group.entries.push(found.entry),
                None => groups.push(TransferGroup { settings, entries: vec![found.entry] }),
            }
        }
        for group in groups {
            self.resume_group(group, &mut outcomes).await;
        }
        outcomes.result()
    }

    /// The connection settings of a transfer.
    fn settings(&self, server: &ServerRef) -> ClientSettings {
        let overrides = self.overrides;
        let address = overrides.server.as_ref().unwrap_or(&server.address);
        ClientSettings {
            password_file: overrides.password_file_for(address),
            server: address.clone(),
            certificate: overrides.certificate.clone().or_else(|| server.certificate.clone()),
            name: Some(overrides.name.clone().unwrap_or_else(|| server.name.clone())),
            ..self.client.settings().clone()
        }
    }

    async fn resume_group(&self, group: TransferGroup, outcomes: &mut Outcomes) {
        let count = group.entries.len();
        let session = match self.connect(&group.settings).await {
            Ok(session) => session,
            Err(error) => return outcomes.add_failures(error, count).await,
        };
        let server = session.server_ref().fingerprint;
        let (entries, others): (Vec<_>, Vec<_>) =
            group.entries.into_iter().partition(|entry| entry.server.fingerprint == server);
        for other in others {
            let server = group.settings.server.to_string();
            outcomes.add_failure(wrong_server(&other, server).into()).await;
        }
        let (trees, files): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.file().is_none());
        for tree in &trees {
            if let Err(error) = self.resume_tree(tree, &session).await {
                if error.code_of_items() == ErrorCode::NotFound {
                    // None of its files exists any more.
                    let (journal, id) = (self.journal.clone(), tree.id());
                    let _ = blocking::run(move || journal.remove(id)).await;
                }
                outcomes.add_failure(error).await;
            }
        }
        // Some files belonged to trees, and are finished now.
        let files = self.retain_unfinished(files, outcomes).await;
        let (gets, puts): (Vec<_>, Vec<_>) =
            files.iter().partition(|entry| entry.direction == Direction::Get);
        let named = names(&gets);
        let gets = gets.into_iter().filter_map(JournalEntry::file);
        let (download, failed) = Download::resume_files(gets, self.request);
        for error in failed {
            outcomes.add_failure(error).await;
        }
        if download.file_count() > 0 {
            outcomes.add_group(self.download(download, &session, named).await).await;
        }
        let named = names(&puts);
        let puts = puts.into_iter().filter_map(JournalEntry::file);
        let (upload, failed) = Upload::resume_files(puts, self.request);
        for error in failed {
            outcomes.add_failure(error).await;
        }
        if upload.file_count() > 0 {
            outcomes.add_group(self.upload(upload, &session, named).await).await;
        }
        // The client leaves in any case.
        let _ = exchange::exit(&session.handle().connection, EXIT_TIMEOUT).await;
    }

    async fn resume_tree(
        &self,
        entry: &JournalEntry,
        session: &ReconnectingSession,
    ) -> Result<(), ClientError> {
        let TransferSubject::Tree(tree) = &entry.subject else { return Ok(()) };
        let named = tree.named.clone();
        match entry.direction {
            Direction::Get => {
                let download = Download::resume_tree(tree, self.request)?;
                self.download(download, session, named).await
            }
            Direction::Put => {
                let upload = Upload::resume_tree(tree, self.request)?;
                self.upload(upload, session, named).await
            }
        }
    }

    async fn download(
        &self,
        mut download: Download,
        session: &ReconnectingSession,
        named: Vec<String>,
    ) -> Result<(), ClientError> {
        let guard = self.register(Direction::Get, session, named, download.targets());
        let reporter = guard.reporter.clone();
        let work = async {
            download.check_with_server(session, &reporter).await?;
            download.run(session.clone(), reporter.clone()).await
        };
        // Boxed: this large future would nest too deeply in those of interfaces.
        guard.run_in_group(Box::pin(work)).await
    }

    fn register(
        &self,
        direction: Direction,
        session: &ReconnectingSession,
        named: Vec<String>,
        targets: Vec<PathBuf>,
    ) -> TransferGuard {
        let server = OtherSide::Server(session.server_ref().address.clone());
        self.client.register_transfer(direction, server, named, false, targets)
    }

    async fn upload(
        &self,
        mut upload: Upload,
        session: &ReconnectingSession,
        named: Vec<String>,
    ) -> Result<(), ClientError> {
        let guard = self.register(Direction::Put, session, named, Vec::new());
        let reporter = guard.reporter.clone();
        let work = async {
            // The first run has settled which files may be replaced.
            upload.check_with_server(session, &reporter).await?;
            upload.run(session.clone(), reporter.clone()).await
        };
        // Boxed: this large future would nest too deeply in those of interfaces.
        guard.run_in_group(Box::pin(work)).await
    }

    /// Drops the files that have finished in the meantime.
    async fn retain_unfinished(
        &self,
        files: Vec<JournalEntry>,
        outcomes: &mut Outcomes,
    ) -> Vec<JournalEntry> {
        let count = files.len();
        let journal = self.journal.clone();
        let unfinished = blocking::run(move || {
            let mut files = files;
            files.retain(|entry| journal.find(entry.id()).is_some());
            files
        });
        // Fails only while the runtime shuts down.
        let unfinished = unfinished.await.unwrap_or_default();
        outcomes.remove_items(count - unfinished.len());
        unfinished
    }

    async fn connect(&self, settings: &ClientSettings) -> Result<ReconnectingSession, ClientError> {
        let mut connector: Connector = self.client.connector(settings)?;
        let session = connector.connect().await?;
        let session = ReconnectingSession::new(connector, session);
        self.client.watch_silence(session.clone());
        Ok(session)
    }
}

/// The failure for a transfer of another server than this one.
fn wrong_server(entry: &JournalEntry, server: String) -> InvalidRequest {
    let kind = match &entry.subject {
        TransferSubject::File(_) => "a file",
        TransferSubject::Tree(_) => "a tree",
    };
    InvalidRequest::WrongServer { path: unfinished::display_name(entry), kind, server }
}

/// The paths on the server of files that are resumed together.
fn names(entries: &[&JournalEntry]) -> Vec<String> {
    entries.iter().filter_map(|entry| entry.file()).map(|file| file.path.to_string()).collect()
}

/// Whether a typed path names a transfer: by its path on the server, or by its local file or folder.
fn matches_path(entry: &JournalEntry, typed: &Path) -> bool {
    let is_local = |path: &Path| std::path::absolute(typed).is_ok_and(|typed| typed == path);
    match &entry.subject {
        TransferSubject::File(file) => {
            typed.to_str().is_some_and(|typed| strict(typed) == file.path.as_str())
                || is_local(&file.local)
        }
        TransferSubject::Tree(tree) => {
            let is_named = |named: &String| match entry.direction {
                Direction::Get => typed.to_str().map(strict) == Some(strict(named)),
                Direction::Put => typed == Path::new(named) || is_local(&tree.folder.join(named)),
            };
            tree.named.iter().any(is_named) || is_local(&tree.folder)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_file_of_one_server_is_not_used_for_another() {
        let [work, other]: [ServerAddress; 2] = ["work", "other"].map(|host| host.parse().unwrap());
        let password_files = vec![(work.clone(), PathBuf::from("work"))];
        let mut overrides = ResumeOverrides { password_files, ..ResumeOverrides::default() };
        assert_eq!(overrides.password_file_for(&work), Some("work".into()));
        assert_eq!(overrides.password_file_for(&other), None);
        overrides.password_file = Some("flag".into());
        assert_eq!(overrides.password_file_for(&other), Some("flag".into()));
    }
}
