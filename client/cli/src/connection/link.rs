//! A session that transfers share and make again when its connection is lost: whoever notices first
//! dials, the others go on with what that one got.

use std::path::absolute;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::Fingerprint;
use quiver_transfer::blocking;
use quiver_transport::{Channel, Connection, Ended, StreamError};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::debug;

use super::{Connector, Session};
use crate::failure::Failure;
use crate::output::{Output, human};
use quiver_client::journal::{Direction, Journal, Origin, Unfinished};

/// How long to wait before a server is dialled again; then twice that, up to the other.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The way to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Link(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connector: tokio::sync::Mutex<Connector>,
    state: Mutex<State>,
    renewed: Notify,
    origin: Origin,
    journal: Journal,
    unfinished: Unfinished,
    output: Output,
    identity_not_kept: Option<String>,
    /// Whether it was said what cannot be kept.
    noted: AtomicBool,
}

#[derive(Debug)]
struct State {
    line: Line,
    /// A session that a transfer made, for whoever listens to events.
    fresh: Option<Session>,
    /// The connection whose loss was told.
    told: Option<usize>,
}

/// What a transfer needs of a session.
#[derive(Debug, Clone)]
pub struct Line {
    /// Where commands are asked.
    pub connection: Channel,
    /// The longest silence in a command.
    pub patience: Duration,
    /// One permit for each content stream.
    pub content: Arc<Semaphore>,
}

/// How long a transfer waits for a lost server: up to its patience, counted from its last progress.
#[derive(Debug)]
pub struct Hold {
    patience: Duration,
    deadline: Option<Instant>,
    pause: Duration,
}

impl Link {
    /// Goes on with a session of a connector.
    ///
    /// # Panics
    /// Never: a connector that has made a session knows whom it trusts.
    #[must_use]
    pub fn new(connector: Connector, session: &Session) -> Self {
        let origin = Origin {
            server: connector.server.clone(),
            fingerprint: connector
                .pin
                .as_ref()
                .map_or(Fingerprint([0; 32]), super::Pin::fingerprint),
            // Without a current folder there is no telling where a relative path leads later.
            certificate: connector.certificate.as_ref().and_then(|path| absolute(path).ok()),
            name: session.welcome.name.clone(),
        };
        let state = State { line: Line::of(session), fresh: None, told: None };
        Self(Arc::new(Shared {
            journal: connector.journal.clone(),
            unfinished: connector.unfinished.clone(),
            output: connector.output.clone(),
            identity_not_kept: connector.identity_not_kept.clone(),
            noted: AtomicBool::new(false),
            connector: tokio::sync::Mutex::new(connector),
            state: Mutex::new(state),
            renewed: Notify::new(),
            origin,
        }))
    }

    /// Where commands are asked now.
    #[must_use]
    pub fn line(&self) -> Line {
        self.lock().line.clone()
    }

    /// Which server this is.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// What is unfinished, on disk.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// What is unfinished in this run.
    #[must_use]
    pub fn unfinished(&self) -> &Unfinished {
        &self.0.unfinished
    }

    /// Says, once, what of a transfer that is about to begin no later run can go on with, where that is so.
    pub async fn note_what_is_not_kept(&self, direction: Direction) {
        if self.0.noted.load(Ordering::Relaxed) {
            return;
        }
        let note = match (direction, &self.0.identity_not_kept) {
            (Direction::Put, Some(why)) => {
                format!("note: a later run cannot resume an upload that breaks off: {why}")
            }
            _ => {
                let journal = self.0.journal.clone();
                // Fails only where the runtime is going down.
                match blocking::run(move || journal.check()).await {
                    Ok(Err(why)) => {
                        format!("note: quiver resume cannot find what breaks off: {why}")
                    }
                    _ => return,
                }
            }
        };
        self.0.noted.store(true, Ordering::Relaxed);
        self.0.output.say(human::without_numbers(note)).await;
    }

    /// Waits for a session that a transfer made.
    pub async fn renewed(&self) -> Session {
        loop {
            let renewed = self.0.renewed.notified();
            if let Some(session) = self.fresh() {
                return session;
            }
            renewed.await;
        }
    }

