//! A connection that holds a slot. Each stream it opens is one command.

use std::sync::{Arc, Mutex, PoisonError};

use quiver_protocol::{ClientName, CloseCode, Event};
use quiver_transport::{CommandStream, Connection, Ended, Precedence, StreamError, close};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::command;
use crate::config::{CONTENT_MEMORY, CONTENT_STREAMS, GRACE, LAST_WORD_PATIENCE};
use crate::ledger::Owner;
use crate::registry::{Holder, Slot};
use crate::server::Shared;
use crate::session::event;

/// A client's connection, with its share of a slot.
#[derive(Debug)]
pub struct Member {
    connection: Connection,
    slot: Slot,
    shared: Arc<Shared>,
}

/// What a member's commands may use.
#[derive(Debug)]
pub struct Context {
    /// The server.
    pub shared: Arc<Shared>,
    /// The client's number.
    pub number: u64,
    /// The client's name.
    pub name: ClientName,
    /// By which it came.
    pub connection: Connection,
    /// One permit for each file that may be sent at once.
    pub content: Semaphore,
    /// A permit for each KiB that content may hold in memory.
    pub memory: Semaphore,
    /// What the member's streams know of each other.
    pub precedence: Precedence,
    /// One permit to prove what one side has of a file.
    pub proofs: Semaphore,
    holder: Holder,
    /// The share of a slot; gone once the member has said exit.
    slot: Mutex<Option<Slot>>,
    left: Notify,
}

impl Member {
    /// A guest that was welcomed.
    #[must_use]
    pub fn new(connection: Connection, slot: Slot, shared: Arc<Shared>) -> Self {
        Self { connection, slot, shared }
    }

    /// Serves the member's streams until it leaves, is lost, or the server stops.
    pub async fn run(self) {
        let Self { connection, slot, shared } = self;
        let context = Arc::new(Context {
            number: slot.number(),
            name: slot.name().clone(),
            connection: connection.clone(),
            content: Semaphore::new(CONTENT_STREAMS),
            memory: Semaphore::new(CONTENT_MEMORY / 1024),
            precedence: Precedence::on(connection.clone()),
            proofs: Semaphore::new(1),
            holder: slot.holder(),
            slot: Mutex::new(Some(slot)),
            left: Notify::new(),
            shared,
        });
        let mut commands = JoinSet::new();
        let leaving = serve(&connection, &context, &mut commands).await;
        match leaving {
            Leaving::Lost => {}
            Leaving::Exit => {
                // The goodbye has been said; the client closes, or we do.
                let _ = timeout(LAST_WORD_PATIENCE, connection.closed()).await;
                close(&connection, CloseCode::Goodbye);
            }
            Leaving::Stopping => {
                farewell(&connection, &context, &mut commands).await;
                close(&connection, CloseCode::ShuttingDown);
            }
        }
        let ended = Ended::from(connection.closed().await);
        debug!("connection of Client {}: {} ended: {ended}", context.number, context.name);
        // What still runs has nobody to answer to; dropping it gives back what it holds.
        commands.shutdown().await;
    }
}

enum Leaving {
    Exit,
    Lost,
    Stopping,
}

async fn serve(
    connection: &Connection,
    context: &Arc<Context>,
    commands: &mut JoinSet<()>,
) -> Leaving {
    loop {
        tokio::select! {
            () = context.left.notified() => return Leaving::Exit,
            () = context.shared.stopping.cancelled() => return Leaving::Stopping,
            Some(ended) = commands.join_next() => note(ended),
            stream = connection.accept_bi() => {
                let Ok(stream) = stream else { return Leaving::Lost };
                let stream = CommandStream::from(stream).with(context.precedence.clone());
                commands.spawn(command::answer(context.clone(), stream));
            }
        }
    }
}

/// Says that the server stops, and lets what runs come to its end, within the grace.
async fn farewell(connection: &Connection, context: &Arc<Context>, commands: &mut JoinSet<()>) {
    let hurry = context.shared.hurry.clone();
    let all = async {
        // Whoever lets the server open no stream is told by the close.
        let told = timeout(LAST_WORD_PATIENCE, announce(connection));
        let done = async {
            loop {
                tokio::select! {
                    ended = commands.join_next() => match ended {
                        Some(ended) => note(ended),
                        None => break,
                    },
                    // Refused one by one by the command itself: the server is stopping.
                    stream = connection.accept_bi() => match stream {
                        Ok(stream) => {
                            let stream = CommandStream::from(stream);
                            let stream = stream.with(context.precedence.clone());
                            commands.spawn(command::answer(context.clone(), stream));
                        }
                        Err(_) => break,
                    },
                }
            }
        };
        let _ = tokio::join!(told, done);
    };
    tokio::select! {
        () = hurry.cancelled() => {}
        _ = timeout(GRACE, all) => {}
    }
}

async fn announce(connection: &Connection) -> Result<(), StreamError> {
    let event = Event::Stopping { grace_seconds: GRACE.as_secs() };
    let mut stream = event::say(connection, &event).await?;
    stream.writer.delivered(LAST_WORD_PATIENCE).await;
    Ok(())
}

impl Context {
    /// Whose the files are that it stores.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match self.holder {
            Holder::Account => Owner::account(&self.name),
            Holder::Key(fingerprint) => Owner::key(fingerprint),
            Holder::Connection => Owner::nobody(),
        }
    }

    /// Gives the share of the slot back; the member serves what it has begun, and nothing new.
    pub fn leave(&self) {
        drop(self.slot.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// The last word is said: the connection may close.
    pub fn gone(&self) {
        self.left.notify_one();
    }
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // Its stream is gone with it; the connection and the others go on.
        error!("a command's task failed: {error}");
    }
}
