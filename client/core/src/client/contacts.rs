//! Contacts, for interfaces: the other clients whose keys this one knows.

use std::path::PathBuf;

use chrono::Utc;
use quiver_protocol::{ClientName, Fingerprint, Timestamp};

use super::Client;
use crate::error::{ClientError, PeerError, UntrustedServer};
use crate::peer_store::{Contact, PeerStore};
use crate::tasks::blocking;

impl Client {
    /// The fingerprint of the server's key; the client must be connected.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`](crate::error::InvalidRequest::NotConnected).
    pub fn server_key(&self) -> Result<Fingerprint, ClientError> {
        Ok(self.session()?.server_ref().fingerprint)
    }

    /// The fingerprint of the key of the server to which contacts belong: of the connected server, or of the one that is
    /// trusted without asking.
    fn contacts_server(&self) -> Result<Fingerprint, ClientError> {
        if let Ok(connected) = self.server_key() {
            return Ok(connected);
        }
        let settings = self.settings();
        let trusted = self.connector(settings)?.trusted_server()?;
        let unknown = || UntrustedServer::NoKnownKey(settings.server.to_string());
        Ok(trusted.ok_or_else(unknown)?.fingerprint())
    }

    /// The contacts on all servers. Needs no connection.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, ClientError> {
        self.peers().with_store(|store| store.contacts(None)).await
    }

    /// The contact of this name on this client's server. Needs no connection.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::UnknownContact`], [`UntrustedServer::NoKnownKey`].
    pub async fn contact(&self, name: &ClientName) -> Result<Contact, ClientError> {
        let (server, wanted) = (self.contacts_server()?, name.clone());
        let found = self.peers().with_store(move |store| store.contact(server, &wanted)).await?;
        found.ok_or_else(|| PeerError::UnknownContact(name.clone()).into())
    }

    /// Forgets the keys of a contact. Needs no connection.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::UnknownContact`], [`UntrustedServer::NoKnownKey`].
    pub async fn forget_contact(&self, name: &ClientName) -> Result<(), ClientError> {
        let (server, wanted) = (self.contacts_server()?, name.clone());
        let forgotten =
            self.peers().with_store(move |store| store.forget_contact(server, &wanted)).await?;
        // Its next key is a first one: what is open now must not make another contact of it.
        self.peers().close_links_with(name);
        if forgotten { Ok(()) } else { Err(PeerError::UnknownContact(name.clone()).into()) }
    }

    /// Accepts the offers of a contact with a verified key from now on, into an existing folder; `None` ends that. A
    /// changed key ends it too. Needs no connection.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::NotVerified`], [`UntrustedServer::NoKnownKey`].
    pub async fn set_always_accept(
        &self,
        name: &ClientName,
        folder: Option<PathBuf>,
    ) -> Result<(), ClientError> {
        if let Some(path) = folder.clone() {
            let failed = |source| ClientError::Target { path: path.clone(), source };
            let checked = path.clone();
            let metadata = blocking(move || Ok(checked.metadata())).await?.map_err(failed)?;
            if !metadata.is_dir() {
                return Err(failed(std::io::ErrorKind::NotADirectory.into()));
            }
        }
        let (server, wanted) = (self.contacts_server()?, name.clone());
        let set =
            move |store: &PeerStore| store.set_always_accept(server, &wanted, folder.as_deref());
        if self.peers().with_store(set).await? {
            Ok(())
        } else {
            Err(PeerError::NotVerified(name.clone()).into())
        }
    }

    /// Whether this process accepts the offers of such contacts by itself, as soon as they are announced to it.
    pub fn set_accepts_by_rule(&self, accepts: bool) {
        self.peers().policy().set_accepts_by_rule(accepts);
    }

    /// Whether the texts of messages are kept that this process receives from other clients.
    pub fn set_keeps_history(&self, keeps: bool) {
        self.peers().policy().set_keeps_history(keeps);
    }

    /// Blocks a name, or ends its block. Needs no connection.
    ///
    /// # Errors
    /// [`ClientError`]; [`UntrustedServer::NoKnownKey`], and [`PeerError::UnknownContact`] if a name that is not known is
    /// unblocked.
    pub async fn set_blocked(&self, name: &ClientName, blocked: bool) -> Result<(), ClientError> {
        let (server, wanted) = (self.contacts_server()?, name.clone());
        let now = Timestamp(Utc::now());
        let peers = self.peers();
        let changed = peers.with_store(move |store| {
            if blocked {
                store.block_contact(server, &wanted, now).map(|()| true)
            } else {
                store.unblock_contact(server, &wanted)
            }
        });
        if !changed.await? {
            return Err(PeerError::UnknownContact(name.clone()).into());
        }
        if blocked {
            peers.close_links_with(name);
        }
        Ok(())
    }
}
