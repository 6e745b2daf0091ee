//! The introductions under their lock: a table, and the orders in which it is searched.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use quiver_protocol::IntroductionId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio_util::sync::CancellationToken;

use super::{IntroductionEnd, JoinError, LIFETIME, UnknownIntroduction};
use crate::registry::ConnectionId;
use crate::relay::RelayEnd;

/// All introductions. Every entry of the two sets belongs to one of `by_id`.
#[derive(Debug, Default)]
pub(super) struct IntroductionsState {
    by_id: HashMap<IntroductionId, IntroductionState>,
    by_connection: BTreeSet<(ConnectionId, IntroductionId)>,
    /// Open introductions without streams, by the end of their time.
    by_expiry: BTreeSet<(Instant, IntroductionId)>,
}

/// One introduction. The requester is side 0, and the connection that was asked side 1.
#[derive(Debug)]
pub(super) struct IntroductionState {
    pub(super) sides: [ConnectionId; 2],
    /// Tells the streams of the introduction why it has ended.
    pub(super) ended: EndSignal,
    phase: IntroductionPhase,
    is_relayed: bool,
    /// Streams that use it.
    streams: usize,
    agreements: [AgreementState; 2],
    both_agreed: CancellationToken,
    /// Whether each side has a relay stream.
    relaying: [bool; 2],
    /// The side that waits for the other one to relay.
    waiting: Option<(usize, oneshot::Sender<RelayEnd>)>,
    /// Released with the last introduction of one request.
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Whether and why an introduction has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct EndSignal {
    ended: CancellationToken,
    /// Cancelled before `ended` if the side that was asked has declined.
    declined: CancellationToken,
}

#[derive(Debug)]
enum IntroductionPhase {
    /// The other side was asked.
    Pending(oneshot::Sender<bool>),
    /// It has accepted.
    Open { expiry: Instant },
}

#[derive(Debug, Clone, Copy, Default)]
struct AgreementState {
    /// Streams on which the side waits for the other one.
    waiting: usize,
    /// Whether the side agreed, and was told the addresses.
    is_settled: bool,
}

/// What a stream uses an introduction for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    Agreement,
    Relay,
}

