//! What all parts of the page share: the model, the present client, secrets, and the owner of tasks. Decides nothing.

use std::panic::resume_unwind;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::{Mutex, MutexGuard};
use quiver_client::error::InvalidRequest;
use quiver_client::folders::Folders;
use quiver_client::{Client, ClientSettings, InterfaceGuard};
use quiver_control::{Failure, ProcessRequests};
use quiver_protocol::Timestamp;
use quiver_transport::Endpoint;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

use crate::conversations::ConversationScope;
use crate::files::PageFiles;
use crate::guards::Guards;
use crate::history::History;
use crate::model::{Model, PageFeed};
use crate::saved_state::SavedState;
use crate::secrets::SecretStore;
use crate::spool::Spool;
use crate::transfer_records::TransferRecords;

/// How long questions stay open without a page, so that a reload does not answer them.
const QUESTION_GRACE: Duration = Duration::from_secs(30);

/// Files that browsers hand over at once. Further ones wait.
const MAX_SPOOL_UPLOADS: usize = 8;

/// Previews that are loaded at once. Further ones wait.
const MAX_PREVIEWS: usize = 4;

/// What all parts of the page share.
#[derive(Debug)]
pub(crate) struct PageContext {
    /// Settings of clients, as far as no page gives them.
    pub(crate) defaults: ClientSettings,
    pub(crate) folders: Folders,
    /// The home folder of the user. Pages name no files outside.
    pub(crate) home: PathBuf,
    /// Where connections and transfers run.
    pub(crate) client_runtime: Handle,
    pub(crate) guards: Guards,
    pub(crate) files: PageFiles,
    pub(crate) secrets: SecretStore,
    /// The folder with the files that redirect a browser.
    pub(crate) runtime_folder: PathBuf,
    pub(crate) records: Mutex<TransferRecords>,
    pub(crate) history: History,
    pub(crate) spool: Arc<Spool>,
    /// One for each file that is received at once.
    pub(crate) spool_permits: Semaphore,
    /// One for each preview that is loaded at once.
    pub(crate) preview_permits: Semaphore,
    model: Mutex<Model>,
    saved: tokio::sync::Mutex<SavedState>,
    active: Mutex<Option<Arc<ActiveClient>>>,
    /// Reaches other processes while a page is open.
    processes: Mutex<ProcessRequests>,
    /// Whether a page is open.
    has_pages: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the context is made of.
#[derive(Debug)]
pub(crate) struct ContextParts {
    pub(crate) defaults: ClientSettings,
    pub(crate) folders: Folders,
    pub(crate) home: PathBuf,
    pub(crate) client_runtime: Handle,
    pub(crate) runtime_folder: PathBuf,
    pub(crate) port: u16,
    pub(crate) model: Model,
    pub(crate) saved: SavedState,
    /// Bytes of the content that browsers hand over.
    pub(crate) spool_limit: u64,
}

/// The client that is signed in, or signs in.
#[derive(Debug)]
pub(crate) struct ActiveClient {
    pub(crate) client: Client,
    pub(crate) endpoint: Endpoint,
    /// The server's address, for display.
    pub(crate) server: String,
    interface: Mutex<Option<InterfaceGuard>>,
    changed: Notify,
    has_ended: watch::Sender<bool>,
}

impl PageContext {
    pub(crate) fn new(parts: ContextParts) -> Self {
        let ContextParts { defaults, folders, home, client_runtime, runtime_folder, .. } = parts;
        Self {
            defaults,
            history: History::new(folders.clone()),
            spool: Arc::new(Spool::new(&folders, parts.spool_limit)),
            folders,
            home,
            client_runtime,
            guards: Guards::new(parts.port),
            files: PageFiles::new(),
            secrets: SecretStore::default(),
            runtime_folder,
            records: Mutex::default(),
            spool_permits: Semaphore::new(MAX_SPOOL_UPLOADS),
            preview_permits: Semaphore::new(MAX_PREVIEWS),
            model: Mutex::new(parts.model),
            saved: tokio::sync::Mutex::new(parts.saved),
            active: Mutex::default(),
            processes: Mutex::default(),
            has_pages: watch::Sender::new(false),
            tasks: Mutex::default(),
        }
    }

