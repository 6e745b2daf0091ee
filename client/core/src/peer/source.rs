//! The session of a transfer with another client: renewed by a new link after a loss.

use quiver_protocol::{ClientName, Fingerprint};

use super::Peers;
use crate::reconnecting::{Renewal, RenewedSession, SessionSource};

/// Renews sessions with one other client.
#[derive(Debug)]
pub(crate) struct PeerSource {
    peers: Peers,
    name: ClientName,
    key: Fingerprint,
}

impl PeerSource {
    /// For the client with this name and key.
    pub(crate) fn new(peers: Peers, name: ClientName, key: Fingerprint) -> Self {
        Self { peers, name, key }
    }
}

impl SessionSource for PeerSource {
    fn reconnect(&mut self) -> Renewal<'_> {
        Box::pin(async {
            // The connection to the server may be lost too.
            self.peers.session()?.reconnect().await?;
            let link = self.peers.connect_with_key(&self.name, self.key).await?;
            Ok(RenewedSession::Peer(link.handle(self.peers.timeout())))
        })
    }
}
