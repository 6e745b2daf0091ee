//! From a server's address to a session: dial, trust, sign in; and the same again when it broke.
//!
//! Nothing leaves for a server before it is trusted, not even this client's certificate.

mod dial;
mod events;
mod sign_in;
mod trust;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::reply::Welcome;
use quiver_protocol::{ClientName, Secret};
use quiver_transport::{Channel, Connection, Endpoint, Identity, IdentityError};
use tokio::sync::Semaphore;
use tracing::debug;

use crate::address::ServerAddress;
use crate::error::ClientError;
use crate::event::ConnectionState;
use crate::folders::{Folders, FolderError};
use crate::identity_store;
use crate::journal::{Journal, UnfinishedFiles};
use crate::known_servers::KnownServers;
use crate::reporter::Reporter;
use crate::settings::ClientSettings;
use dial::DialFailure;
pub(crate) use events::Events;
use sign_in::GuestConnection;
pub(crate) use trust::PinnedServer;

/// Makes sessions with one server, and remembers what it takes: whom to trust, who to be.
#[derive(Debug)]
pub(crate) struct Connector {
    pub(crate) server: ServerAddress,
    pub(crate) certificate: Option<PathBuf>,
    /// Or why none can be known.
    known: Result<KnownServers, FolderError>,
    /// Settled once, for all connections of this run.
    pub(crate) pin: Option<PinnedServer>,
    endpoint: Endpoint,
    identity: Arc<Identity>,
    /// Why the identity is of this run alone, where it is.
    pub(crate) identity_not_kept: Option<String>,
    name: Option<ClientName>,
    password_file: Option<PathBuf>,
    password: Option<Secret>,
    patience: Duration,
    pub(crate) reporter: Reporter,
    pub(crate) journal: Journal,
    pub(crate) unfinished: UnfinishedFiles,
}

/// A connection on which this client is a member.
#[derive(Debug)]
pub(crate) struct Session {
    /// Where commands are asked.
    pub connection: Channel,
    /// What the server said to the hello.
    pub welcome: Welcome,
    /// What it says unasked.
    pub events: Events,
    /// The longest silence in a command.
    pub patience: Duration,
    /// One permit for each content stream that may be open: the connection's window holds as many,
    /// full, and leaves room for talk.
    pub content: Arc<Semaphore>,
}

impl Connector {
    /// Prepares; nothing is dialled yet. The client's own key is made at first use, and for this run alone where
    /// it cannot be kept.
    ///
    /// # Errors
    /// [`ClientError`]: a key that is there and cannot be used.
    pub(crate) fn new(
        settings: &ClientSettings,
        folders: &Folders,
        endpoint: Endpoint,
        reporter: Reporter,
    ) -> Result<Self, ClientError> {
        let now = Utc::now();
        let (identity, identity_not_kept) =
            match folders.data().map(|data| identity_store::load_or_create(data, now)) {
                Ok(Err(error @ IdentityError::Write { .. })) => {
                    (identity_store::ephemeral(now), Some(error.to_string()))
                }
                Ok(kept) => (kept, None),
                Err(why) => (identity_store::ephemeral(now), Some(why.to_string())),
            };
        let identity = identity.map_err(ClientError::Identity)?;
        debug!(
            fingerprint = %identity.fingerprint(),
            not_kept = identity_not_kept.as_deref(),
            "this client's own key"
        );
        Ok(Self {
            server: settings.server.clone(),
            certificate: settings.certificate.clone(),
            known: match folders.state() {
                Ok(state) => Ok(KnownServers::new(state.join("known_servers"))),
                Err(why) => Err(why.clone()),
            },
            pin: None,
            endpoint,
            identity: Arc::new(identity),
            identity_not_kept,
            name: settings.name.clone(),
            password_file: settings.password_file.clone(),
            password: None,
            patience: settings.timeout,
            reporter,
            journal: Journal::from_folders(folders),
            unfinished: UnfinishedFiles::default(),
        })
    }

    /// From now on what is begun counts there.
    pub(crate) fn share(&mut self, unfinished: UnfinishedFiles) {
        self.unfinished = unfinished;
    }

    /// Connects, and asks the person for whatever is missing.
    ///
    /// # Errors
    /// [`ClientError`].
    pub(crate) async fn connect(&mut self) -> Result<Session, ClientError> {
        if self.name.is_none() && !self.reporter.can_ask() {
            self.name = Some(sign_in::login_name()?);
        }
        if self.pin.is_none() {
            self.pin = Some(self.settle_trust().await?);
        }
        let guest = GuestConnection::new(self.dial().await?);
        self.reporter.connection(ConnectionState::SigningIn);
        self.sign_in(guest, true).await
    }

    /// Connects again, as the same client.
    ///
    /// # Errors
    /// [`ClientError`]; a name that somebody else has taken meanwhile too.
    pub(crate) async fn reconnect(&mut self) -> Result<Session, ClientError> {
        let guest = GuestConnection::new(self.dial().await?);
        self.sign_in(guest, false).await
    }

    /// Dials the trusted server.
    async fn dial(&self) -> Result<Connection, ClientError> {
        let pin = self.pin.as_ref();
        let dialled = dial::dial(
            &self.endpoint,
            &self.server,
            Some(&self.identity),
            pin.map(PinnedServer::fingerprint),
        );
        dialled.await.map_err(|error| match (error, pin) {
            (DialFailure::Untrusted(why), Some(pin)) => pin.explain(&self.server, why).into(),
            (error, _) => self.not_dialled(error),
        })
    }

    fn not_dialled(&self, error: DialFailure) -> ClientError {
        let server = self.server.to_string();
        match error {
            DialFailure::Untrusted(why) => trust::bad_certificate(server, why).into(),
            DialFailure::Unresolved(why) => {
                ClientError::Resolve { host: self.server.host().to_owned(), why }
            }
            DialFailure::Unreachable(why) => ClientError::Unreachable { server, why },
        }
    }
}
