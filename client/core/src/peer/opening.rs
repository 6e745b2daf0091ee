//! Opens links: over the relay of an introduction or directly, and runs their tasks until they are closed.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_protocol::{CloseCode, Introduction};
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{Channel, Endpoint, Role, StreamError, close};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use super::link::{PeerLink, Side};
use super::{PathPolicy, Peers};
use crate::error::{ClientError, PeerError};
use crate::exchange;
use crate::peer_event::PeerEvent;
use crate::peer_path::{NotDirect, PeerPath};

/// How long the handshake with the other client may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the last packets of a link may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The pending end of a relay.
type RelayRun<'a> = Pin<&'a mut (dyn Future<Output = StreamError> + Send)>;

impl Peers {
    /// Opens the link of an introduction over the relay, or directly if there is no relay.
    pub(super) async fn open_link(
        &self,
        introduction: Introduction,
        side: Side,
    ) -> Result<PeerLink, ClientError> {
        let (sender, opened) = oneshot::channel();
        let peers = self.clone();
        if introduction.relay {
            let name = introduction.name.clone();
            let server = self.server()?;
            let stream = exchange::open_relay(&server.connection, introduction.id).await;
            let stream = stream.map_err(|error| Self::no_path(&name, &error))?;
            let (endpoint, relay) =
                Endpoint::over_relay(stream, &self.0.identity, self.0.endpoint.settings().clone())?;
            self.spawn(async move {
                let has_ended = AtomicBool::new(false);
                let run = async {
                    let end = relay.run().await;
                    has_ended.store(true, Ordering::Relaxed);
                    end
                };
                let mut run = pin!(run);
                peers.run_relayed(introduction, side, &endpoint, run.as_mut(), sender).await;
                if !has_ended.load(Ordering::Relaxed) {
                    // The last packets, such as the reason of the end, are sent while the relay runs.
                    tokio::select! {
                        _ = run => {}
                        () = endpoint.wait_idle(CLOSE_TIMEOUT) => {}
                    }
                }
            });
        } else {
            self.spawn(async move {
                let channel = match peers.connect_directly(&introduction).await {
                    Ok(channel) => channel,
                    // Fails if the caller does not wait any more.
                    Err(error) => return drop(sender.send(Err(error))),
                };
                let link =
                    PeerLink::new(introduction, side, channel.clone(), true, NotDirect::Lost);
                link.set_accepted();
                let _ = sender.send(Ok(link.clone()));
                peers.run_link(link, channel, None).await;
            });
        }
        opened.await.unwrap_or(Err(ClientError::Interrupted))
    }

    async fn run_relayed(
        &self,
        introduction: Introduction,
        side: Side,
        endpoint: &Endpoint,
        mut relay: RelayRun<'_>,
        opened: oneshot::Sender<Result<PeerLink, ClientError>>,
    ) {
        let name = introduction.name.clone();
        let handshake = timeout(HANDSHAKE_TIMEOUT, self.shake_hands(endpoint, &introduction, side));
        let connected = tokio::select! {
            error = &mut relay => Err(Self::no_path(&name, &error)),
            connected = handshake => connected.unwrap_or_else(|_| {
                Err(Self::no_path(&name, &StreamError::TimedOut(HANDSHAKE_TIMEOUT)))
            }),
        };
        let channel = match connected {
            Ok(channel) => channel,
            Err(error) => {
                debug!(%error, "no link");
                // Fails if the caller does not wait any more.
                return drop(opened.send(Err(error)));
            }
        };
        let why = match self.0.paths {
            PathPolicy::RelayOnly => NotDirect::RelayOnly,
            PathPolicy::Any | PathPolicy::DirectOnly => NotDirect::NotAccepted,
        };
        let link = PeerLink::new(introduction, side, channel.clone(), false, why);
        debug!(%name, "link over the relay");
        let _ = opened.send(Ok(link.clone()));
        self.run_link(link, channel, Some(relay)).await;
    }

