//! The session of a transfer with another client: renewed by a new link after a loss.

use quiver_protocol::{ClientName, Fingerprint};
use quiver_transport::StreamError;

use super::Peers;
use crate::reconnecting::{BestSession, Renewal, RenewedSession, SessionHandle, SessionSource};

/// Renews sessions with one other client.
#[derive(Debug, Clone)]
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

    /// The best session at present, for transfers that move between paths.
    pub(crate) fn best(&self) -> BestSession {
        let source = self.clone();
        BestSession::new(move || source.present())
    }

    fn present(&self) -> Option<SessionHandle> {
        let link = self.peers.link_with(&self.name, Some(self.key))?;
        link.handle(self.peers.timeout())
    }
}

impl SessionSource for PeerSource {
    fn reconnect(&mut self) -> Renewal<'_> {
        Box::pin(async {
            // The connection to the server may be lost too.
            self.peers.session()?.reconnect().await?;
            let link = self.peers.connect_to(&self.name, Some(self.key)).await?;
            let handle = link.handle(self.peers.timeout());
            let lost = || Peers::no_path(&self.name, &StreamError::Reset);
            Ok(RenewedSession::Peer(handle.ok_or_else(lost)?))
        })
    }
}
