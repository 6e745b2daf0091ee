//! The connection with one other client, and the tasks that serve it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quiver_protocol::{ClientName, CloseCode, Fingerprint, Introduction, IntroductionId};
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{Channel, ConnectionEnd, Endpoint, PacketRelay, Role, StreamError, close};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::Peers;
use crate::error::{ClientError, PeerError};
use crate::exchange;
use crate::peer_path::{NotDirect, PeerPath, PeerStatus};
use crate::reconnecting::{MoveSignal, SessionHandle};

/// How long the handshake with the other client may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which side asked for the introduction: it dials over the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// This client.
    Requester,
    /// The other client.
    Responder,
}

/// The connection with another client. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct PeerLink(Arc<LinkShared>);

#[derive(Debug)]
struct LinkShared {
    introduction: Introduction,
    relayed: Channel,
    opened: Instant,
    /// Whether this person has accepted the contact, so that it may learn this client's address.
    is_accepted: AtomicBool,
}

impl PeerLink {
    /// The introduction that led to this link.
    pub(crate) fn introduction(&self) -> &Introduction {
        &self.0.introduction
    }

    pub(crate) fn name(&self) -> &ClientName {
        &self.0.introduction.name
    }

    pub(crate) fn key(&self) -> Fingerprint {
        self.0.introduction.key
    }

    pub(super) fn id(&self) -> IntroductionId {
        self.0.introduction.id
    }

    pub(super) fn opened(&self) -> Instant {
        self.0.opened
    }

    pub(super) fn is_with(&self, name: &ClientName) -> bool {
        self.name().key() == name.key()
    }

    /// The best connection at present.
    pub(crate) fn channel(&self) -> Channel {
        self.0.relayed.clone()
    }

    /// A session for transfers over the best connection at present.
    pub(crate) fn handle(&self, timeout: Duration) -> SessionHandle {
        SessionHandle::with_peer(self.channel(), timeout, MoveSignal::default())
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        self.0.relayed.close_reason().is_none()
    }

    /// Waits until there is no connection any more.
    pub(crate) async fn closed(&self) -> ConnectionEnd {
        self.0.relayed.closed().await.into()
    }

    /// Lets the contact learn this client's address.
    pub(crate) fn set_accepted(&self) {
        self.0.is_accepted.store(true, Ordering::Relaxed);
    }

    /// The state of the link.
    pub(crate) fn status(&self) -> PeerStatus {
        let statistics = self.0.relayed.stats();
        let path = if self.is_open() {
            PeerPath::Relayed { why: NotDirect::NotAccepted }
        } else {
            PeerPath::Closed
        };
        PeerStatus {
            name: self.name().clone(),
            key: self.key(),
            path,
            previous: None,
            round_trip: self.0.relayed.rtt(),
            relayed_bytes: statistics.udp_tx.bytes + statistics.udp_rx.bytes,
            direct_bytes: 0,
        }
    }

    pub(crate) fn close(&self) {
        close(&self.0.relayed, CloseCode::Goodbye);
    }
}

impl Peers {
    /// Opens the link of an introduction over the relay.
    pub(super) async fn open_link(
        &self,
        introduction: Introduction,
        side: Side,
    ) -> Result<PeerLink, ClientError> {
        let name = introduction.name.clone();
        let server = self.server()?;
        let stream = exchange::open_relay(&server.connection, introduction.id).await;
        let stream = stream.map_err(|error| Self::no_path(&name, &error))?;
        let (endpoint, relay) = Endpoint::over_relay(stream, &self.0.identity)?;
        let (sender, opened) = oneshot::channel();
        let peers = self.clone();
        self.spawn(async move { peers.run_link(introduction, side, endpoint, relay, sender).await });
        opened.await.unwrap_or(Err(ClientError::Interrupted))
    }

    /// Runs a link until it is closed.
    async fn run_link(
        &self,
        introduction: Introduction,
        side: Side,
        endpoint: Endpoint,
        relay: PacketRelay,
        opened: oneshot::Sender<Result<PeerLink, ClientError>>,
    ) {
        let mut relay = pin!(relay.run());
        let name = introduction.name.clone();
        let handshake = timeout(HANDSHAKE_TIMEOUT, self.shake_hands(&endpoint, &introduction, side));
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
        let link = PeerLink(Arc::new(LinkShared {
            introduction,
            relayed: channel.clone(),
            opened: Instant::now(),
            is_accepted: AtomicBool::new(false),
        }));
        debug!(name = %link.name(), "link over the relay");
        self.0.state.lock().links.insert(link.id(), link.clone());
        let _registered = RegisteredLink { peers: self.clone(), id: link.id() };
        self.0.changed.notify_waiters();
        // Fails if the caller does not wait any more; the link may be of use later.
        let _ = opened.send(Ok(link.clone()));
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().announce_offers(link.clone()));
        loop {
            tokio::select! {
                error = &mut relay => {
                    debug!(%error, name = %link.name(), "the relay has ended");
                    return close(&channel, CloseCode::TimedOut);
                }
                accepted = channel.accept() => match accepted {
                    Ok(stream) => {
                        let (link, channel) = (link.clone(), channel.clone());
                        tasks.spawn(self.clone().serve_request(link, channel, stream));
                    }
                    Err(_) => break,
                },
                Some(done) = tasks.join_next() => if let Err(error) = done
                    && error.is_panic()
                {
                    std::panic::resume_unwind(error.into_panic());
                },
            }
        }
        // The last packets, such as the reason of the end, are sent while the relay runs.
        let _ = timeout(CLOSE_TIMEOUT, async {
            tokio::select! {
                _ = &mut relay => {}
                () = endpoint.wait_idle(CLOSE_TIMEOUT) => {}
            }
        })
        .await;
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
                Ok(Channel::new(connection, Role::Peer))
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

/// How long the last packets of a link may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Removes the link when dropped.
struct RegisteredLink {
    peers: Peers,
    id: IntroductionId,
}

impl Drop for RegisteredLink {
    fn drop(&mut self) {
        self.peers.0.state.lock().links.remove(&self.id);
        self.peers.0.changed.notify_waiters();
    }
}
