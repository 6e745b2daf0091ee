//! A connection that holds a slot. Each stream it opens is one command.

use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use quiver_protocol::{CloseCode, Event};
use quiver_transport::{CommandStream, Connection, ConnectionEnd, Role, StreamPriority, close};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use crate::client_connection::ClientConnection;
use crate::command::context::Context;
use crate::command::{self, exit};
use crate::config::{FINAL_REPLY_TIMEOUT, RESPONSE_WRITE_TIMEOUT, SHUTDOWN_GRACE};
use crate::registry::Slot;
use crate::shared::ServerState;

/// A client's connection, with its share of a slot.
#[derive(Debug)]
pub struct Member {
    connection: Connection,
    slot: Slot,
    shared: Arc<ServerState>,
}

/// What serves the streams of one connection.
struct Session {
    connection: Connection,
    context: Arc<Context>,
    /// Decides which stream of the connection is written first.
    priority: StreamPriority,
    shared: Arc<ServerState>,
    /// The running commands.
    commands: JoinSet<()>,
}

/// Why no more commands are served.
enum Leaving {
    /// The client said exit on this stream.
    Exit(Option<CommandStream>),
    /// The connection ended.
    Lost,
    /// The client's slot is not its own any more.
    SlotLost,
    /// The server stops.
    Stopping,
}

impl Member {
    /// A guest that was welcomed.
    #[must_use]
    pub fn new(connection: Connection, slot: Slot, shared: Arc<ServerState>) -> Self {
        Self { connection, slot, shared }
    }

    /// Serves the member's streams until it leaves, its connection or its slot is lost, or the server stops.
    pub async fn run(self) {
        let Self { connection, slot, shared } = self;
        let counted = shared.metrics.member();
        slot.attach(ClientConnection::new(connection.clone()));
        let context = Arc::new(Context::new(&slot, shared.clone()));
        let priority = StreamPriority::on(connection.clone(), Role::Member);
        let commands = JoinSet::new();
        let mut session = Session { connection, context, priority, shared, commands };
        match session.serve(&slot).await {
            Leaving::Lost => {}
            Leaving::Exit(stream) => {
                // First all that the connection holds, then its share of a slot.
                session.commands.shutdown().await;
                session.release(slot).await;
                drop(counted);
                session.farewell(stream).await;
                return session.ended().await;
            }
            Leaving::Stopping => {
                session.finish_commands(&slot).await;
                close(&session.connection, CloseCode::ShuttingDown);
            }
            Leaving::SlotLost => {
                // Without a grace: the name may be another client's already.
                session.commands.shutdown().await;
                info!("{} is disconnected: its slot was lost", session.context.client);
                close(&session.connection, CloseCode::SlotLost);
            }
        }
        session.ended().await;
        // The client hears no answer any more; ended, the commands give back what they hold.
        session.commands.shutdown().await;
        drop(counted);
        session.release(slot).await;
    }
}

impl Session {
    async fn serve(&mut self, slot: &Slot) -> Leaving {
        loop {
            tokio::select! {
                () = slot.lost() => return Leaving::SlotLost,
                stream = self.context.exit.requested() => return Leaving::Exit(stream),
                () = self.shared.stopping.cancelled() => return Leaving::Stopping,
                Some(ended) = self.commands.join_next() => note(ended),
                stream = self.connection.accept_bi() => {
                    let Ok(stream) = stream else { return Leaving::Lost };
                    self.answer(stream);
                }
            }
        }
    }

    fn answer(&mut self, stream: (SendStream, RecvStream)) {
        let stream = CommandStream::from(stream).with_priority(self.priority.clone());
        let stream = stream.with_write_timeout(RESPONSE_WRITE_TIMEOUT);
        self.commands.spawn(command::serve_stream(self.context.clone(), stream));
    }

    async fn release(&self, slot: Slot) {
        if let Err(reason) = slot.release().await {
            warn!("cannot release the slot of {}: {reason}", self.context.client);
        }
    }

    /// Waits for the end of the connection.
    async fn ended(&self) {
        let ended = ConnectionEnd::from(self.connection.closed().await);
        debug!("connection of {} ended: {ended}", self.context.client);
    }

    /// Says goodbye and closes the connection: once the client has closed it, or 2 seconds later, or when others
    /// that leave need its ticket.
    async fn farewell(&self, stream: Option<CommandStream>) {
        let Self { connection, context, .. } = self;
        let mut ticket = self.shared.leaving.enter();
        let said = async {
            if let Some(stream) = stream
                && let Err(error) = exit::send_goodbye(stream).await
            {
                debug!("{} did not hear the goodbye: {error}", context.client.name);
            }
            connection.closed().await;
        };
        tokio::select! {
            () = ticket.lost() => debug!("{} made room for others that leave", context.client.name),
            _ = timeout(FINAL_REPLY_TIMEOUT, said) => {}
        }
        close(connection, CloseCode::Goodbye);
    }

    /// Says that the server stops, and lets running commands end: within the grace, and while the client has its
    /// slot.
    async fn finish_commands(&mut self, slot: &Slot) {
        let (hurry, connection) = (self.shared.hurry.clone(), self.connection.clone());
        let context = self.context.clone();
        let all = async {
            // A client that lets the server open no stream is told by the close.
            let told = async {
                let event = Event::Stopping { grace_seconds: SHUTDOWN_GRACE.as_secs() };
                if let Err(reason) = ClientConnection::new(connection.clone()).deliver(&event).await
                {
                    debug!("{} was not told of the stop: {reason}", context.client);
                }
            };
            let done = async {
                loop {
                    tokio::select! {
                        ended = self.commands.join_next() => match ended {
                            Some(ended) => note(ended),
                            None => break,
                        },
                        // Refused one by one by the command itself: the server is stopping.
                        stream = connection.accept_bi() => match stream {
                            Ok(stream) => self.answer(stream),
                            Err(_) => break,
                        },
                    }
                }
            };
            let _ = tokio::join!(told, done);
        };
        tokio::select! {
            () = hurry.cancelled() => {}
            () = slot.lost() => {}
            _ = timeout(SHUTDOWN_GRACE, all) => {}
        }
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