impl IntroductionsState {
    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }

    /// Whether no introduction is left in the search orders.
    #[cfg(test)]
    pub(super) fn has_no_orders(&self) -> bool {
        self.by_connection.is_empty() && self.by_expiry.is_empty()
    }

    pub(super) fn insert(
        &mut self,
        id: IntroductionId,
        sides: [ConnectionId; 2],
        answer: oneshot::Sender<bool>,
        is_relayed: bool,
        permit: Arc<OwnedSemaphorePermit>,
    ) {
        let introduction = IntroductionState {
            sides,
            ended: EndSignal::default(),
            phase: IntroductionPhase::Pending(answer),
            is_relayed,
            streams: 0,
            agreements: Default::default(),
            both_agreed: CancellationToken::new(),
            relaying: [false; 2],
            waiting: None,
            _permit: permit,
        };
        self.by_id.insert(id, introduction);
        self.by_connection.extend(sides.map(|connection| (connection, id)));
    }

    pub(super) fn answer(
        &mut self,
        id: IntroductionId,
        connection: ConnectionId,
        is_accepted: bool,
        now: Instant,
    ) -> Result<(), UnknownIntroduction> {
        self.expire(now);
        let introduction = self.by_id.get_mut(&id).ok_or(UnknownIntroduction)?;
        if introduction.sides[1] != connection {
            return Err(UnknownIntroduction);
        }
        if matches!(introduction.phase, IntroductionPhase::Open { .. }) {
            if is_accepted {
                return Err(UnknownIntroduction);
            }
            // A person was asked after the introduction was accepted.
            introduction.ended.declined.cancel();
            self.remove(id);
            return Ok(());
        }
        let expiry = now + LIFETIME;
        let open = IntroductionPhase::Open { expiry };
        let IntroductionPhase::Pending(sender) = std::mem::replace(&mut introduction.phase, open)
        else {
            return Err(UnknownIntroduction);
        };
        let is_late = sender.send(is_accepted).is_err();
        if is_late || !is_accepted {
            self.remove(id);
        } else {
            self.by_expiry.insert((expiry, id));
        }
        if is_late { Err(UnknownIntroduction) } else { Ok(()) }
    }

    /// The open introduction with this id and the connection's side, for one more stream.
    pub(super) fn find(
        &mut self,
        id: IntroductionId,
        connection: ConnectionId,
        now: Instant,
    ) -> Result<(&mut IntroductionState, usize), UnknownIntroduction> {
        self.expire(now);
        let introduction = self.by_id.get_mut(&id).ok_or(UnknownIntroduction)?;
        let side = introduction.sides.iter().position(|side| *side == connection);
        match (side, &introduction.phase) {
            (Some(side), IntroductionPhase::Open { .. }) => Ok((introduction, side)),
            _ => Err(UnknownIntroduction),
        }
    }

    pub(super) fn start_stream(&mut self, id: IntroductionId) {
        let Some(introduction) = self.by_id.get_mut(&id) else { return };
        introduction.streams += 1;
        if let IntroductionPhase::Open { expiry } = introduction.phase {
            self.by_expiry.remove(&(expiry, id));
        }
    }

    pub(super) fn end_stream(&mut self, id: IntroductionId, side: usize, kind: StreamKind) {
        let Some(introduction) = self.by_id.get_mut(&id) else { return };
        introduction.streams -= 1;
        match kind {
            StreamKind::Agreement => {
                let waiting = &mut introduction.agreements[side].waiting;
                *waiting = waiting.saturating_sub(1);
            }
            StreamKind::Relay => {
                introduction.relaying[side] = false;
                introduction.waiting.take_if(|(waiting, _)| *waiting == side);
            }
        }
        if introduction.streams == 0
            && let IntroductionPhase::Open { expiry } = introduction.phase
        {
            self.by_expiry.insert((expiry, id));
        }
    }

    pub(super) fn end_connection(&mut self, connection: ConnectionId) {
        let first = (connection, IntroductionId([0; 16]));
        let last = (connection, IntroductionId([u8::MAX; 16]));
        let ids: Vec<_> = self.by_connection.range(first..=last).map(|(_, id)| *id).collect();
        for id in ids {
            self.remove(id);
        }
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((expiry, id)) = self.by_expiry.first().copied()
            && expiry <= now
        {
            self.remove(id);
        }
    }

    pub(super) fn remove(&mut self, id: IntroductionId) {
        let Some(introduction) = self.by_id.remove(&id) else { return };
        for connection in introduction.sides {
            self.by_connection.remove(&(connection, id));
        }
        if let IntroductionPhase::Open { expiry } = introduction.phase {
            self.by_expiry.remove(&(expiry, id));
        }
        introduction.ended.ended.cancel();
    }
}

impl EndSignal {
    /// Waits for the end.
    pub(super) async fn wait(&self) -> IntroductionEnd {
        self.ended.cancelled().await;
        if self.declined.is_cancelled() {
            IntroductionEnd::Declined
        } else {
            IntroductionEnd::Unknown(UnknownIntroduction)
        }
    }
}

impl IntroductionState {
    /// Records that a side agrees on one more stream. The result is cancelled when both have agreed.
    pub(super) fn agree(&mut self, side: usize) -> CancellationToken {
        self.agreements[side].waiting += 1;
        let other = self.agreements[1 - side];
        if other.is_settled || other.waiting > 0 {
            for agreement in &mut self.agreements {
                agreement.is_settled = true;
            }
            self.both_agreed.cancel();
        }
        self.both_agreed.clone()
    }

    /// Adds a side's relay stream. The result gets that side's end when both have joined.
    pub(super) fn join_relay(
        &mut self,
        side: usize,
    ) -> Result<oneshot::Receiver<RelayEnd>, JoinError> {
        if !self.is_relayed {
            return Err(JoinError::NotRelayed);
        }
        if std::mem::replace(&mut self.relaying[side], true) {
            return Err(JoinError::AlreadyJoined);
        }
        let (sender, end) = oneshot::channel();
        match self.waiting.take() {
            Some((_, other)) => {
                let [own_end, other_end] = RelayEnd::pair();
                // A side that no longer waits drops its end, which ends the relay at once.
                let _ = other.send(other_end);
                let _ = sender.send(own_end);
            }
            None => self.waiting = Some((side, sender)),
        }
        Ok(end)
    }
}
