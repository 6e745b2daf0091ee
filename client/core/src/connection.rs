//! From a server's address to a session: dial, verify the server, sign in; reconnect after a loss.
//!
//! The client sends nothing to a server before it trusts it, not even its own certificate.

mod closed_port;
mod dial;
mod events;
mod sign_in;
mod trust;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use quiver_protocol::reply::Welcome;
use quiver_protocol::{ClientName, Fingerprint, Secret};
use quiver_transport::{Channel, Connection, Endpoint, Identity, IdentityError, PathFacts};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tracing::debug;

use crate::address::ServerAddress;
use crate::connection_detail::ConnectionDetail;
use crate::error::ClientError;
use crate::event::ConnectionState;
use crate::folders::{FolderError, Folders};
use crate::identity_store;
use crate::journal::{Journal, UnfinishedFiles};
use crate::known_servers::KnownServers;
use crate::notice::Notice;
use crate::reporter::Reporter;
use crate::settings::ClientSettings;
use dial::{DialFailure, DialLimits};
pub(crate) use events::ServerEvents;
pub(crate) use trust::PinnedServer;

/// How long dialling takes before the user is told.
const NOTICE_DELAY: Duration = Duration::from_secs(1);

/// Creates sessions with one server. Holds the trusted key, the name and the password for all of them.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) server: ServerAddress,
    pub(crate) certificate: Option<PathBuf>,
    /// `Err` with the reason if there is no folder for the file.
    known: Result<KnownServers, FolderError>,
    /// The trusted server; `None` before the first connection of this run.
    pub(crate) pin: Option<PinnedServer>,
    endpoint: Endpoint,
    /// The server's addresses, as they were found last.
    addresses: Mutex<Vec<SocketAddr>>,
    identity: Arc<Identity>,
    /// Why the identity lasts for this run only; `None` if it is stored.
    pub(crate) identity_not_stored: Option<String>,
    name: Option<ClientName>,
    password_file: Option<PathBuf>,
    password: Option<Secret>,
    timeout: Duration,
    one_shot: bool,
    /// The end of the present attempt to connect. It is moved while a person answers a question.
    deadline: Instant,
    /// Whether the first session is being made, for which a person waits.
    is_first: bool,
    pub(crate) reporter: Reporter,
    pub(crate) journal: Journal,
    pub(crate) unfinished: UnfinishedFiles,
}

/// A connection on which this client is signed in.
#[derive(Debug)]
pub(crate) struct Session {
    /// The connection, for commands.
    pub connection: Channel,
    /// The server's response to the hello.
    pub welcome: Welcome,
    /// The events that the server sends.
    pub events: ServerEvents,
    /// Idle timeout of each command.
    pub timeout: Duration,
    /// One permit for each content stream that may be open. The connection's window holds that many full streams, and
    /// leaves space for control traffic.
    pub content_permits: Arc<Semaphore>,
}

impl Connector {
    /// Creates a connector; dials nothing yet. Loads the client's key, or creates it at first use; a key that cannot
    /// be stored lasts for this run only.
    ///
    /// # Errors
    /// [`ClientError::Identity`] if the key exists and cannot be used.
    pub(crate) fn new(
        settings: &ClientSettings,
        folders: &Folders,
        endpoint: Endpoint,
        reporter: Reporter,
    ) -> Result<Self, ClientError> {
        let now = Utc::now();
        let (identity, identity_not_stored) =
            match folders.data().map(|data| identity_store::load_or_create(data, now)) {
                Ok(Err(error @ IdentityError::Write { .. })) => {
                    (identity_store::ephemeral(now), Some(error.to_string()))
                }
                Ok(stored) => (stored, None),
                Err(why) => (identity_store::ephemeral(now), Some(why.to_string())),
            };
        let identity = identity.map_err(ClientError::Identity)?;
        debug!(
            fingerprint = %identity.fingerprint(),
            not_stored = identity_not_stored.as_deref(),
            "this client's own key"
        );
        Ok(Self {
            server: settings.server.clone(),
            certificate: settings.certificate.clone(),
            known: folders.known_servers().map_err(Clone::clone),
            pin: None,
            endpoint,
            addresses: Mutex::default(),
            identity: Arc::new(identity),
            identity_not_stored,
            name: settings.name.clone(),
            password_file: settings.password_file.clone(),
            password: None,
            timeout: settings.timeout,
            one_shot: settings.one_shot,
            deadline: Instant::now(),
            is_first: false,
            reporter,
            journal: Journal::from_folders(folders),
            unfinished: UnfinishedFiles::default(),
        })
    }

