//! A client as a library, with folders of its own, that other clients can reach.

use quiver_client::event::{ClientEvent, EventKind, EventReceiver};
use quiver_client::folders::Folders;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_store::IncomingOffer;
use quiver_client::settings::PathPolicy;
use quiver_client::{Client, ClientSettings};
use quiver_protocol::ClientName;
use quiver_transport::{CongestionControl, Endpoint, EndpointSettings};

use crate::deadline::{TIMEOUT, wait_within};
use crate::quiver::Home;
use crate::server::Server;

/// A client that is connected and listens.
#[derive(Debug)]
pub struct LibraryClient {
    /// The client.
    pub client: Client,
    /// Its events since it has connected.
    pub events: EventReceiver,
    /// Its folders.
    pub home: Home,
}

impl LibraryClient {
    /// Connects and listens, with new folders.
    ///
    /// # Panics
    /// If that fails.
    pub async fn connect(server: &Server, name: &str, paths: PathPolicy) -> Self {
        Self::start(server, name, paths, Home::new()).await
    }

    /// Connects again, with the same folders. The client must be shut down.
    ///
    /// # Panics
    /// If that fails.
    pub async fn reconnect(self, server: &Server, name: &str, paths: PathPolicy) -> Self {
        Self::start(server, name, paths, self.home).await
    }

    async fn start(server: &Server, name: &str, paths: PathPolicy, home: Home) -> Self {
        let folder = |name: &str| home.folder().join(name);
        let settings = ClientSettings {
            server: server.address().to_string().parse().unwrap(),
            certificate: Some(server.certificate()),
            name: Some(ClientName::parse(name).unwrap()),
            password_file: None,
            timeout: TIMEOUT,
            paths,
            one_shot: false,
            congestion: CongestionControl::Auto,
        };
        let folders = Folders::at(folder("config"), folder("data"), folder("state"));
        let client =
            Client::new(settings, folders, Endpoint::dialler(EndpointSettings::default()).unwrap())
                .unwrap();
        let events = client.events();
        wait_within(TIMEOUT, "a connection", client.connect()).await.unwrap();
        wait_within(TIMEOUT, "a listener", client.listen()).await.unwrap();
        Self { client, events, home }
    }

    /// Waits for the first event about other clients for which `wanted` returns a value.
    ///
    /// # Panics
    /// If there is none within [`TIMEOUT`].
    pub async fn wait_for<T>(&mut self, what: &str, wanted: impl Fn(&PeerEvent) -> Option<T>) -> T {
        wait_within(TIMEOUT, what, async {
            loop {
                let ClientEvent { kind, .. } = self.events.next().await.unwrap();
                if let EventKind::Peer(event) = kind
                    && let Some(found) = wanted(&event)
                {
                    return found;
                }
            }
        })
        .await
    }

    /// Waits for the next offer to this client.
    ///
    /// # Panics
    /// If there is none.
    pub async fn next_offer(&mut self) -> IncomingOffer {
        self.wait_for("an offer", |event| match event {
            PeerEvent::OfferReceived(offer) => Some((**offer).clone()),
            _ => None,
        })
        .await
    }
}
