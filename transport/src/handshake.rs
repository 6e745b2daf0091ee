//! Handshakes of connections that other machines dial, and the protocol that each of them
//! negotiates. No application data in here.

use std::sync::Arc;

use quinn::{Connecting, Connection};
use quiver_protocol::CloseCode;

use crate::alpn::Protocol;
use crate::channel::Channel;
use crate::close::{ConnectionEnd, close};
use crate::trust::peer_fingerprint;
use crate::windows::WindowPolicy;

/// A running handshake. Dropping it aborts it.
#[derive(Debug)]
pub struct Handshake {
    connecting: Connecting,
    protocols: Arc<[Protocol]>,
    windows: WindowPolicy,
}

/// A connection that another machine dialled. It has the limits of a guest
/// ([`Role::Guest`](crate::Role::Guest)).
#[derive(Debug)]
pub struct AcceptedConnection {
    /// The connection.
    pub connection: Connection,
    /// The negotiated protocol, one of those that the endpoint accepts.
    pub protocol: Protocol,
    windows: WindowPolicy,
}

impl Handshake {
    pub(crate) fn new(
        connecting: Connecting,
        protocols: Arc<[Protocol]>,
        windows: WindowPolicy,
    ) -> Self {
        Self { connecting, protocols, windows }
    }

    /// Waits until the handshake is complete. If the other side shows a certificate, it has then
    /// proved that it holds the certificate's key. The fingerprint is not compared with anything:
    /// see [`peer_fingerprint`].
    ///
    /// # Errors
    /// [`ConnectionEnd`]: [`NoCommonProtocol`](ConnectionEnd::NoCommonProtocol) if the other side
    /// supports none of the protocols, [`Failed`](ConnectionEnd::Failed) if its protocol requires a
    /// certificate and it shows none.
    pub async fn complete(self) -> Result<AcceptedConnection, ConnectionEnd> {
        let connection = self.connecting.await.map_err(ConnectionEnd::from)?;
        let Some(protocol) = Protocol::find_negotiated(&self.protocols, &connection) else {
            // Cannot happen: TLS has refused such a connection.
            close(&connection, CloseCode::ProtocolViolation);
            return Err(ConnectionEnd::NoCommonProtocol("no protocol was agreed on".to_owned()));
        };
        // If every protocol requires a certificate, TLS has refused the connection already, with an
        // alert that says so.
        if protocol.requires_certificate() && peer_fingerprint(&connection).is_none() {
            close(&connection, CloseCode::ProtocolViolation);
            return Err(ConnectionEnd::Failed("the other side showed no certificate".to_owned()));
        }
        Ok(AcceptedConnection { connection, protocol, windows: self.windows })
    }
}

impl AcceptedConnection {
    /// Raises the limits to those of the protocol's role. To be called once it is known who the
    /// other side is.
    #[must_use]
    pub fn promote(self) -> Channel {
        let role = self.protocol.accepted_role();
        role.apply_to(&self.connection);
        Channel::with_windows(self.connection, role, &self.windows)
    }
}
