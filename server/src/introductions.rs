//! Open introductions: which two connections may use which id, and for how long. Knows no streams and no names; ids and
//! the time are passed in.
//!
//! An introduction starts when a connection is asked, opens when it accepts, and ends after a while without streams,
//! or with either of the two connections.

mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quiver_protocol::IntroductionId;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::state::{EndSignal, IntroductionsState, StreamKind};
use crate::registry::ConnectionId;
use crate::relay::RelayEnd;

/// How long an introduction stays open while no stream uses it.
pub const LIFETIME: Duration = Duration::from_secs(30);

/// The introductions of all connections. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Introductions(Arc<Mutex<IntroductionsState>>);

/// No introduction of this connection that is open has this id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no introduction of this connection has this id")]
pub struct UnknownIntroduction;

/// Why a side of an introduction does not wait for the other one any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IntroductionEnd {
    /// The introduction has ended.
    #[error(transparent)]
    Unknown(#[from] UnknownIntroduction),
    /// The client that was asked had accepted, and has declined since.
    #[error("the other client has declined")]
    Declined,
}

/// Why a connection cannot relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JoinError {
    /// It has no such introduction.
    #[error(transparent)]
    Unknown(#[from] UnknownIntroduction),
    /// The clients were told that the server does not relay for them.
    #[error("the server does not relay for this introduction")]
    NotRelayed,
    /// It has a relay stream of this introduction already.
    #[error("this connection has a relay of this introduction already")]
    AlreadyJoined,
}

/// The answer of a connection that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntroductionAnswer {
    /// It takes the introduction.
    Accepted,
    /// It does not.
    Declined,
    /// It has not answered in time, or has ended.
    Missing,
}

/// An introduction whose other side was asked. Dropping it ends the introduction, unless it was
/// [completed](Self::complete).
#[derive(Debug)]
pub struct PendingIntroduction {
    id: IntroductionId,
    answer: oneshot::Receiver<bool>,
    introductions: Introductions,
    is_complete: bool,
}

/// A stream of an introduction. The introduction stays open until it is dropped.
#[derive(Debug)]
struct IntroductionStream {
    id: IntroductionId,
    side: usize,
    kind: StreamKind,
    ended: EndSignal,
    introductions: Introductions,
}

/// One side's agreement that both learn each other's address. Dropping it before the other side agrees withdraws it.
#[derive(Debug)]
pub struct PendingAgreement {
    both_agreed: CancellationToken,
    other: ConnectionId,
    stream: IntroductionStream,
}

/// One side of a relay, which may still wait for the other one.
#[derive(Debug)]
pub struct JoinedRelay {
    end: oneshot::Receiver<RelayEnd>,
    stream: IntroductionStream,
}

/// A connection whose introductions end when this is dropped.
#[derive(Debug)]
pub struct IntroducedConnection {
    connection: ConnectionId,
    introductions: Introductions,
}

impl Introductions {
    /// Ends all introductions of the connection when the result is dropped.
    #[must_use]
    pub fn end_with(&self, connection: ConnectionId) -> IntroducedConnection {
        IntroducedConnection { connection, introductions: self.clone() }
    }

    /// Starts an introduction of the `requester` to a connection that is asked. `is_relayed` is whether both may relay.
    /// The permit is released when the introduction ends.
    #[must_use]
    pub fn start(
        &self,
        id: IntroductionId,
        requester: ConnectionId,
        asked: ConnectionId,
        is_relayed: bool,
        permit: Arc<OwnedSemaphorePermit>,
    ) -> PendingIntroduction {
        let (sender, answer) = oneshot::channel();
        self.0.lock().insert(id, [requester, asked], sender, is_relayed, permit);
        PendingIntroduction { id, answer, introductions: self.clone(), is_complete: false }
    }

    /// Records the answer of the connection that was asked. It may decline later what it has accepted, which ends the
    /// introduction.
    ///
    /// # Errors
    /// [`UnknownIntroduction`], also if the answer is late, or accepts for the second time.
    pub fn answer(
        &self,
        id: IntroductionId,
        connection: ConnectionId,
        is_accepted: bool,
        now: Instant,
    ) -> Result<(), UnknownIntroduction> {
        self.0.lock().answer(id, connection, is_accepted, now)
    }

    /// The connection on the other side of an open introduction.
    ///
    /// # Errors
    /// [`UnknownIntroduction`].
    pub fn other_side(
        &self,
        id: IntroductionId,
        connection: ConnectionId,
        now: Instant,
    ) -> Result<ConnectionId, UnknownIntroduction> {
        let mut state = self.0.lock();
        let (introduction, side) = state.find(id, connection, now)?;
        Ok(introduction.sides[1 - side])
    }

