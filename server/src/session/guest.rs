//! A connection that has not yet said who it is. It may say hello, a few times and soon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::command::Hello;
use quiver_protocol::reply::{Limits, Welcome};
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
use crate::metrics::{CommandOutcome, SignIn};
use crate::passwords::SignInError;
use crate::registry::{EntryError, NameOwner, Slot};
use crate::shared::ServerState;

/// A stranger with a connection.
#[derive(Debug)]
pub struct Guest {
    connection: Connection,
    address: SocketAddr,
    shared: Arc<ServerState>,
    /// What is left of the time a guest may keep us waiting.
    patience: Duration,
}

/// How one hello ended for a guest who stays one.
enum Denied {
    /// The guest may try again.
    Again(Refusal),
    /// The connection closes after the refusal.
    Closing(Refusal, CloseCode),
    /// The stream is gone.
    Broken(StreamError),
}

impl Guest {
    /// Takes a fresh connection.
    #[must_use]
    pub fn new(connection: Connection, address: SocketAddr, shared: Arc<ServerState>) -> Self {
        Self { connection, address, shared, patience: GUEST_TIMEOUT }
    }

    /// Listens for a hello and judges it: a member, or nobody, and the connection is closed.
    ///
    /// The guest has a ticket of `queue` while the server waits for it, and none while it waits for the server.
    pub async fn greet(mut self, queue: &HandshakeQueue) -> Option<Member> {
        let mut last = CloseCode::ProtocolViolation;
        for _ in 0..limits::HELLOS {
            let mut ticket = queue.enter();
            let Some((mut stream, request)) = self.listen(&mut ticket).await else {
                close(&self.connection, CloseCode::TimedOut);
                return None;
            };
            drop(ticket);
            let hello = self.shared.metrics.command("hello");
            let denied = match self.answer(&mut stream, request).await {
                Ok(member) => {
                    hello.ends(CommandOutcome::Done);
                    return Some(member);
                }
                Err(denied) => denied,
            };
            hello.ends(match &denied {
                Denied::Again(refusal) | Denied::Closing(refusal, _) => {
                    CommandOutcome::refused(refusal)
                }
                Denied::Broken(_) => CommandOutcome::BrokenOff,
            });
            match denied {
                Denied::Again(refusal) => {
                    last = close_code(refusal.code);
                    self.refuse(stream, &refusal, queue).await;
                }
                Denied::Closing(refusal, code) => {
                    self.refuse(stream, &refusal, queue).await;
                    close(&self.connection, code);
                    return None;
                }
                Denied::Broken(error) => debug!("{} broke off its hello: {error}", self.address),
            }
        }
        close(&self.connection, last);
        None
    }

    /// The guest's next request, or what is wrong with it; `None` once its time is over or its ticket lost.
    async fn listen(
        &mut self,
        ticket: &mut Ticket,
    ) -> Option<(CommandStream, Result<Vec<u8>, StreamError>)> {
        let began = Instant::now();
        let heard = async {
            let stream = CommandStream::from(self.connection.accept_bi().await.ok()?);
            let mut stream = stream.with_write_timeout(GUEST_TIMEOUT);
            let frame = stream.reader.read_frame(limits::HELLO, GUEST_TIMEOUT).await;
            let request = frame.and_then(|frame| match frame.kind {
                FrameKind::Request => Ok(frame.payload),
                found => Err(FrameError::Unexpected { found, expected: "a Request" }.into()),
            });
            Some((stream, request))
        };
        let heard = tokio::select! {
            () = ticket.lost() => {
                debug!("{} said nothing and made room for others", self.address);
                None
            }
            heard = timeout(self.patience, heard) => heard.ok().flatten(),
        };
        self.patience = self.patience.saturating_sub(began.elapsed());
        heard
    }

    async fn answer(
        &self,
        stream: &mut CommandStream,
        request: Result<Vec<u8>, StreamError>,
    ) -> Result<Member, Denied> {
        let payload = match request {
            Ok(payload) => payload,
            Err(StreamError::Frame(error)) => return Err(Denied::Again(error.into())),
            Err(error) => return Err(Denied::Broken(error)),
        };
        let Request::Hello(hello) = Request::decode(&payload).map_err(Denied::Again)? else {
            let refusal = Refusal::new(RefusalCode::BadRequest, "say hello first");
            return Err(Denied::Closing(refusal, CloseCode::ProtocolViolation));
        };
        let judged = tokio::select! {
            biased;
            error = stream.reader.interrupted() => Err(match error {
                StreamError::Frame(error) => Denied::Again(error.into()),
                error => Denied::Broken(error),
            }),
            slot = self.judge(hello) => slot,
        };
        let slot = judged?;
        Role::Member.apply_to(&self.connection);
        self.welcome(stream, &slot).await.map_err(Denied::Broken)?;
        Ok(Member::new(self.connection.clone(), slot, self.shared.clone()))
    }

