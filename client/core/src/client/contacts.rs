//! Contacts, for interfaces: the other clients whose keys this one knows.

use chrono::Utc;
use quiver_protocol::{ClientName, Fingerprint, Timestamp};

use super::Client;
use crate::error::{ClientError, PeerError};
use crate::peer_store::Contact;

impl Client {
    /// The fingerprint of the server's key; the client must be connected.
    ///
    /// # Errors
    /// [`InvalidRequest::NotConnected`](crate::error::InvalidRequest::NotConnected).
    pub fn server_key(&self) -> Result<Fingerprint, ClientError> {
        Ok(self.session()?.server_ref().fingerprint)
    }

    /// The contacts on all servers.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub async fn contacts(&self) -> Result<Vec<Contact>, ClientError> {
        self.peers().with_store(|store| store.contacts(None)).await
    }

    /// The contact of this name on this client's server; the client must be connected.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::UnknownContact`].
    pub async fn contact(&self, name: &ClientName) -> Result<Contact, ClientError> {
        let (server, wanted) = (self.session()?.server_ref().fingerprint, name.clone());
        let found = self.peers().with_store(move |store| store.contact(server, &wanted)).await?;
        found.ok_or_else(|| PeerError::UnknownContact(name.clone()).into())
    }

    /// Forgets the keys of a contact; the client must be connected.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::UnknownContact`].
    pub async fn forget_contact(&self, name: &ClientName) -> Result<(), ClientError> {
        let (server, wanted) = (self.session()?.server_ref().fingerprint, name.clone());
        let forgotten =
            self.peers().with_store(move |store| store.forget_contact(server, &wanted)).await?;
        if forgotten { Ok(()) } else { Err(PeerError::UnknownContact(name.clone()).into()) }
    }

    /// Blocks a name, or ends its block; the client must be connected.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_blocked(&self, name: &ClientName, blocked: bool) -> Result<(), ClientError> {
        let (server, wanted) = (self.session()?.server_ref().fingerprint, name.clone());
        let now = Timestamp(Utc::now());
        self.peers()
            .with_store(move |store| {
                if blocked {
                    store.block_contact(server, &wanted, now)
                } else {
                    store.unblock_contact(server, &wanted).map(drop)
                }
            })
            .await?;
        if blocked {
            self.peers().close_links_with(name);
        }
        Ok(())
    }
}