    /// Records that this side agrees.
    ///
    /// # Errors
    /// [`UnknownIntroduction`].
    pub fn agree(
        &self,
        id: IntroductionId,
        connection: ConnectionId,
        now: Instant,
    ) -> Result<PendingAgreement, UnknownIntroduction> {
        let mut state = self.0.lock();
        let (introduction, side) = state.find(id, connection, now)?;
        let both_agreed = introduction.agree(side);
        let (other, ended) = (introduction.sides[1 - side], introduction.ended.clone());
        state.start_stream(id);
        let stream = self.stream(id, side, StreamKind::Agreement, ended);
        Ok(PendingAgreement { both_agreed, other, stream })
    }

    /// Joins the relay of an introduction.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn join_relay(
        &self,
        id: IntroductionId,
        connection: ConnectionId,
        now: Instant,
    ) -> Result<JoinedRelay, JoinError> {
        let mut state = self.0.lock();
        let (introduction, side) = state.find(id, connection, now)?;
        let end = introduction.join_relay(side)?;
        let ended = introduction.ended.clone();
        state.start_stream(id);
        Ok(JoinedRelay { end, stream: self.stream(id, side, StreamKind::Relay, ended) })
    }

    /// Ends the introductions whose time is over, and releases their permits. Every other call does so too.
    pub fn expire(&self, now: Instant) {
        self.0.lock().expire(now);
    }

    /// The number of introductions that have started and not ended.
    #[must_use]
    pub fn count(&self, now: Instant) -> usize {
        let mut state = self.0.lock();
        state.expire(now);
        state.count()
    }

    fn stream(
        &self,
        id: IntroductionId,
        side: usize,
        kind: StreamKind,
        ended: EndSignal,
    ) -> IntroductionStream {
        IntroductionStream { id, side, kind, ended, introductions: self.clone() }
    }
}

impl PendingIntroduction {
    /// Waits for the answer.
    pub async fn answered(&mut self, limit: Duration) -> IntroductionAnswer {
        let answer = match timeout(limit, &mut self.answer).await {
            Ok(answer) => answer.ok(),
            // From now on an answer is late.
            Err(_) => {
                self.answer.close();
                self.answer.try_recv().ok()
            }
        };
        match answer {
            Some(true) => IntroductionAnswer::Accepted,
            Some(false) => IntroductionAnswer::Declined,
            None => IntroductionAnswer::Missing,
        }
    }

    /// Keeps the introduction open, because its requester knows of it now.
    pub fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for PendingIntroduction {
    fn drop(&mut self) {
        if !self.is_complete {
            self.introductions.0.lock().remove(self.id);
        }
    }
}

impl PendingAgreement {
    /// The connection of the other side.
    #[must_use]
    pub fn other(&self) -> ConnectionId {
        self.other
    }

    /// Waits until both sides have agreed.
    ///
    /// # Errors
    /// [`IntroductionEnd`] if the introduction ends before.
    pub async fn resolved(&self) -> Result<(), IntroductionEnd> {
        tokio::select! {
            biased;
            () = self.both_agreed.cancelled() => Ok(()),
            end = self.stream.ended.wait() => Err(end),
        }
    }
}

impl JoinedRelay {
    /// Whether this is the side that asked for the introduction.
    #[must_use]
    pub fn is_requester(&self) -> bool {
        self.stream.side == 0
    }

    /// Waits for the other side.
    ///
    /// # Errors
    /// [`IntroductionEnd`] if the introduction ends before.
    pub async fn connected(&mut self) -> Result<RelayEnd, IntroductionEnd> {
        tokio::select! {
            // The sender of the relay's end is dropped with the introduction.
            biased;
            end = self.stream.ended.wait() => Err(end),
            end = &mut self.end => end.map_err(|_| UnknownIntroduction.into()),
        }
    }

    /// Resolves when the introduction has ended.
    pub async fn ended(&self) {
        self.stream.ended.wait().await;
    }
}

impl Drop for IntroductionStream {
    fn drop(&mut self) {
        self.introductions.0.lock().end_stream(self.id, self.side, self.kind);
    }
}

impl Drop for IntroducedConnection {
    fn drop(&mut self) {
        self.introductions.0.lock().end_connection(self.connection);
    }
}

#[cfg(test)]
mod tests;
