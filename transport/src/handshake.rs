//! Handshakes of connections that others dial, and the routing of what they become: each has the protocol that
//! both sides agreed on. Knows nothing of what follows a handshake.

use std::sync::Arc;

use quinn::{Connecting, Connection};
use quiver_protocol::CloseCode;

use crate::alpn::Protocol;
use crate::channel::Channel;
use crate::close::{ConnectionEnd, close};
use crate::trust::peer_fingerprint;

/// A handshake that has begun. Given up when dropped.
#[derive(Debug)]
pub struct Handshake {
    connecting: Connecting,
    protocols: Arc<[Protocol]>,
}

/// A connection that another machine dialled. What it may use is a guest's ([`Role::Guest`](crate::Role::Guest)).
#[derive(Debug)]
pub struct AcceptedConnection {
    /// The connection.
    pub connection: Connection,
    /// What both sides agreed on: one of those that the endpoint accepts.
    pub protocol: Protocol,
}

impl Handshake {
    pub(crate) fn new(connecting: Connecting, protocols: Arc<[Protocol]>) -> Self {
        Self { connecting, protocols }
    }

    /// Waits until the other side has proved that it has the key of its certificate, where it shows one. The
    /// certificate is not compared with anything: see [`peer_fingerprint`].
    ///
    /// # Errors
    /// [`ConnectionEnd`]: [`NoCommonProtocol`](Ended::NoCommonProtocol) where the other side speaks none of the protocols,
    /// [`Failed`](Ended::Failed) where its protocol requires a certificate and it shows none.
    pub async fn complete(self) -> Result<AcceptedConnection, ConnectionEnd> {
        let connection = self.connecting.await.map_err(ConnectionEnd::from)?;
        let Some(protocol) = Protocol::negotiated(&self.protocols, &connection) else {
            // TLS has refused this before, so it does not happen.
            close(&connection, CloseCode::ProtocolViolation);
            return Err(ConnectionEnd::NoCommonProtocol("no protocol was agreed on".to_owned()));
        };
        // Where every protocol requires one, TLS has refused this before, in words that tell the other side.
        if protocol.requires_certificate() && peer_fingerprint(&connection).is_none() {
            close(&connection, CloseCode::ProtocolViolation);
            return Err(ConnectionEnd::Failed("the other side showed no certificate".to_owned()));
        }
        Ok(AcceptedConnection { connection, protocol })
    }
}

impl AcceptedConnection {
    /// Lets the other side use what its protocol's role may. To be called once it is known who it is.
    #[must_use]
    pub fn promote(self) -> Channel {
        let role = self.protocol.accepted_role();
        role.apply_to(&self.connection);
        Channel::new(self.connection, role)
    }
}