    /// Runs the tasks of a link until it is closed. `relay` passes the packets of `channel`.
    async fn run_link(&self, link: PeerLink, channel: Channel, relay: Option<RelayRun<'_>>) {
        self.0.state.lock().links.insert(link.id(), link.clone());
        let _registered = RegisteredLink { peers: self.clone(), link: link.clone() };
        self.notify_changed();
        // After the link is registered: a block before this is read here, a later one closes the registered links.
        if !matches!(self.keeps_link(&link).await, Ok(true)) {
            return;
        }
        if self.has_accepted(link.name(), link.key()).await {
            link.set_accepted();
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().announce_offers(link.clone()));
        tasks.spawn(self.clone().serve_channel(link.clone(), channel.clone()));
        tasks.spawn(self.clone().watch_contact(link.clone()));
        if self.0.paths != PathPolicy::RelayOnly {
            tasks.spawn(self.clone().manage_direct(link.clone()));
        }
        let run_relay = async {
            if let Some(relay) = relay {
                let error = relay.await;
                debug!(%error, name = %link.name(), "the relay has ended");
                // Removed first, so that transfers take the end as a loss, after which they continue elsewhere.
                let changed = link.remove(&channel);
                close(&channel, CloseCode::TimedOut);
                self.report_path(&link, changed).await;
            }
            std::future::pending::<()>().await;
        };
        let join_tasks = async {
            while let Some(done) = tasks.join_next().await {
                if let Err(error) = done
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = run_relay => {}
            () = join_tasks => {}
            () = link.closed() => {}
        }
    }

    /// Serves the streams that the other client opens on one connection, until it ends.
    pub(super) fn serve_channel(
        self,
        link: PeerLink,
        channel: Channel,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        // Boxed, because a request may lead to another connection that is served.
        Box::pin(async move { self.accept_requests(link, channel).await })
    }

    async fn accept_requests(self, link: PeerLink, channel: Channel) {
        let mut requests = JoinSet::new();
        loop {
            tokio::select! {
                accepted = channel.accept() => {
                    let Ok(stream) = accepted else { break };
                    let (peers, link, channel) = (self.clone(), link.clone(), channel.clone());
                    requests.spawn(async move { peers.serve_request(link, channel, stream).await });
                }
                Some(done) = requests.join_next() => if let Err(error) = done
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                },
            }
        }
        let changed = link.remove(&channel);
        self.report_path(&link, changed).await;
    }

    /// Reports a new path, if there is one.
    pub(super) async fn report_path(&self, link: &PeerLink, path: Option<PeerPath>) {
        if let Some(path) = path {
            debug!(name = %link.name(), ?path, "the path has changed");
            self.publish(PeerEvent::PathChanged { name: link.name().clone(), path }).await;
        }
    }

    async fn shake_hands(
        &self,
        endpoint: &Endpoint,
        introduction: &Introduction,
        side: Side,
    ) -> Result<Channel, ClientError> {
        let no_path = |why: String| PeerError::NoPath { name: introduction.name.clone(), why };
        match side {
            Side::Requester => {
                let dialled = endpoint.dial_over_relay(&self.0.identity, introduction.key).await;
                let connection = dialled.map_err(|error| no_path(error.to_string()))?;
                Ok(Channel::with_windows(connection, Role::Peer, &endpoint.settings().windows))
            }
            Side::Responder => {
                let incoming = endpoint.accept().await;
                let incoming = incoming.ok_or_else(|| no_path("the relay has ended".to_owned()))?;
                let accepted = async { endpoint.start_handshake(incoming)?.complete().await }.await;
                let accepted = accepted.map_err(|error| no_path(error.to_string()))?;
                if peer_fingerprint(&accepted.connection) != Some(introduction.key) {
                    close(&accepted.connection, CloseCode::ProtocolViolation);
                    let why = "it has another key than the server has said".to_owned();
                    return Err(no_path(why).into());
                }
                Ok(accepted.promote())
            }
        }
    }
}

/// Removes the link when dropped.
struct RegisteredLink {
    peers: Peers,
    link: PeerLink,
}

impl Drop for RegisteredLink {
    fn drop(&mut self) {
        self.link.close();
        self.peers.0.state.lock().links.remove(&self.link.id());
        self.peers.notify_changed();
    }
}