    /// Name and password, then a slot.
    async fn judge(&self, hello: Hello) -> Result<Slot, Denied> {
        let address = self.address;
        let (name, holder) = match &self.shared.passwords {
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
                    return Err(Denied::Again(refusal));
                };
                let signed_in = passwords.sign_in(&hello.name, &password, address.ip()).await;
                let account =
                    signed_in.map_err(|error| self.sign_in_refusal(&hello.name, error))?;
                (account, NameOwner::Account)
            }
        };
        let entered = self.shared.registry.enter(name.clone(), holder).await;
        match entered {
            Ok(slot) => {
                let number = slot.number();
                info!("connection from {address} as Client {number}");
                if slot.joined() {
                    info!("Client {number}: {} has one more connection", slot.name());
                } else {
                    info!("Client connected as Client {number}: {}", slot.name());
                    let registry = &self.shared.registry;
                    info!("client count: {} of {}", registry.count(), registry.max_clients());
                }
                Ok(slot)
            }
            Err(EntryError::Busy { number, max_clients }) => {
                info!("connection from {address} as Client {number}");
                info!("Max clients reached. Rejecting Client {number}: {name}");
                self.shared.metrics.busy();
                let message = format!(
                    "Server is busy: {max_clients} of {max_clients} clients are connected. Try again later."
                );
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(Denied::Closing(refusal, CloseCode::Busy))
            }
            Err(error @ EntryError::TooManyConnections(_)) => {
                self.shared.metrics.busy();
                let message = format!("Server is busy: {error}. Try again later.");
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(Denied::Closing(refusal, CloseCode::Busy))
            }
            Err(EntryError::Unavailable(reason)) => {
                error!("{name} from {address} refused: {reason}");
                self.shared.metrics.busy();
                let message =
                    "Server is busy: its list of clients is unavailable. Try again later.";
                let refusal = Refusal::new(RefusalCode::Busy, message);
                Err(Denied::Closing(refusal, CloseCode::Busy))
            }
            Err(error @ EntryError::NameTaken(_)) => {
                Err(Denied::Again(Refusal::new(RefusalCode::NameTaken, error.to_string())))
            }
        }
    }

    fn sign_in_refusal(&self, name: &quiver_protocol::ClientName, error: SignInError) -> Denied {
        let address = self.address;
        let words = error.to_string();
        let code = match error {
            SignInError::Failed => {
                info!("sign-in as {name} from {address} failed");
                self.shared.metrics.sign_in_failed(SignIn::Wrong);
                RefusalCode::SignInFailed
            }
            SignInError::TooMany { .. } => {
                warn!("too many attempts to sign in, {name} from {address} refused");
                self.shared.metrics.sign_in_failed(SignIn::TooMany);
                RefusalCode::RateLimited
            }
            SignInError::Internal(reason) => {
                let refusal = internal_failure::report(&self.shared.metrics, "sign-in", &reason);
                return Denied::Again(refusal);
            }
        };
        Denied::Again(Refusal::new(code, words))
    }

    async fn welcome(&self, stream: &mut CommandStream, slot: &Slot) -> Result<(), StreamError> {
        let ServerState { files, passwords, .. } = &*self.shared;
        let upload = authorize(Permission::Upload, slot.name(), files, passwords.as_ref()).is_ok();
        let welcome = Reply::Welcome(Welcome {
            client: slot.number(),
            name: slot.name().clone(),
            message: "Connected to the server successfully.".to_owned(),
            max_clients: self.shared.registry.max_clients(),
            limits: Limits::CURRENT,
            upload,
        });
        stream.writer.write_frame(FrameKind::Reply, &welcome.encode()).await?;
        stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await
    }

    /// Sends the refusal, and waits until it is acknowledged. Meanwhile the guest has a ticket of `queue`: one that
    /// acknowledges nothing makes room for others.
    async fn refuse(&self, mut stream: CommandStream, refusal: &Refusal, queue: &HandshakeQueue) {
        debug!("{} was refused: {refusal}", self.address);
        let mut ticket = queue.enter();
        let heard = async {
            stream.refuse(refusal).await.is_ok()
                && stream.writer.delivered(FINAL_REPLY_TIMEOUT).await
        };
        let heard = tokio::select! {
            () = ticket.lost() => false,
            heard = timeout(FINAL_REPLY_TIMEOUT, heard) => heard.unwrap_or(false),
        };
        if !heard {
            debug!("{} may not have heard why it was refused", self.address);
        }
    }
}

/// The code to close with when the last hello was refused for this.
fn close_code(code: RefusalCode) -> CloseCode {
    match code {
        RefusalCode::SignInFailed
        | RefusalCode::SignInRequired
        | RefusalCode::RateLimited
        | RefusalCode::NameTaken
        | RefusalCode::BadName => CloseCode::SignInRefused,
        _ => CloseCode::ProtocolViolation,
    }
}
