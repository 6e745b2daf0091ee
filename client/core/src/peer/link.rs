//! The connection with one other client: a path over the relay, a direct one, or both. Opens and dials nothing.

mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::{ClientName, CloseCode, Fingerprint, Introduction, IntroductionId};
use quiver_transport::role::CLIENT_CONTENT_STREAMS;
use quiver_transport::{Channel, CongestionReport, ConnectionEnd, StreamError, close};
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore};
use tokio::time::Instant;

use self::state::{LinkPath, LinkState};
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
    /// The direct dials that have run and may run.
    dial_rounds: Mutex<DialRounds>,
    dialling: AsyncMutex<()>,
    /// One permit for each content stream that may be open, over all paths.
    content_permits: Arc<Semaphore>,
    closed_relayed_bytes: AtomicU64,
    closed_direct_bytes: AtomicU64,
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
        let state = LinkState {
            relayed,
            direct,
            not_direct,
            replaced: Vec::new(),
            previous: None,
            is_accepted: false,
            is_accepted_by_other: None,
        };
        let opened = Instant::now();
        Self(Arc::new(LinkShared {
            dial_rounds: Mutex::new(DialRounds::new(introduction.id, opened)),
            dialling: AsyncMutex::default(),
            introduction,
            side,
            opened,
            state: Mutex::new(state),
            changed: Notify::new(),
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

    /// Held during a round of dials, so that a side runs one at a time however often the other one asks. The requester
    /// of the introduction also holds it while it asks.
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
        self.0.state.lock().is_accepted = true;
        self.notify_changed();
    }

    pub(super) fn is_accepted(&self) -> bool {
        self.0.state.lock().is_accepted
    }

    /// Records whether the other person has accepted this one.
    pub(super) fn set_accepted_by_other(&self, is_accepted: bool) {
        self.0.state.lock().is_accepted_by_other = Some(is_accepted);
    }

    /// Whether the other person has accepted this one; `None` if this client does not know.
    pub(super) fn is_accepted_by_other(&self) -> Option<bool> {
        self.0.state.lock().is_accepted_by_other
    }

    /// Makes a direct connection the path of this link: transfers move to it. Returns the path, if it has changed. An
    /// earlier direct connection stays open until [`close_replaced`](Self::close_replaced).
    pub(super) fn set_direct(&self, channel: Channel) -> Option<PeerPath> {
        self.change(|state, _| {
            if let Some(old) = state.direct.replace(LinkPath::new(channel)) {
                old.is_superseded.send_replace(true);
                state.replaced.push(old);
            }
            if let Some(relayed) = &state.relayed {
                relayed.is_superseded.send_replace(true);
            }
        })
    }

    /// Closes the direct connections that another one has replaced.
    pub(super) fn close_replaced(&self) {
        let mut state = self.0.state.lock();
        for path in std::mem::take(&mut state.replaced) {
            self.0.closed_direct_bytes.fetch_add(path.bytes(), Ordering::Relaxed);
            close(&path.channel, CloseCode::Superseded);
        }
    }

    /// The lowest round trip of the direct path, if it is used.
    pub(super) fn direct_round_trip(&self) -> Option<Duration> {
        let state = self.0.state.lock();
        let direct = state.direct.as_ref().filter(|path| path.is_usable())?;
        Some(CongestionReport::of(&direct.channel).lowest_round_trip)
    }

    /// Moves transfers from a direct path back to the relay, because nothing is acknowledged there.
    pub(super) fn suspect_direct(&self, channel: &Channel) -> Option<PeerPath> {
        self.change(|state, _| {
            if state.direct.as_ref().is_none_or(|direct| !direct.is_of(channel)) {
                return;
            }
            state.not_direct = NotDirect::Lost;
            if let Some(relayed) = state.relayed.as_ref().filter(|path| path.is_open()) {
                relayed.is_superseded.send_replace(false);
                if let Some(direct) = &state.direct {
                    direct.is_superseded.send_replace(true);
                }
            }
        })
    }

    /// Uses a direct path again that was left, because packets arrive on it again.
    pub(super) fn trust_direct(&self, channel: &Channel) -> Option<PeerPath> {
        self.change(|state, _| {
            if let Some(direct) = state.direct.as_ref().filter(|direct| direct.is_of(channel)) {
                direct.is_superseded.send_replace(false);
                if let Some(relayed) = &state.relayed {
                    relayed.is_superseded.send_replace(true);
                }
            }
        })
    }

    /// Removes a connection that has ended.
    pub(super) fn remove(&self, channel: &Channel) -> Option<PeerPath> {
        self.change(|state, shared| {
            let is_removed = |path: &mut LinkPath| path.is_of(channel);
            for path in state.replaced.extract_if(.., is_removed) {
                shared.closed_direct_bytes.fetch_add(path.bytes(), Ordering::Relaxed);
            }
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
                if let Some(direct) = &state.direct {
                    // It may have been left for the relay.
                    direct.is_superseded.send_replace(false);
                }
            }
        })
    }

    /// Records that the other client takes part in no direct dials: because its person has not accepted this one yet, or
    /// for good.
    pub(super) fn set_declined(&self, is_for_now: bool) {
        let mut state = self.0.state.lock();
        let is_not_accepted = is_for_now && state.is_accepted_by_other != Some(true);
        if is_not_accepted {
            state.is_accepted_by_other = Some(false);
        }
        state.not_direct =
            if is_not_accepted { NotDirect::NotAccepted } else { NotDirect::Declined };
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
            let is_same = match (&before, &after) {
                // Another reason is no other path.
                (PeerPath::Relayed { .. }, PeerPath::Relayed { .. }) => true,
                (before, after) => before == after,
            };
            (!is_same).then(|| {
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
        let replaced: u64 = state.replaced.iter().map(LinkPath::bytes).sum();
        PeerStatus {
            name: self.name().clone(),
            key: self.key(),
            path: state.path(),
            previous: state.previous.clone(),
            round_trip: state.best().map(|path| path.channel.rtt()),
            relayed_bytes: bytes(&state.relayed, &self.0.closed_relayed_bytes),
            direct_bytes: bytes(&state.direct, &self.0.closed_direct_bytes) + replaced,
        }
    }

    /// Closes all connections.
    pub(crate) fn close(&self) {
        let state = self.0.state.lock();
        for path in state.direct.iter().chain(&state.relayed).chain(&state.replaced) {
            close(&path.channel, CloseCode::Goodbye);
        }
    }
}
