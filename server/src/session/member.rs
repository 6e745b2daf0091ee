//! A connection that holds a slot. Each stream it opens is one command.

use std::sync::Arc;

use quinn::{RecvStream, SendStream};
use quiver_protocol::{CloseCode, Event};
use quiver_transport::{CommandStream, Connection, Ended, Precedence, StreamError, close};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error};

use crate::command::context::Context;
use crate::command::{self, exit};
use crate::config::{ANSWER_TIMEOUT, GRACE, LAST_WORD_PATIENCE};
use crate::event;
use crate::registry::Slot;
use crate::shared::Shared;

/// A client's connection, with its share of a slot.
#[derive(Debug)]
pub struct Member {
    connection: Connection,
    slot: Slot,
    shared: Arc<Shared>,
}

/// What serves the streams of one connection.
struct Session {
    connection: Connection,
    context: Arc<Context>,
    /// Decides which stream of the connection is written first.
    precedence: Precedence,
    shared: Arc<Shared>,
    /// The running commands.
    commands: JoinSet<()>,
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
        let context = Arc::new(Context::new(connection.clone(), &slot, shared.clone()));
        let precedence = Precedence::on(connection.clone());
        let commands = JoinSet::new();
        let mut session = Session { connection, context, precedence, shared, commands };
        match session.serve().await {
            Leaving::Lost => {}
            Leaving::Exit(stream) => {
                // First all that the connection holds, then its share of a slot.
                session.commands.shutdown().await;
                drop(slot);
                drop(counted);
                session.farewell(stream).await;
            }
            Leaving::Stopping => {
                let _slot = slot;
                session.finish_commands().await;
                close(&session.connection, CloseCode::ShuttingDown);
            }
        }
        let ended = Ended::from(session.connection.closed().await);
        debug!("connection of {} ended: {ended}", session.context.client);
        // What still runs has nobody to answer to; dropping it gives back what it holds.
        session.commands.shutdown().await;
    }
}

enum Leaving {
    /// The client said exit on this stream.
    Exit(Option<CommandStream>),
    Lost,
    Stopping,
}

impl Session {
    async fn serve(&mut self) -> Leaving {
        loop {
            tokio::select! {
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
        let stream = CommandStream::from(stream).with(self.precedence.clone());
        let stream = stream.with_write_timeout(ANSWER_TIMEOUT);
        self.commands.spawn(command::answer(self.context.clone(), stream));
    }

    /// Says goodbye and closes the connection: once the client has closed it, or 2 seconds later, or when others
    /// that leave need the place.
    async fn farewell(&self, stream: Option<CommandStream>) {
        let Self { connection, context, .. } = self;
        let mut place = self.shared.leaving.enter();
        let said = async {
            if let Some(stream) = stream
                && let Err(error) = exit::say_goodbye(stream).await
            {
                debug!("{} did not hear the goodbye: {error}", context.client.name);
            }
            connection.closed().await;
        };
        tokio::select! {
            () = place.lost() => debug!("{} made room for others that leave", context.client.name),
            _ = timeout(LAST_WORD_PATIENCE, said) => {}
        }
        close(connection, CloseCode::Goodbye);
    }

    /// Says that the server stops, and lets running commands end within the grace.
    async fn finish_commands(&mut self) {
        let (hurry, connection) = (self.shared.hurry.clone(), self.connection.clone());
        let all = async {
            // A client that lets the server open no stream is told by the close.
            let told = timeout(LAST_WORD_PATIENCE, announce(&connection));
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
            _ = timeout(GRACE, all) => {}
        }
    }
}

async fn announce(connection: &Connection) -> Result<(), StreamError> {
    let event = Event::Stopping { grace_seconds: GRACE.as_secs() };
    let mut stream = event::say(connection, &event).await?;
    stream.writer.delivered(LAST_WORD_PATIENCE).await;
    Ok(())
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // Its stream is gone with it; the connection and the others go on.
        error!("a command's task failed: {error}");
    }
}
