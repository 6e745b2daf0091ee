//! A connection that has not signed in. It may send hello a few times, within a time limit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::command::Hello;
use quiver_protocol::reply::{ServerLimits, Welcome};
use quiver_protocol::{
    CloseCode, EofPayload as _, FrameError, FrameKind, PlainEnd, Refusal, RefusalCode, Reply,
    Request, limits,
};
use quiver_transport::{CommandStream, Connection, Role, StreamError, close, trust};
use tokio::time::{Instant, timeout};
use tracing::{debug, error, info, warn};

use super::member::Member;
use crate::command::authorization::{Permission, authorize};
use crate::config::{FINAL_REPLY_TIMEOUT, GUEST_TIMEOUT};
use crate::handshake_queue::{HandshakeQueue, Ticket};
use crate::internal_failure;
use crate::metrics::{CommandOutcome, SignInFailure};
use crate::passwords::SignInError;
use crate::registry::{EntryError, NameOwner, Slot};
use crate::server_state::ServerState;

/// A connection whose client has not signed in.
#[derive(Debug)]
pub struct Guest {
    connection: Connection,
    address: SocketAddr,
    state: Arc<ServerState>,
    /// How long the server still waits for this guest, over all of its hellos.
    remaining_time: Duration,
}

/// Why a hello did not make the guest a member.
enum HelloFailure {
    /// Refused; the guest may send another hello.
    Retry(Refusal),
    /// Refused; the server then closes the connection.
    Close(Refusal, CloseCode),
    /// The stream failed.
    Stream(StreamError),
}

impl Guest {
    /// Creates a guest for a new connection.
    #[must_use]
    pub fn new(connection: Connection, address: SocketAddr, state: Arc<ServerState>) -> Self {
        Self { connection, address, state, remaining_time: GUEST_TIMEOUT }
    }

    /// Reads hellos until one signs the guest in. `None` where none did; the connection is closed then.
    ///
    /// The guest has a ticket of `queue` while the server waits for it, and none while it waits for the server.
    pub async fn greet(mut self, queue: &HandshakeQueue) -> Option<Member> {
        let mut close_code = CloseCode::ProtocolViolation;
        for _ in 0..limits::HELLOS {
            let mut ticket = queue.enter();
            let Some((mut stream, request)) = self.read_hello(&mut ticket).await else {
                close(&self.connection, CloseCode::TimedOut);
                return None;
            };
            drop(ticket);
            let command = self.state.metrics.start_command("hello");
            let failure = match self.process_hello(&mut stream, request).await {
                Ok(member) => {
                    command.finish(CommandOutcome::Done);
                    return Some(member);
                }
                Err(failure) => failure,
            };
            command.finish(match &failure {
                HelloFailure::Retry(refusal) | HelloFailure::Close(refusal, _) => {
                    CommandOutcome::from_refusal(refusal)
                }
                HelloFailure::Stream(_) => CommandOutcome::Interrupted,
            });
            match failure {
                HelloFailure::Retry(refusal) => {
                    close_code = close_code_for(refusal.code);
                    self.send_refusal(stream, &refusal, queue).await;
                }
                HelloFailure::Close(refusal, code) => {
                    self.send_refusal(stream, &refusal, queue).await;
                    close(&self.connection, code);
                    return None;
                }
                HelloFailure::Stream(error) => {
                    debug!("the hello of {} failed: {error}", self.address);
                }
            }
        }
        close(&self.connection, close_code);
        None
    }

    /// Reads the guest's next request. The inner error says what is wrong with the request; `None` where the guest's
    /// time is over, its ticket was evicted, or the connection has ended.
    async fn read_hello(
        &mut self,
        ticket: &mut Ticket,
    ) -> Option<(CommandStream, Result<Vec<u8>, StreamError>)> {
        let start = Instant::now();
        let read = async {
            let stream = CommandStream::from(self.connection.accept_bi().await.ok()?);
            let mut stream = stream.with_write_timeout(GUEST_TIMEOUT);
            let frame = stream.reader.read_frame(limits::HELLO, GUEST_TIMEOUT).await;
            let request = frame.and_then(|frame| match frame.kind {
                FrameKind::Request => Ok(frame.payload),
                found => Err(FrameError::Unexpected { found, expected: "a Request" }.into()),
            });
            Some((stream, request))
        };
        let request = tokio::select! {
            () = ticket.evicted() => {
                debug!("{} sent no hello and made room for others", self.address);
                None
            }
            request = timeout(self.remaining_time, read) => request.ok().flatten(),
        };
        self.remaining_time = self.remaining_time.saturating_sub(start.elapsed());
        request
    }

    /// Checks a hello and, where it succeeds, sends the welcome.
    async fn process_hello(
        &self,
        stream: &mut CommandStream,
        request: Result<Vec<u8>, StreamError>,
    ) -> Result<Member, HelloFailure> {
        let payload = match request {
            Ok(payload) => payload,
            Err(StreamError::Frame(error)) => return Err(HelloFailure::Retry(error.into())),
            Err(error) => return Err(HelloFailure::Stream(error)),
        };
        let Request::Hello(hello) = Request::decode(&payload).map_err(HelloFailure::Retry)? else {
            let refusal = Refusal::new(RefusalCode::BadRequest, "say hello first");
            return Err(HelloFailure::Close(refusal, CloseCode::ProtocolViolation));
        };
        let signed_in = tokio::select! {
            biased;
            error = stream.reader.interrupted() => Err(match error {
                StreamError::Frame(error) => HelloFailure::Retry(error.into()),
                error => HelloFailure::Stream(error),
            }),
            slot = self.sign_in(hello) => slot,
        };
        let slot = signed_in?;
        Role::Member.apply_to(&self.connection);
        self.welcome(stream, &slot).await.map_err(HelloFailure::Stream)?;
        Ok(Member::new(self.connection.clone(), slot, self.state.clone()))
    }

