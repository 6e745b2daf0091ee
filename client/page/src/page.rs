//! The page as its caller sees it: it starts with a link, and stops.

use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use data_encoding::HEXLOWER;
use quiver_client::ClientSettings;
use quiver_client::folders::Folders;
use quiver_client::journal::UnfinishedShare;
use quiver_protocol::Secret;
use quiver_transport::random::random_bytes;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::browser;
use crate::context::{ContextParts, PageContext};
use crate::instance::InstanceLock;
use crate::loopback::LoopbackSockets;
use crate::model::Model;
use crate::saved_state::{FILE_NAME, SavedState};
use crate::server::{self, PageServer};
use crate::views::PageSettings;

/// What the page needs to know.
#[derive(Debug)]
pub struct PageOptions {
    /// The settings of clients, as far as a page does not give them.
    pub client: ClientSettings,
    /// The folders of the program.
    pub folders: Folders,
    /// The home folder. Pages name no files of this computer outside.
    pub home: PathBuf,
    /// The folder for sockets and redirect files, from [`runtime_folder`](quiver_control::socket_folder::runtime_folder).
    pub runtime_folder: PathBuf,
    /// Whether pages announce clients that connect and disconnect, unless that was changed there.
    pub announce: bool,
    /// Bytes of the content that browsers hand over, at most.
    pub spool_limit: u64,
}

/// A running page. Dropping it stops its thread soon.
#[derive(Debug)]
pub struct Page {
    link: Secret,
    context: Arc<PageContext>,
    stop: Option<oneshot::Sender<()>>,
    stopped: oneshot::Receiver<()>,
    has_stopped: bool,
    thread: JoinHandle<()>,
}

impl Page {
    /// Opens the sockets and starts the thread. Clients run on the caller's runtime, `client_runtime`.
    ///
    /// # Errors
    /// The system's error, or `InvalidData` if the file with the page's settings is not valid.
    pub async fn start(
        options: PageOptions,
        lock: InstanceLock,
        client_runtime: Handle,
    ) -> io::Result<Self> {
        let PageOptions { client, folders, home, runtime_folder, announce, spool_limit } = options;
        let LoopbackSockets { port, listeners } = LoopbackSockets::open()?;
        let saved = match folders.state() {
            Ok(state) => read_saved(&state.join(FILE_NAME))?,
            // Nothing is remembered.
            Err(_) => SavedState::default(),
        };
        browser::sweep(&runtime_folder);
        let settings = saved.settings.clone().unwrap_or_else(|| PageSettings {
            folder: default_folder(&home).display().to_string(),
            history: true,
            announce,
            wait_for_slot: false,
        });
        let run = HEXLOWER.encode(&random_bytes::<8>());
        let shown_home = home.display().to_string();
        let model = Model::new(run, shown_home, settings, saved.recent.clone());
        let context = Arc::new(PageContext::new(ContextParts {
            defaults: client,
            folders,
            home,
            client_runtime,
            runtime_folder,
            port,
            model,
            saved,
            spool_limit,
        }));
        let page = PageServer { context: context.clone(), listeners, port, lock };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let link = {
            let _in_runtime = runtime.enter();
            Secret::new(server::new_link(&context, port))
        };
        let (stop, stopping) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("page".to_owned()).spawn(move || {
            runtime.block_on(page.run(ready, stopping));
            // Fails if the page was dropped.
            let _ = ended.send(());
        })?;
        let (stop, has_stopped) = (Some(stop), false);
        let page = Self { link, context, stop, stopped, has_stopped, thread };
        match is_ready.await {
            Ok(ready) => ready.map(|()| page),
            Err(_) => {
                page.join();
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
    }

    /// The first link to the page. It works once, and for a minute.
    #[must_use]
    pub fn link(&self) -> &str {
        self.link.expose()
    }

    /// How much of the running transfers can be resumed.
    #[must_use]
    pub fn unfinished_share(&self) -> Option<UnfinishedShare> {
        self.context.active().ok()?.client.unfinished_share()
    }

    /// Waits until the thread has ended, which it does by itself only if it panics.
    pub async fn ended(&mut self) {
        if !self.has_stopped {
            // An error means a panic.
            let _ = (&mut self.stopped).await;
            self.has_stopped = true;
        }
    }

    /// Signs out and stops the thread. Running transfers keep what they have.
    ///
    /// # Panics
    /// If the thread has panicked.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails if the thread has ended.
            let _ = stop.send(());
            self.ended().await;
        }
        self.join();
    }

    /// Returns at once, because the thread has ended.
    fn join(self) {
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

fn read_saved(path: &Path) -> io::Result<SavedState> {
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    SavedState::read(path).map_err(named)
}

fn default_folder(home: &Path) -> PathBuf {
    let downloads = home.join("Downloads");
    if downloads.is_dir() { downloads } else { home.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_to_the_downloads_if_there_are_any() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(default_folder(home.path()), home.path());
        std::fs::create_dir(home.path().join("Downloads")).unwrap();
        assert_eq!(default_folder(home.path()), home.path().join("Downloads"));
    }
}