    /// This client's own key.
    pub(crate) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Sets where transfers record the files that they have started.
    pub(crate) fn set_unfinished(&mut self, unfinished: UnfinishedFiles) {
        self.unfinished = unfinished;
    }

    /// Connects and signs in; asks the user for a missing name or password, and whether to trust an unknown server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn connect(&mut self) -> Result<Session, ClientError> {
        if self.name.is_none() && !self.reporter.can_ask() {
            self.name = Some(sign_in::login_name()?);
        }
        self.is_first = true;
        self.restart_deadline();
        if self.pin.is_none() {
            let pin = self.establish_trust().await?;
            let (fingerprint, source) = (pin.fingerprint(), pin.source());
            self.report_detail(ConnectionDetail::Trusted { fingerprint, source }).await;
            self.pin = Some(pin);
        }
        let guest = self.guest(self.dial().await?);
        self.reporter.set_connection(ConnectionState::SigningIn);
        self.sign_in(guest, true).await
    }

    /// Reconnects as the same client.
    ///
    /// # Errors
    /// [`ClientError`], also if another client has taken the name in the meantime.
    pub(crate) async fn reconnect(&mut self) -> Result<Session, ClientError> {
        self.is_first = false;
        self.restart_deadline();
        let guest = self.guest(self.dial().await?);
        self.sign_in(guest, false).await
    }

    /// Gives the present attempt to connect its whole time again, as after a question.
    fn restart_deadline(&mut self) {
        self.deadline = Instant::now() + self.timeout;
    }

    /// Dials the trusted server.
    async fn dial(&self) -> Result<Connection, ClientError> {
        let pin = self.pin.as_ref();
        let dialled = self.dial_with(Some(&self.identity), pin.map(PinnedServer::fingerprint));
        dialled.await.map_err(|error| match (error, pin) {
            (DialFailure::Untrusted(why), Some(pin)) => pin.trust_error(&self.server, why).into(),
            (error, _) => self.dial_error(error),
        })
    }

    /// Dials the server. Says so if a person waits for the first session and it takes a while.
    async fn dial_with(
        &self,
        identity: Option<&Arc<Identity>>,
        pin: Option<Fingerprint>,
    ) -> Result<Connection, DialFailure> {
        let (server, start) = (self.server.to_string(), Instant::now());
        self.report_detail(ConnectionDetail::Dialling { server }).await;
        let connection = self.dial_until_deadline(identity, pin).await?;
        let (path, took) = (PathFacts::of(&connection), start.elapsed());
        self.report_detail(ConnectionDetail::Dialled { path, took }).await;
        Ok(connection)
    }

    async fn dial_until_deadline(
        &self,
        identity: Option<&Arc<Identity>>,
        pin: Option<Fingerprint>,
    ) -> Result<Connection, DialFailure> {
        let limits = DialLimits { deadline: self.deadline, is_after_loss: !self.is_first };
        let dialling =
            dial::dial(&self.endpoint, &self.server, &self.addresses, identity, pin, limits);
        tokio::pin!(dialling);
        if !self.is_first {
            return dialling.await;
        }
        if let Ok(finished) = timeout(NOTICE_DELAY, &mut dialling).await {
            return finished;
        }
        self.reporter.notify(Notice::Connecting { server: self.server.to_string() }).await;
        dialling.await
    }

    /// Reports a step on the way to a session.
    async fn report_detail(&self, detail: ConnectionDetail) {
        self.reporter.notify(Notice::Connection(detail)).await;
    }

    fn dial_error(&self, error: DialFailure) -> ClientError {
        let server = self.server.to_string();
        match error {
            DialFailure::Untrusted(why) => trust::invalid_certificate(server, why).into(),
            DialFailure::Unresolved(why) => {
                ClientError::Resolve { host: self.server.host().to_owned(), why }
            }
            DialFailure::Unreachable(why) => ClientError::Unreachable { server, why },
        }
    }
}
