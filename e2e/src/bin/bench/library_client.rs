//! A client of Quiver's library, on a thread of its own as the program has one: all that a member does on one connection,
//! at the same time.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quiver_client::folders::Folders;
use quiver_client::peer_path::{PeerPath, PeerStatus};
use quiver_client::peer_store::{IncomingOffer, IncomingState};
use quiver_client::request::{
    AcceptRequest, Destination, DownloadRequest, OfferRequest, TransferOptions, UploadContent,
};
use quiver_client::settings::PathPolicy;
use quiver_client::{Client, ClientSettings, TransferEnd};
use quiver_protocol::ClientName;
use quiver_transport::{CongestionControl, Endpoint, EndpointSettings};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::bench_client::block_on;
use crate::fixtures::WorkFolder;

/// Timeout of each wait for another client.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Interval of the checks whether an event has happened.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A signed-in client that other clients can reach.
pub(crate) struct MemberClient {
    name: ClientName,
    client: Client,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A sending and a receiving client.
pub(crate) struct ClientPair {
    pub(crate) sender: MemberClient,
    pub(crate) receiver: MemberClient,
}

impl ClientPair {
    /// Connects both, which are named after the pair.
    pub(crate) fn start(
        work_folder: &WorkFolder,
        server: SocketAddr,
        name: &str,
        paths: PathPolicy,
    ) -> Self {
        let start =
            |role: &str| MemberClient::start(work_folder, server, &format!("{name}-{role}"), paths);
        Self { sender: start("sender"), receiver: start("receiver") }
    }
}

impl MemberClient {
    /// Connects, signs in and listens.
    pub(crate) fn start(
        work_folder: &WorkFolder,
        server: SocketAddr,
        name: &str,
        paths: PathPolicy,
    ) -> Self {
        let folder = work_folder.path("clients").join(format!("{name}-{}", server.port()));
        let name = ClientName::parse(name).unwrap();
        let settings = ClientSettings {
            server: server.to_string().parse().unwrap(),
            certificate: Some(work_folder.path("certs/server.pem")),
            name: Some(name.clone()),
            password_file: None,
            timeout: TIMEOUT,
            paths,
            one_shot: false,
            congestion: CongestionControl::Auto,
        };
        let (started, client) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            block_on(async move {
                let [config, data, state] =
                    ["config", "data", "state"].map(|name| folder.join(name));
                let folders = Folders::at(config, data, state);
                let client = Client::new(
                    settings,
                    folders,
                    Endpoint::dialler(EndpointSettings::default()).unwrap(),
                )
                .unwrap();
                client.connect().await.unwrap();
                client.listen().await.unwrap();
                started.send((client.clone(), Handle::current())).unwrap();
                let _ = stopped.await;
                client.shut_down().await;
            });
        });
        let (client, runtime) = client.recv().expect("the client is connected");
        Self { name, client, runtime, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs work of this client on its thread.
    async fn run<T: Send + 'static, F>(&self, work: impl FnOnce(Client) -> F) -> T
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.runtime.spawn(work(self.client.clone())).await.expect("the client's work")
    }

    /// Gets a file of the server. Returns the seconds.
    pub(crate) async fn get(&self, file: &str, folder: &Path) -> f64 {
        let request = DownloadRequest {
            paths: vec![file.to_owned()],
            destination: Destination::Folder(folder.to_owned()),
            options: TransferOptions::default(),
        };
        self.run(|client| async move {
            let started = Instant::now();
            let prepared = client.prepare_download(request).await.unwrap();
            let end = client.start(prepared).unwrap().wait().await;
            assert!(matches!(end, TransferEnd::Done), "a get: {end:?}");
            started.elapsed().as_secs_f64()
        })
        .await
    }

    /// Sends messages to the server, one after the other, for some time. Returns the round-trip times in milliseconds.
    pub(crate) async fn message_server(&self, duration: Duration) -> Vec<f64> {
        self.run(move |client| async move {
            let (begin, mut times) = (Instant::now(), Vec::new());
            while begin.elapsed() < duration {
                let started = Instant::now();
                client.message("Hello").await.unwrap();
                times.push(started.elapsed().as_secs_f64() * 1000.0);
            }
            times
        })
        .await
    }

    /// Sends a file to another client, which stores it in a folder. Returns the seconds from the acceptance until it is
    /// stored.
    pub(crate) async fn send(&self, to: &Self, file: &Path, folder: &Path) -> f64 {
        let content = UploadContent::Paths(vec![file.to_owned()]);
        let request = OfferRequest { to: to.name.clone(), content, offered_as: None };
        let offer = self.run(|client| async move { client.offer(request).await }).await.unwrap();
        let number = offer.number;
        let deliver = self.run(move |client| async move { client.deliver(number, false).await });
        let accept = async {
            let number = to.wait_for_offer(&offer.id).await.number;
            let request = AcceptRequest { folder: folder.to_owned(), ..AcceptRequest::default() };
            to.run(move |client| async move {
                let started = Instant::now();
                let mut running = client.accept_offer(number, request).await.unwrap();
                let end = running.wait().await;
                assert!(matches!(end, TransferEnd::Done), "a transfer: {end:?}");
                started.elapsed().as_secs_f64()
            })
            .await
        };
        let (delivered, seconds) = tokio::join!(deliver, accept);
        delivered.unwrap();
        seconds
    }

    async fn wait_for_offer(&self, id: &quiver_protocol::OfferId) -> IncomingOffer {
        let id = *id;
        let find = self.run(move |client| async move {
            loop {
                let (offers, _) = client.offers().await.unwrap();
                let is_wanted = |offer: &IncomingOffer| {
                    offer.id == id && matches!(offer.state, IncomingState::Open)
                };
                if let Some(offer) = offers.into_iter().find(is_wanted) {
                    return offer;
                }
                sleep(POLL_INTERVAL).await;
            }
        });
        timeout(TIMEOUT, find).await.expect("an offer")
    }

    /// Makes two clients contacts of each other, and waits until their connection is direct.
    pub(crate) async fn connect_directly(&self, other: &Self) {
        for (from, to) in [(self, other), (other, self)] {
            let name = to.name.clone();
            from.run(|client| async move { client.tell(&name, "Hello").await }).await.unwrap();
        }
        let direct = async {
            for (from, to) in [(self, other), (other, self)] {
                while !matches!(from.status(to).path, PeerPath::Direct { .. }) {
                    sleep(POLL_INTERVAL).await;
                }
            }
        };
        timeout(TIMEOUT, direct).await.expect("a direct connection");
    }

    /// Bytes exchanged with another client so far: over the relay, and directly.
    pub(crate) fn exchanged(&self, other: &Self) -> (u64, u64) {
        let status = self.find_status(other);
        status.map_or((0, 0), |status| (status.relayed_bytes, status.direct_bytes))
    }

    fn status(&self, other: &Self) -> PeerStatus {
        self.find_status(other).expect("a connection with the other client")
    }

    fn find_status(&self, other: &Self) -> Option<PeerStatus> {
        self.client.peer_statuses().into_iter().find(|status| status.name == other.name)
    }
}

impl Drop for MemberClient {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
