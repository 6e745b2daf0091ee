//! The connection with one other client: a path over the relay, a direct one, or both. Opens and dials nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::{ClientName, CloseCode, Fingerprint, Introduction, IntroductionId};
use quiver_transport::role::CLIENT_CONTENT_STREAMS;
use quiver_transport::{Channel, ConnectionEnd, StreamError, close};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore, watch};
use tokio::time::Instant;

use super::dial_rounds::DialRounds;
use crate::peer_path::{NotDirect, PeerPath, PeerStatus};
use crate::reconnecting::{MoveSignal, SessionHandle};

/// Which side asked for the introduction: it dials over the relay, and starts attempts to connect directly.
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
    side: Side,
    opened: Instant,
    state: Mutex<LinkState>,
    /// Notified when a path is added, superseded or closed, and when the contact is accepted.
    changed: Notify,
    /// Whether this person has accepted the contact, so that it may learn this client's address.
    is_accepted: AtomicBool,
    /// The direct dials that have run and may run.
    dial_rounds: Mutex<DialRounds>,
    dialling: AsyncMutex<()>,
    /// One permit for each content stream that may be open, over all paths.
    content_permits: Arc<Semaphore>,
    closed_relayed_bytes: AtomicU64,
    closed_direct_bytes: AtomicU64,
}

#[derive(Debug)]
struct LinkState {
    relayed: Option<LinkPath>,
    direct: Option<LinkPath>,
    not_direct: NotDirect,
    previous: Option<PeerPath>,
}

/// One path of a link.
#[derive(Debug)]
struct LinkPath {
    channel: Channel,
    /// True while the link has a better path, to which transfers move.
    is_superseded: watch::Sender<bool>,
}

impl LinkPath {
    fn new(channel: Channel) -> Self {
        Self { channel, is_superseded: watch::channel(false).0 }
    }

    fn is_open(&self) -> bool {
        self.channel.close_reason().is_none()
    }

    fn is_usable(&self) -> bool {
        self.is_open() && !*self.is_superseded.borrow()
    }

    fn bytes(&self) -> u64 {
        let statistics = self.channel.stats();
        statistics.udp_tx.bytes + statistics.udp_rx.bytes
    }
}

impl LinkState {
    /// The path for new streams.
    fn best(&self) -> Option<&LinkPath> {
        let paths = || self.direct.iter().chain(&self.relayed);
        paths().find(|path| path.is_usable()).or_else(|| paths().find(|path| path.is_open()))
    }

    fn path(&self) -> PeerPath {
        match self.best() {
            None => PeerPath::Closed,
            Some(best) if self.is_direct(best) => {
                let address = best.channel.remote_address();
                PeerPath::Direct { address: (address.ip().to_canonical(), address.port()).into() }
            }
            Some(_) => PeerPath::Relayed { why: self.not_direct },
        }
    }

    fn is_direct(&self, path: &LinkPath) -> bool {
        self.direct.as_ref().is_some_and(|direct| std::ptr::eq(direct, path))
    }
}

impl PeerLink {
    /// A link over the relay (`is_direct` false) or a direct connection.
    pub(super) fn new(
        introduction: Introduction,
        side: Side,
        channel: Channel,
        is_direct: bool,
        not_direct: NotDirect,
    ) -> Self {
        let path = Some(LinkPath::new(channel));
        let (relayed, direct) = if is_direct { (None, path) } else { (path, None) };
        let state = LinkState { relayed, direct, not_direct, previous: None };
        let opened = Instant::now();
        Self(Arc::new(LinkShared {
            dial_rounds: Mutex::new(DialRounds::new(introduction.id, opened)),
            dialling: AsyncMutex::default(),
            introduction,
            side,
            opened,
            state: Mutex::new(state),
            changed: Notify::new(),
            is_accepted: AtomicBool::new(false),
            content_permits: Arc::new(Semaphore::new(CLIENT_CONTENT_STREAMS as usize)),
            closed_relayed_bytes: AtomicU64::new(0),
            closed_direct_bytes: AtomicU64::new(0),
        }))
    }

    /// The introduction that led to this link.
    pub(super) fn introduction(&self) -> &Introduction {
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

    pub(super) fn side(&self) -> Side {
        self.0.side
    }

    pub(super) fn opened(&self) -> Instant {
        self.0.opened
    }

    pub(super) fn is_with(&self, name: &ClientName) -> bool {
        self.name().key() == name.key()
    }

    /// The rounds of direct dials that have run and may run.
    pub(super) fn dial_rounds(&self) -> MutexGuard<'_, DialRounds> {
        self.0.dial_rounds.lock()
    }

    /// Lets direct dials use another introduction, for which the other client has asked. Returns whether they may.
    pub(super) fn replace_dial_introduction(&self, id: IntroductionId) -> bool {
        let (mut rounds, now) = (self.dial_rounds(), Instant::now());
        let may_replace = rounds.may_be_replaced(now);
        if may_replace {
            *rounds = DialRounds::new(id, now);
        }
        may_replace
    }

    /// Held while the requester of the introduction dials, so that it does not do so for both sides at once.
    pub(super) fn dialling(&self) -> &AsyncMutex<()> {
        &self.0.dialling
    }

    /// The best connection at present.
    ///
    /// # Errors
    /// [`StreamError::Lost`] if there is none.
    pub(crate) fn channel(&self) -> Result<Channel, StreamError> {
        let best = self.0.state.lock().best().map(|path| path.channel.clone());
        best.ok_or(StreamError::Lost(ConnectionEnd::TimedOut))
    }