    /// Checks name and password, then takes a slot.
    async fn sign_in(&self, hello: Hello) -> Result<Slot, HelloFailure> {
        let address = self.address;
        let (name, owner) = match &self.state.passwords {
            None => {
                let key = trust::peer_fingerprint(&self.connection);
                (hello.name, key.map_or(NameOwner::Connection, NameOwner::Key))
            }
            Some(passwords) => {
                let Some(password) = hello.password else {
                    let refusal = Refusal::new(
                        RefusalCode::SignInRequired,
                        "this server asks for a password",
                    );
                    return Err(HelloFailure::Retry(refusal));
                };
                let signed_in = passwords.sign_in(&hello.name, &password, address.ip()).await;
                let account = signed_in.map_err(|error| self.refuse_sign_in(&hello.name, error))?;
                (account, NameOwner::Account)
            }
        };
        match self.state.registry.enter(name.clone(), owner, hello.one_shot).await {
            Ok(slot) => {
                let number = slot.number();
                info!("connection from {address} as Client {number}");
                if slot.is_additional() {
                    info!("Client {number}: {} has one more connection", slot.name());
                } else {
                    info!("Client connected as Client {number}: {}", slot.name());
                    let registry = &self.state.registry;
                    info!(
                        "client count: {} of {}",
                        registry.client_count(),
                        registry.max_clients()
                    );
                }
                Ok(slot)
            }
            Err(EntryError::Busy { number, max_clients }) => {
                info!("connection from {address} as Client {number}");
                info!("Max clients reached. Rejecting Client {number}: {name}");
                self.state.metrics.count_busy_refusal();
                // The same words for each number, because other clients and scripts compare them.
                let message = format!(
                    "Server is busy: {max_clients} of {max_clients} clients are connected. Try again later."
                );
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(HelloFailure::Close(refusal, CloseCode::Busy))
            }
            Err(error @ EntryError::TooManyConnections(_)) => {
                self.state.metrics.count_busy_refusal();
                let message = format!("Server is busy: {error}. Try again later.");
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(HelloFailure::Close(refusal, CloseCode::Busy))
            }
            Err(EntryError::Unavailable(reason)) => {
                error!("{name} from {address} refused: {reason}");
                self.state.metrics.count_busy_refusal();
                let message =
                    "Server is busy: its list of clients is unavailable. Try again later.";
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(HelloFailure::Close(refusal, CloseCode::Busy))
            }
            Err(error @ EntryError::NameTaken(_)) => {
                Err(HelloFailure::Retry(Refusal::new(RefusalCode::NameTaken, error.to_string())))
            }
        }
    }

    /// Logs and counts a failed sign-in.
    fn refuse_sign_in(
        &self,
        name: &quiver_protocol::ClientName,
        error: SignInError,
    ) -> HelloFailure {
        let address = self.address;
        let message = error.to_string();
        let code = match error {
            SignInError::Failed => {
                info!("sign-in as {name} from {address} failed");
                self.state.metrics.count_sign_in_failure(SignInFailure::WrongCredentials);
                RefusalCode::SignInFailed
            }
            SignInError::TooMany { .. } => {
                warn!("too many attempts to sign in, {name} from {address} refused");
                self.state.metrics.count_sign_in_failure(SignInFailure::TooManyAttempts);
                RefusalCode::RateLimited
            }
            SignInError::Internal(reason) => {
                let refusal = internal_failure::report(&self.state.metrics, "sign-in", &reason);
                return HelloFailure::Retry(refusal);
            }
        };
        HelloFailure::Retry(Refusal::new(code, message))
    }

    async fn welcome(&self, stream: &mut CommandStream, slot: &Slot) -> Result<(), StreamError> {
        let ServerState { files, passwords, .. } = &*self.state;
        let upload = authorize(Permission::Upload, slot.name(), files, passwords.as_ref()).is_ok();
        let welcome = Reply::Welcome(Welcome {
            client: slot.number(),
            name: slot.name().clone(),
            message: "Connected to the server successfully.".to_owned(),
            max_clients: self.state.registry.max_clients(),
            limits: ServerLimits::CURRENT,
            upload,
        });
        stream.writer.write_frame(FrameKind::Reply, &welcome.encode()).await?;
        stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await
    }

    /// Sends a refusal and waits until the guest has acknowledged it. Meanwhile the guest has a ticket of `queue`, so
    /// that newer guests can evict one that acknowledges nothing.
    async fn send_refusal(
        &self,
        mut stream: CommandStream,
        refusal: &Refusal,
        queue: &HandshakeQueue,
    ) {
        debug!("{} was refused: {refusal}", self.address);
        let mut ticket = queue.enter();
        let deliver = async {
            stream.refuse(refusal).await.is_ok()
                && stream.writer.delivered(FINAL_REPLY_TIMEOUT).await
        };
        let is_delivered = tokio::select! {
            () = ticket.evicted() => false,
            delivered = timeout(FINAL_REPLY_TIMEOUT, deliver) => delivered.unwrap_or(false),
        };
        if !is_delivered {
            debug!("{} did not acknowledge its refusal", self.address);
        }
    }
}

/// The code that closes the connection where its last hello was refused with `code`.
fn close_code_for(code: RefusalCode) -> CloseCode {
    match code {
        RefusalCode::SignInFailed
        | RefusalCode::SignInRequired
        | RefusalCode::RateLimited
        | RefusalCode::NameTaken
        | RefusalCode::BadName => CloseCode::SignInRefused,
        _ => CloseCode::ProtocolViolation,
    }
}
