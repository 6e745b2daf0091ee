//! Quiver clients as a library on hosts of a lab: each runs on a thread in its host's network namespace, so that all
//! its sockets, and what it reads about networks, are those of the host.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quiver_client::event::EventKind;
use quiver_client::folders::Folders;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::{PeerPath, PeerStatus};
use quiver_client::settings::PathPolicy;
use quiver_client::{Client, ClientSettings};
use quiver_e2e::nat_lab::Host;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until, wait_within};
use quiver_protocol::{ClientName, OfferId};
use quiver_transport::{CongestionControl, Endpoint, EndpointSettings};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle as TaskHandle;

/// A client on a host, connected and listening. A drop stops it.
#[derive(Debug)]
pub(crate) struct LabClient {
    client: Client,
    name: ClientName,
    /// Of the thread in the host's namespace.
    runtime: Handle,
    events: watch::Receiver<Vec<TimedEvent>>,
    stop: Option<oneshot::Sender<()>>,
    /// Its sender is dropped when the thread ends.
    ended: oneshot::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// An event about other clients, and when it was received.
#[derive(Debug, Clone)]
struct TimedEvent {
    time: Instant,
    event: PeerEvent,
}

impl LabClient {
    /// Starts a client whose key and records are in `home`, connects it with the server and lets it listen.
    pub(crate) async fn start(
        host: &Host,
        server: &Server,
        name: &str,
        paths: PathPolicy,
        home: &Home,
    ) -> Self {
        print_log();
        let folder = |name: &str| home.folder().join(name);
        let folders = Folders::at(folder("config"), folder("data"), folder("state"));
        let name = ClientName::parse(name).unwrap();
        let settings = ClientSettings {
            server: server.address().to_string().parse().unwrap(),
            certificate: Some(server.certificate()),
            name: Some(name.clone()),
            password_file: None,
            timeout: TIMEOUT,
            paths,
            one_shot: false,
            congestion: CongestionControl::Auto,
        };
        let (started, ready) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (record, events) = watch::channel(Vec::new());
        let (ending, ended) = oneshot::channel();
        let host = host.clone();
        let thread = std::thread::spawn(move || {
            let _ending = ending;
            host.run(|| {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
                    let client = Client::new(settings, folders, endpoint).unwrap();
                    run_client(client, started, stopped, record).await;
                });
            });
        });
        let (client, runtime) = wait_within(TIMEOUT, "a client on its host", ready).await.unwrap();
        let (stop, thread) = (Some(stop), Some(thread));
        let this = Self { client, name, runtime, events, stop, ended, thread };
        this.run(|client| async move {
            client.connect().await.unwrap();
            client.listen().await.unwrap();
        })
        .await;
        this
    }

    /// Its name.
    pub(crate) fn name(&self) -> ClientName {
        self.name.clone()
    }

    /// Starts `job` on the client's thread.
    pub(crate) fn spawn<T, F>(&self, job: impl FnOnce(Client) -> F) -> TaskHandle<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.runtime.spawn(job(self.client.clone()))
    }

    /// Runs `job` on the client's thread, and waits for it.
    pub(crate) async fn run<T, F>(&self, job: impl FnOnce(Client) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        wait_within(TIMEOUT, "a job of a client", self.spawn(job)).await.unwrap()
    }

    /// Sends a message, and so accepts the other client as a contact.
    pub(crate) async fn tell(&self, to: &Self, text: &'static str) {
        let to = to.name.clone();
        self.run(move |client| async move { client.tell(&to, text).await.unwrap() }).await;
    }

    /// Connects with another client, unless there is a connection. Returns how long it took.
    pub(crate) async fn connect(&self, to: &Self) -> Duration {
        let to = to.name.clone();
        let connect = |client: Client| async move {
            let started = Instant::now();
            client.connect_peer(&to).await.unwrap();
            started.elapsed()
        };
        self.run(connect).await
    }

    /// The state of the connection with another client; the newest one if there are several.
    pub(crate) fn status_with(&self, other: &Self) -> Option<PeerStatus> {
        let statuses = self.client.peer_statuses();
        statuses.into_iter().find(|status| status.name.key() == other.name.key())
    }

    /// The path to another client.
    pub(crate) fn path_to(&self, other: &Self) -> PeerPath {
        self.status_with(other).map_or(PeerPath::Closed, |status| status.path)
    }

    /// Waits until the path to another client is as wanted, and returns it.
    pub(crate) async fn wait_for_path(
        &self,
        other: &Self,
        what: &str,
        is_wanted: impl Fn(&PeerPath) -> bool,
    ) -> PeerPath {
        let mut path = PeerPath::Closed;
        wait_until(what, || {
            path = self.path_to(other);
            is_wanted(&path)
        })
        .await;
        path
    }

    /// Waits for the first event that `wanted` chooses.
    pub(crate) async fn wait_for_event<T>(
        &self,
        what: &str,
        wanted: impl Fn(&PeerEvent) -> Option<T>,
    ) -> T {
        self.wait_for_timed_event(what, |TimedEvent { event, .. }| wanted(event)).await
    }

    async fn wait_for_timed_event<T>(
        &self,
        what: &str,
        wanted: impl Fn(&TimedEvent) -> Option<T>,
    ) -> T {
        let mut events = self.events.clone();
        let find = |events: &Vec<TimedEvent>| events.iter().find_map(&wanted);
        let wait = events.wait_for(|events| find(events).is_some());
        let found = wait_within(TIMEOUT, what, wait).await.unwrap();
        find(&found).unwrap()
    }

    /// Bytes of an offer that it has sent.
    pub(crate) fn sent_bytes(&self, offer: OfferId) -> u64 {
        self.client.sent_bytes(offer)
    }

    /// When the direct path was reported first.
    pub(crate) async fn wait_until_direct(&self) -> Instant {
        self.wait_for_timed_event("a direct path", |TimedEvent { time, event }| {
            let is_direct =
                matches!(event, PeerEvent::PathChanged { path: PeerPath::Direct { .. }, .. });
            is_direct.then_some(*time)
        })
        .await
    }
}

impl LabClient {
    /// Stops it as a program does that ends.
    pub(crate) async fn stop(mut self) {
        self.stop = None;
        // Its sender is dropped.
        let _ = wait_within(TIMEOUT, "the end of a client", &mut self.ended).await;
    }
}

impl Drop for LabClient {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            // The panic was printed.
            assert!(std::thread::panicking(), "the thread of {} has panicked", self.name);
        }
    }
}

async fn run_client(
    client: Client,
    started: oneshot::Sender<(Client, Handle)>,
    stopped: oneshot::Receiver<()>,
    record: watch::Sender<Vec<TimedEvent>>,
) {
    let mut events = client.events();
    let record_events = async {
        while let Some(next) = events.next().await {
            if let EventKind::Peer(event) = next.kind {
                let time = Instant::now();
                record.send_modify(|all| all.push(TimedEvent { time, event }));
            }
        }
    };
    started.send((client.clone(), Handle::current())).unwrap();
    tokio::select! {
        // The sender is dropped.
        _ = stopped => {}
        () = record_events => {}
    }
    client.disconnect().await;
    client.shut_down().await;
}

/// Prints what `RUST_LOG` chooses of the clients' log, if a test fails.
fn print_log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // Fails if an earlier client has set it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
}
