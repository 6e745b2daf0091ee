//! A connection that holds a slot. Each stream it opens is one command.

use std::sync::Arc;

use parking_lot::Mutex;
use quinn::{RecvStream, SendStream};
use quiver_protocol::{ClientName, CloseCode, Event};
use quiver_transfer::Lane;
use quiver_transport::{CommandStream, Connection, Ended, Precedence, StreamError, close};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::client_limits::ClientLimits;
use crate::command::{self, exit};
use crate::config::{ANSWER_TIMEOUT, CONTENT_MEMORY, CONTENT_STREAMS, GRACE, LAST_WORD_PATIENCE};
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
    /// What all connections of the client may do at once.
    pub limits: Arc<ClientLimits>,
    holder: Holder,
    /// The stream on which the member said exit.
    exit: Mutex<Option<CommandStream>>,
    has_exited: Notify,
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
        let counted = shared.metrics.member();
        let context = Arc::new(Context {
            number: slot.number(),
            name: slot.name().clone(),
            connection: connection.clone(),
            content: Semaphore::new(CONTENT_STREAMS),
            memory: Semaphore::new(CONTENT_MEMORY / 1024),
            precedence: Precedence::on(connection.clone()),
            limits: slot.limits().clone(),
            holder: slot.holder(),
            exit: Mutex::new(None),
            has_exited: Notify::new(),
            shared,
        });
        let mut commands = JoinSet::new();
        let leaving = serve(&connection, &context, &mut commands).await;
        match leaving {
            Leaving::Lost => {}
            Leaving::Exit(stream) => {
                // First all that the connection holds, then its share of a slot.
                commands.shutdown().await;
                drop(slot);
                drop(counted);
                farewell(&connection, &context, stream).await;
            }
            Leaving::Stopping => {
                let _slot = slot;
                finish_commands(&connection, &context, &mut commands).await;
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
    /// The client said exit on this stream.
    Exit(Option<CommandStream>),
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
            () = context.has_exited.notified() => return Leaving::Exit(context.take_exit()),
            () = context.shared.stopping.cancelled() => return Leaving::Stopping,
            Some(ended) = commands.join_next() => note(ended),
            stream = connection.accept_bi() => {
                let Ok(stream) = stream else { return Leaving::Lost };
                commands.spawn(command::answer(context.clone(), context.command_stream(stream)));
            }
        }
    }
}

/// Says goodbye and closes the connection: once the client has closed it, or 2 seconds later, or when others that
/// leave need the place.
async fn farewell(connection: &Connection, context: &Context, stream: Option<CommandStream>) {
    let mut place = context.shared.leaving.enter();
    let said = async {
        if let Some(stream) = stream
            && let Err(error) = exit::say_goodbye(stream).await
        {
            debug!("{} did not hear the goodbye: {error}", context.name);
        }
        connection.closed().await;
    };
    tokio::select! {
        () = place.lost() => debug!("{} made room for others that leave", context.name),
        _ = timeout(LAST_WORD_PATIENCE, said) => {}
    }
    close(connection, CloseCode::Goodbye);
}

/// Says that the server stops, and lets what runs come to its end, within the grace.
async fn finish_commands(
    connection: &Connection,
    context: &Arc<Context>,
    commands: &mut JoinSet<()>,
) {
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
                            let stream = context.command_stream(stream);
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

    /// Where folders are listed for this client, in turns with others.
    #[must_use]
    pub fn list_lane(&self) -> Lane {
        self.shared.lists.lane(self.number)
    }

    /// Where files are hashed for this client, in turns with others.
    #[must_use]
    pub fn proof_lane(&self) -> Lane {
        self.shared.proofs.lane(self.number)
    }

    /// The client said exit on this stream, on which it is owed a goodbye.
    pub fn leave(&self, stream: CommandStream) {
        *self.exit.lock() = Some(stream);
        self.has_exited.notify_one();
    }

    fn take_exit(&self) -> Option<CommandStream> {
        self.exit.lock().take()
    }

    fn command_stream(&self, stream: (SendStream, RecvStream)) -> CommandStream {
        let stream = CommandStream::from(stream).with(self.precedence.clone());
        stream.with_write_timeout(ANSWER_TIMEOUT)
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