    /// The session that a transfer made, where one did.
    #[must_use]
    pub fn fresh(&self) -> Option<Session> {
        self.lock().fresh.take()
    }

    /// Connects again, once, as the same client; or takes what a transfer has made meanwhile.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn reconnect(&self) -> Result<Session, Failure> {
        let mut connector = self.0.connector.lock().await;
        if let Some(session) = self.fresh()
            && session.connection.close_reason().is_none()
        {
            return Ok(session);
        }
        let session = connector.reconnect().await?;
        self.lock().line = Line::of(&session);
        Ok(session)
    }

    /// After `why` ended what was under way on `lost`: waits for a while, and makes sure that there is
    /// a connection. Says so, once a loss.
    ///
    /// # Errors
    /// [`Failure`] where trying again is of no use; `None` where the time is up.
    pub async fn again(
        &self,
        lost: &Connection,
        why: &StreamError,
        hold: &mut Hold,
    ) -> Result<(), Option<Failure>> {
        let Some(deadline) = hold.deadline() else { return Err(None) };
        self.tell(lost, why, deadline).await;
        // A server that says it knows nothing of the connection is there. It need not say so twice.
        let mut is_there = matches!(why, StreamError::Lost(Ended::Reset)) && hold.is_fresh();
        loop {
            let Some(moment) = hold.next(deadline) else { return Err(None) };
            // The first one to notice may have made another long since.
            if !is_there && !self.is_renewed(lost) {
                sleep_until(moment).await;
            }
            is_there = false;
            match timeout_at(deadline, self.renew(lost)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(failure)) if failure.is_passing() => {
                    debug!(%failure, "no connection yet");
                }
                Ok(Err(failure)) => return Err(Some(failure)),
                Err(_) => return Err(None),
            }
        }
    }

    async fn tell(&self, lost: &Connection, why: &StreamError, deadline: Instant) {
        if self.lock().told.replace(lost.stable_id()) == Some(lost.stable_id()) {
            return;
        }
        let why = match why {
            StreamError::Lost(ended) => format!("connection lost ({ended})"),
            StreamError::Refused(refusal) => refusal.to_string(),
            other => format!("connection lost ({other})"),
        };
        let seconds = deadline.saturating_duration_since(Instant::now()).as_secs_f64().round();
        self.0.output.say(format!("{why}: trying again for {seconds} s")).await;
    }

    fn is_renewed(&self, lost: &Connection) -> bool {
        let connection = &self.lock().line.connection;
        connection.stable_id() != lost.stable_id() && connection.close_reason().is_none()
    }

    /// A connection that is not the lost one, or that one where it lives.
    async fn renew(&self, lost: &Connection) -> Result<(), Failure> {
        let mut connector = self.0.connector.lock().await;
        if self.is_renewed(lost) || lost.close_reason().is_none() {
            return Ok(());
        }
        let session = connector.reconnect().await?;
        let mut state = self.lock();
        state.line = Line::of(&session);
        state.fresh = Some(session);
        drop(state);
        self.0.renewed.notify_waiters();
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock()
    }
}

impl Line {
    fn of(session: &Session) -> Self {
        Self {
            connection: session.connection.clone(),
            patience: session.patience,
            content: session.content.clone(),
        }
    }
}

impl Hold {
    /// For a transfer that has just begun. No patience at all never waits.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience, deadline: None, pause: PAUSE }
    }

    /// There was progress: the time begins anew with the next loss.
    pub fn progress(&mut self) {
        (self.deadline, self.pause) = (None, PAUSE);
    }

    /// Whether nothing was tried yet since the last progress.
    fn is_fresh(&self) -> bool {
        self.pause == PAUSE
    }

    fn deadline(&mut self) -> Option<Instant> {
        if self.patience.is_zero() {
            return None;
        }
        Some(*self.deadline.get_or_insert_with(|| Instant::now() + self.patience))
    }

    /// When to try next, if in time.
    fn next(&mut self, deadline: Instant) -> Option<Instant> {
        let moment = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        (moment < deadline).then_some(moment)
    }
}
