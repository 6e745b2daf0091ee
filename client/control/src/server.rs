//! The socket of this process, by which others see and steer its transfers. It has a thread and a runtime of its own, so
//! that the thread that drives QUIC neither formats JSON nor waits for others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::connection;
use crate::shared_source::SharedSource;
use crate::socket_folder::{OwnSocket, SocketFolder};
use crate::source::TransferSource;

/// Processes that may be connected at once. Further ones are turned away.
const MAX_CONNECTIONS: usize = 32;

/// The pause after the system failed to accept a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// How long the end of this process waits until others have read the last states of its transfers.
const LAST_EVENTS_TIMEOUT: Duration = Duration::from_millis(200);

/// The socket of this process. Dropping it tells others how its transfers have ended, and removes it.
#[derive(Debug)]
pub struct ControlSocket {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ControlSocket {
    /// Makes the socket in a private folder. Without one the process works all the same, and others do not see it: the
    /// reason is only logged.
    #[must_use]
    pub fn start(folder: PathBuf, source: Arc<dyn TransferSource>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            if let Err(error) = run(&folder, source, stopped) {
                debug!(%error, "other programs do not see the transfers of this one");
            }
        };
        let thread = thread::Builder::new().name("control".to_owned()).spawn(serve);
        let thread = thread.inspect_err(|error| {
            debug!(%error, "other programs do not see the transfers of this one");
        });
        Self { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Fails if the thread has ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(
    folder: &Path,
    source: Arc<dyn TransferSource>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = SocketFolder::create(folder)?;
        // A folder that another process has locked must not delay the end of this one.
        tokio::pin!(stop);
        let socket = tokio::select! {
            socket = opened.listen() => socket?,
            _ = &mut stop => return Ok(()),
        };
        let shared = Arc::new(SharedSource::new(source, socket.folder().clone()));
        serve(socket, shared, stop).await;
        Ok(())
    })
}

/// Serves until `stop` resolves.
async fn serve(
    socket: OwnSocket,
    shared: Arc<SharedSource>,
    mut stop: impl Future<Output = Result<(), oneshot::error::RecvError>> + Unpin,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, is_stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(ended) = connections.join_next() => propagate_panic(ended),
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
                    let (shared, is_stopping) = (shared.clone(), is_stopping.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        serve_one(stream, &shared, is_stopping).await;
                    });
                }
                Err(error) => {
                    debug!(%error, "cannot accept another program");
                    sleep(ACCEPT_RETRY_DELAY).await;
                }
            },
        }
    }
    // Nobody finds it any more.
    drop(socket);
    stopping.send_replace(true);
    let last_events = async {
        while let Some(ended) = connections.join_next().await {
            propagate_panic(ended);
        }
    };
    // Those that do not read are cut off.
    let _ = timeout(LAST_EVENTS_TIMEOUT, last_events).await;
}

async fn serve_one(stream: UnixStream, shared: &SharedSource, stopping: watch::Receiver<bool>) {
    if let Err(error) = connection::serve(stream, shared, stopping).await {
        debug!(%error, "another program was cut off");
    }
}

fn propagate_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}