    /// The connection over the relay, if there is one.
    pub(super) fn relayed(&self) -> Option<Channel> {
        let state = self.0.state.lock();
        state.relayed.as_ref().filter(|path| path.is_open()).map(|path| path.channel.clone())
    }

    /// A session for transfers over the best connection at present; it moves when there is a better one.
    pub(crate) fn handle(&self, timeout: Duration) -> Option<SessionHandle> {
        let state = self.0.state.lock();
        let best = state.best()?;
        let moves = MoveSignal::from(best.is_superseded.subscribe());
        let permits = self.0.content_permits.clone();
        Some(SessionHandle::with_peer(best.channel.clone(), timeout, permits, moves))
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        self.0.state.lock().best().is_some()
    }

    pub(super) fn has_direct(&self) -> bool {
        self.0.state.lock().direct.as_ref().is_some_and(LinkPath::is_usable)
    }

    /// Resolves at the next change of paths, or when the contact is accepted.
    pub(super) fn changed(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.changed.notified()
    }

    pub(super) fn notify_changed(&self) {
        self.0.changed.notify_waiters();
    }

    /// Waits until there is no connection any more.
    pub(crate) async fn closed(&self) {
        loop {
            let changed = self.changed();
            let Ok(channel) = self.channel() else { return };
            tokio::select! {
                _ = channel.closed() => {}
                () = changed => {}
            }
        }
    }

    /// Waits until another connection than `channel` is the best.
    pub(super) async fn replaces(&self, channel: &Channel) {
        loop {
            let changed = self.changed();
            if self.channel().is_ok_and(|best| best.stable_id() != channel.stable_id()) {
                return;
            }
            changed.await;
        }
    }

    /// Lets the contact learn this client's address.
    pub(crate) fn set_accepted(&self) {
        self.0.is_accepted.store(true, Ordering::Relaxed);
        self.notify_changed();
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.0.is_accepted.load(Ordering::Relaxed)
    }

    /// Makes a direct connection the path of this link: transfers move to it. Returns the path, if it has changed.
    pub(super) fn set_direct(&self, channel: Channel) -> Option<PeerPath> {
        self.change(|state, shared| {
            if let Some(old) = state.direct.replace(LinkPath::new(channel)) {
                shared.closed_direct_bytes.fetch_add(old.bytes(), Ordering::Relaxed);
                old.is_superseded.send_replace(true);
                close(&old.channel, CloseCode::Superseded);
            }
            if let Some(relayed) = &state.relayed {
                relayed.is_superseded.send_replace(true);
            }
        })
    }

    /// Moves transfers from the direct path back to the relay, because nothing is acknowledged there.
    pub(super) fn suspect_direct(&self) -> Option<PeerPath> {
        self.change(|state, _| {
            state.not_direct = NotDirect::Lost;
            if let Some(relayed) = state.relayed.as_ref().filter(|path| path.is_open()) {
                relayed.is_superseded.send_replace(false);
                if let Some(direct) = &state.direct {
                    direct.is_superseded.send_replace(true);
                }
            }
        })
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&self, channel: &Channel) -> Option<PeerPath> {
        self.change(|state, shared| {
            let is_removed = |path: &mut LinkPath| path.channel.stable_id() == channel.stable_id();
            if let Some(path) = state.direct.take_if(is_removed) {
                shared.closed_direct_bytes.fetch_add(path.bytes(), Ordering::Relaxed);
                path.is_superseded.send_replace(true);
                state.not_direct = NotDirect::Lost;
                if let Some(relayed) = &state.relayed {
                    relayed.is_superseded.send_replace(false);
                }
            }
            if let Some(path) = state.relayed.take_if(is_removed) {
                shared.closed_relayed_bytes.fetch_add(path.bytes(), Ordering::Relaxed);
                path.is_superseded.send_replace(true);
            }
        })
    }

    /// Sets why there is no direct connection.
    pub(super) fn set_not_direct(&self, why: NotDirect) {
        self.0.state.lock().not_direct = why;
    }

    /// Changes the paths. Returns the path from now on, if it is another one than before.
    fn change(&self, change: impl FnOnce(&mut LinkState, &LinkShared)) -> Option<PeerPath> {
        let path = {
            let mut state = self.0.state.lock();
            let before = state.path();
            change(&mut state, &self.0);
            let after = state.path();
            let is_other = std::mem::discriminant(&before) != std::mem::discriminant(&after);
            is_other.then(|| {
                state.previous = Some(before);
                after
            })
        };
        self.notify_changed();
        path
    }

    /// The state of the link.
    pub(crate) fn status(&self) -> PeerStatus {
        let state = self.0.state.lock();
        let bytes = |path: &Option<LinkPath>, closed: &AtomicU64| {
            path.as_ref().map_or(0, LinkPath::bytes) + closed.load(Ordering::Relaxed)
        };
        PeerStatus {
            name: self.name().clone(),
            key: self.key(),
            path: state.path(),
            previous: state.previous.clone(),
            round_trip: state.best().map(|path| path.channel.rtt()),
            relayed_bytes: bytes(&state.relayed, &self.0.closed_relayed_bytes),
            direct_bytes: bytes(&state.direct, &self.0.closed_direct_bytes),
        }
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        let state = self.0.state.lock();
        for path in state.direct.iter().chain(&state.relayed) {
            close(&path.channel, CloseCode::Goodbye);
        }
    }
}
