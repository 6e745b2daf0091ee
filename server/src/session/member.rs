//! A connection whose client has signed in and holds a slot. Each stream that the client opens is one command.

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
use crate::packet_count::PacketCount;
use crate::registry::Slot;
use crate::server_state::ServerState;

/// A connection of a signed-in client, with its share of the client's slot.
#[derive(Debug)]
pub struct Member {
    connection: Connection,
    slot: Slot,
    state: Arc<ServerState>,
}

/// Serves the streams of one connection.
struct MemberSession {
    connection: Connection,
    context: Arc<Context>,
    /// Decides which stream of the connection is written first.
    priority: StreamPriority,
    state: Arc<ServerState>,
    /// The running commands.
    commands: JoinSet<()>,
}

/// Why the session serves no more commands.
enum SessionEnd {
    /// The client sent exit on this stream.
    Exit(Option<Box<CommandStream>>),
    /// The connection ended.
    ConnectionLost,
    /// The client has lost its slot.
    SlotLost,
    /// The server stops.
    Stopping,
}

impl Member {
    /// Creates a member from a guest that has signed in.
    #[must_use]
    pub fn new(connection: Connection, slot: Slot, state: Arc<ServerState>) -> Self {
        Self { connection, slot, state }
    }

    /// Serves the member's streams until the client exits, its connection or its slot is lost, or the server stops.
    pub async fn run(self) {
        let Self { connection, slot, state } = self;
        let open_member = state.metrics.count_member();
        let client_connection = ClientConnection::new(connection.clone());
        let packets = PacketCount::start(connection.clone(), state.metrics.clone());
        let context = Context::new(&slot, client_connection.key(), packets, state.clone());
        let context = Arc::new(context);
        slot.attach(client_connection);
        let introductions = state.introductions.end_with(slot.connection());
        let priority =
            StreamPriority::with_windows(connection.clone(), Role::Member, &state.windows);
        let commands = JoinSet::new();
        let mut session = MemberSession { connection, context, priority, state, commands };
        match session.serve(&slot).await {
            SessionEnd::ConnectionLost => {}
            SessionEnd::Exit(stream) => {
                // The commands first release what they hold; the share of the slot follows.
                session.commands.shutdown().await;
                drop(introductions);
                session.release(slot).await;
                drop(open_member);
                session.close_after_goodbye(stream.map(|stream| *stream)).await;
                return session.wait_closed().await;
            }
            SessionEnd::Stopping => {
                session.finish_commands(&slot).await;
                close(&session.connection, CloseCode::ShuttingDown);
            }
            SessionEnd::SlotLost => {
                // No grace period: another client may have the name already.
                session.commands.shutdown().await;
                info!("{} is disconnected: its slot was lost", session.context.client);
                close(&session.connection, CloseCode::SlotLost);
            }
        }
        session.wait_closed().await;
        // The client can read no more responses. Stopping the commands releases what they hold.
        session.commands.shutdown().await;
        drop((introductions, open_member));
        session.release(slot).await;
    }
}

impl MemberSession {
    async fn serve(&mut self, slot: &Slot) -> SessionEnd {
        loop {
            tokio::select! {
                () = slot.lost() => return SessionEnd::SlotLost,
                stream = self.context.exit.requested() => return SessionEnd::Exit(stream.map(Box::new)),
                () = self.state.stopping.cancelled() => return SessionEnd::Stopping,
                Some(ended) = self.commands.join_next() => log_panic(ended),
                stream = self.connection.accept_bi() => {
                    let Ok(stream) = stream else { return SessionEnd::ConnectionLost };
                    self.start_command(stream);
                }
            }
        }
    }

    fn start_command(&mut self, stream: (SendStream, RecvStream)) {
        let stream = CommandStream::from(stream).with_priority(self.priority.clone());
        let stream = stream.with_write_timeout(RESPONSE_WRITE_TIMEOUT);
        self.commands.spawn(command::serve_stream(self.context.clone(), stream));
    }

    async fn release(&self, slot: Slot) {
        if let Err(reason) = slot.release().await {
            warn!("cannot release the slot of {}: {reason}", self.context.client);
        }
    }

    /// Waits until the connection is closed.
    async fn wait_closed(&self) {
        let end = ConnectionEnd::from(self.connection.closed().await);
        debug!("connection of {} ended: {end}", self.context.client);
    }

    /// Sends a goodbye, and closes the connection when the client has closed it, after 2 seconds, or when a newer
    /// closing connection evicts its ticket.
    async fn close_after_goodbye(&self, stream: Option<CommandStream>) {
        let Self { connection, context, .. } = self;
        let mut ticket = self.state.closing.enter();
        let goodbye = async {
            if let Some(stream) = stream
                && let Err(error) = exit::send_goodbye(stream).await
            {
                debug!("{} did not receive the goodbye: {error}", context.client.name);
            }
            connection.closed().await;
        };
        tokio::select! {
            () = ticket.evicted() => {
                debug!("{} made room for other closing connections", context.client.name);
            }
            _ = timeout(FINAL_REPLY_TIMEOUT, goodbye) => {}
        }
        close(connection, CloseCode::Goodbye);
    }

    /// Tells the client that the server stops, and lets running commands end within the grace period, as long as the
    /// client has its slot.
    async fn finish_commands(&mut self, slot: &Slot) {
        let (abort, connection) = (self.state.abort.clone(), self.connection.clone());
        let context = self.context.clone();
        let finish = async {
            // A client that does not let the server open a stream learns of the stop when its connection is closed.
            let send_event = async {
                let event = Event::Stopping { grace_seconds: SHUTDOWN_GRACE.as_secs() };
                if let Err(reason) = ClientConnection::new(connection.clone()).deliver(&event).await
                {
                    debug!("{} did not receive the stop event: {reason}", context.client);
                }
            };
            let join_commands = async {
                loop {
                    tokio::select! {
                        ended = self.commands.join_next() => match ended {
                            Some(ended) => log_panic(ended),
                            None => break,
                        },
                        // New commands are refused, because the server is stopping.
                        stream = connection.accept_bi() => match stream {
                            Ok(stream) => self.start_command(stream),
                            Err(_) => break,
                        },
                    }
                }
            };
            let _ = tokio::join!(send_event, join_commands);
        };
        tokio::select! {
            () = abort.cancelled() => {}
            () = slot.lost() => {}
            _ = timeout(SHUTDOWN_GRACE, finish) => {}
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        // The command's stream is closed. The connection and its other commands are not affected.
        error!("a command's task failed: {error}");
    }
}
