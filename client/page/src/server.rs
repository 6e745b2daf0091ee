//! The page's thread: accepts connections of browsers and of other processes, until it is told to stop.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use quiver_control::ControlSocket;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::sleep;

use crate::browser::RedirectFile;
use crate::context::PageContext;
use crate::http;
use crate::instance::{self, InstanceLock};
use crate::lifecycle;
use crate::other_processes;
use crate::page_source::PageTransfers;
use crate::secrets::CODE_LIFETIME;

/// Connections of browsers at once.
const MAX_CONNECTIONS: usize = 128;

/// Connections of other processes at once.
const MAX_PROCESSES: usize = 8;

/// How long the line and the headers of a request may take, also after the one before.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of them.
const MAX_HEAD: usize = 16 * 1024;

/// The pause after the system failed to accept a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// What the thread serves.
#[derive(Debug)]
pub(crate) struct PageServer {
    pub(crate) context: Arc<PageContext>,
    pub(crate) listeners: Vec<StdListener>,
    pub(crate) port: u16,
    pub(crate) lock: InstanceLock,
}

impl PageServer {
    /// Serves until `stop` resolves, then signs out. Reports by `ready` once it listens.
    ///
    /// # Errors
    /// The system's error, if it cannot listen.
    pub(crate) async fn run(
        self,
        ready: oneshot::Sender<io::Result<()>>,
        stop: oneshot::Receiver<()>,
    ) {
        let listening = (|| {
            let processes = self.lock.listen()?;
            let listeners = self.listeners.into_iter().map(TcpListener::from_std);
            Ok((processes, listeners.collect::<io::Result<Vec<_>>>()?))
        })();
        let (processes, listeners) = match listening {
            Ok(listening) => listening,
            Err(error) => {
                // Fails if the caller does not wait any more.
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        let context = self.context;
        let router = http::router(context.clone());
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for listener in listeners {
            let accept =
                accept_browsers(context.clone(), listener, router.clone(), permits.clone());
            context.spawn(accept);
        }
        context.spawn(accept_processes(context.clone(), processes, self.port));
        context.spawn(other_processes::follow(context.clone()));
        context.spawn(other_processes::report_changes(context.clone()));
        let source = Arc::new(PageTransfers(context.clone()));
        let control = ControlSocket::start(context.runtime_folder.clone(), source);
        context.spawn(context.spool.clone().maintain(context.folders.clone()));
        // Fails if the page was dropped.
        let _ = stop.await;
        if let Ok(active) = context.active() {
            lifecycle::end(&context, &active, None).await;
        }
        drop(control);
        context.abort_tasks().await;
        context.spool.close();
    }
}

/// A new link, valid once and for a while. Its redirect file, if any, does not outlive it.
pub(crate) fn new_link(context: &Arc<PageContext>, port: u16) -> String {
    let code = context.secrets.add_code(Instant::now());
    let link = link(port, &code);
    let file = RedirectFile::of_code(&context.runtime_folder, &code);
    context.spawn(async move {
        sleep(CODE_LIFETIME).await;
        file.remove();
    });
    link
}

/// The link with this code. The fragment is not sent to any server.
pub(crate) fn link(port: u16, code: &str) -> String {
    format!("http://127.0.0.1:{port}/#code={code}")
}

async fn accept_browsers(
    context: Arc<PageContext>,
    listener: TcpListener,
    router: Router,
    permits: Arc<Semaphore>,
) {
    loop {
        // Further connections wait in the system's queue.
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => context.spawn(serve(stream, router.clone(), permit)),
            // The connection has ended already, or descriptors are used up.
            Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}

async fn serve(stream: TcpStream, router: Router, permit: OwnedSemaphorePermit) {
    // Fails only if the connection has ended. Without it, small events wait for acknowledgements.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    // Its errors are those of the browser.
    let _ = connection.await;
    drop(permit);
}

async fn accept_processes(context: Arc<PageContext>, listener: UnixListener, port: u16) {
    let permits = Arc::new(Semaphore::new(MAX_PROCESSES));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = context.clone();
                context.spawn(async move {
                    // A process that is not of this user, or asks for something else, gets no answer.
                    let _ = instance::answer(stream, || new_link(&shared, port)).await;
                    drop(permit);
                });
            }
            Err(_) => sleep(ACCEPT_RETRY_DELAY).await,
        }
    }
}