    /// The model, locked.
    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock()
    }

    /// Runs work on the page's runtime, which owns it.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        while let Some(done) = tasks.try_join_next() {
            propagate_panic(done);
        }
        tasks.spawn(work);
    }

    /// Aborts all work of [`spawn`](Self::spawn).
    pub(crate) async fn abort_tasks(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        tasks.shutdown().await;
    }

    /// Runs work on the client's runtime. It is aborted if the returned future is dropped.
    ///
    /// # Errors
    /// The client's runtime shuts down.
    pub(crate) async fn on_client<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut task = JoinSet::new();
        task.spawn_on(work, &self.client_runtime);
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) | None => Err(Failure::interrupted()),
        }
    }

    /// Sets the present client.
    ///
    /// # Errors
    /// There is one.
    pub(crate) fn set_active(&self, active: &Arc<ActiveClient>) -> Result<(), Failure> {
        let mut present = self.active.lock();
        if present.is_some() {
            return Err(Failure::invalid("this process has signed in, or is signing in"));
        }
        *present = Some(active.clone());
        Ok(())
    }

    /// Removes this client, if it is the present one.
    pub(crate) fn remove_active(&self, active: &Arc<ActiveClient>) -> bool {
        let mut present = self.active.lock();
        let is_present = present.as_ref().is_some_and(|present| Arc::ptr_eq(present, active));
        if is_present {
            *present = None;
        }
        is_present
    }

    /// The present client.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn active(&self) -> Result<Arc<ActiveClient>, Failure> {
        self.active.lock().clone().ok_or_else(|| InvalidRequest::NotConnected.into())
    }

    /// Adds a page. The client's questions wait for its answers.
    pub(crate) fn add_page(&self) -> PageFeed {
        if let Ok(active) = self.active() {
            active.register_interface();
        }
        let mut model = self.model();
        let feed = model.subscribe();
        self.has_pages.send_replace(true);
        feed
    }

    /// Notices that a page has left. Without another one, questions get no answer after a while.
    pub(crate) fn remove_page(self: &Arc<Self>) {
        {
            let mut model = self.model();
            if model.page_count() > 0 {
                return;
            }
            // Within the lock, so that a page that is added meanwhile is not overlooked.
            self.has_pages.send_replace(false);
        }
        let Ok(active) = self.active() else { return };
        let context = self.clone();
        self.spawn(async move {
            tokio::select! {
                () = sleep(QUESTION_GRACE) => {}
                () = active.ended() => return,
            }
            if context.model().page_count() == 0 {
                active.interface.lock().take();
            }
        });
    }

    /// Tells whether a page is open.
    pub(crate) fn pages(&self) -> watch::Receiver<bool> {
        self.has_pages.subscribe()
    }

    /// Reaches other processes, while a page is open.
    pub(crate) fn processes(&self) -> ProcessRequests {
        self.processes.lock().clone()
    }

    /// Sets how other processes are reached.
    pub(crate) fn set_processes(&self, processes: ProcessRequests) {
        *self.processes.lock() = processes;
    }

    /// Changes the saved state, and writes its file.
    ///
    /// # Errors
    /// The file cannot be written. The change holds for this run.
    pub(crate) async fn save(&self, change: impl FnOnce(&mut SavedState)) -> Result<(), Failure> {
        let mut saved = self.saved.lock().await;
        change(&mut saved);
        let (copy, folder) = (saved.clone(), self.folders.state().map(Path::to_owned));
        let folder = folder.map_err(|error| Failure::new("local_disk", error.to_string()))?;
        let path = folder.join(crate::saved_state::FILE_NAME);
        let written = quiver_transfer::blocking::run_io(move || copy.write(&path)).await;
        // Locked until then, so that an older state does not replace a newer one.
        drop(saved);
        written.map_err(|error| Failure::new("local_disk", format!("cannot save: {error}")))
    }

    /// Whether there is a place where conversations can be kept.
    pub(crate) fn can_keep(&self) -> bool {
        self.folders.state().is_ok()
    }

    /// The server and name of the conversations, if they are kept.
    pub(crate) fn kept_scope(&self) -> Option<ConversationScope> {
        let mut model = self.model();
        let is_kept = model.settings().history && self.can_keep();
        model.conversations().scope().filter(|_| is_kept).cloned()
    }

    /// Loads the kept conversations of a client that has signed in. `are_current` if they may be shown already.
    pub(crate) async fn load_conversations(
        &self,
        active: &ActiveClient,
        are_current: bool,
    ) -> Result<(), Failure> {
        let (server, own_name) =
            (active.client.server_key()?, active.client.welcome()?.name.clone());
        let scope = ConversationScope { server, own_name };
        let is_shown = || are_current && self.model().conversations().scope() == Some(&scope);
        if is_shown() {
            return Ok(());
        }
        let kept = match self.can_keep() {
            true => self.history.conversations(scope.clone()).await,
            false => Ok(Vec::new()),
        };
        let (kept, failure) = match kept {
            Ok(kept) => (kept, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        // They may have been loaded meanwhile.
        if !is_shown() {
            self.model().load_conversations(scope, kept);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Prepares for conversations that are kept from now on: their numbers follow those of this run.
    pub(crate) async fn start_keeping(&self) -> Result<(), Failure> {
        let (scope, numbers) = {
            let mut model = self.model();
            let conversations = model.conversations();
            (conversations.scope().cloned(), conversations.with_unkept())
        };
        match scope.filter(|_| self.can_keep() && !numbers.is_empty()) {
            Some(scope) => self.history.skip_numbers(scope, numbers, Timestamp(Utc::now())).await,
            None => Ok(()),
        }
    }

    /// The servers of earlier sign-ins.
    pub(crate) async fn recent(&self) -> Vec<crate::views::RecentServer> {
        self.saved.lock().await.recent.clone()
    }

    /// A path of this computer that a page has named.
    ///
    /// # Errors
    /// It is not absolute, or not below the home folder.
    pub(crate) fn local_path(&self, text: &str) -> Result<PathBuf, Failure> {
        let path = PathBuf::from(text);
        let is_plain = path.components().all(|part| !matches!(part, Component::ParentDir));
        if is_plain && path.is_absolute() && path.starts_with(&self.home) {
            Ok(path)
        } else {
            Err(Failure::invalid(format!("{text} is not below your home folder")))
        }
    }
}

impl ActiveClient {
    pub(crate) fn new(client: Client, endpoint: Endpoint, server: String) -> Self {
        let active = Self {
            client,
            endpoint,
            server,
            interface: Mutex::default(),
            changed: Notify::new(),
            has_ended: watch::Sender::new(false),
        };
        active.register_interface();
        active
    }

    fn register_interface(&self) {
        let mut interface = self.interface.lock();
        if interface.is_none() {
            *interface = Some(self.client.questions().register_interface());
        }
    }

    /// Reports that a request has changed something that the client has no event for.
    pub(crate) fn notify_changed(&self) {
        self.changed.notify_one();
    }

    /// Waits for [`notify_changed`](Self::notify_changed).
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Marks the client as ended. Questions get no answer any more.
    pub(crate) fn end(&self) {
        self.has_ended.send_replace(true);
        self.interface.lock().take();
    }

    /// Whether the client has ended.
    pub(crate) fn has_ended(&self) -> bool {
        *self.has_ended.borrow()
    }

    /// Waits until the client has ended.
    pub(crate) async fn ended(&self) {
        // Fails only if the sender is gone, which `self` holds.
        let _ = self.has_ended.subscribe().wait_for(|ended| *ended).await;
    }
}

fn propagate_panic(done: Result<(), JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        resume_unwind(error.into_panic());
    }
}
