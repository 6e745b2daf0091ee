//! Application protocols by their ALPN identifiers (RFC 7301), each with the roles of its two
//! sides. No messages in here.

use quinn::Connection;
use quinn::crypto::rustls::HandshakeData;
use quiver_protocol::version;

use crate::role::{Role, RoleLimits};

/// An application protocol: its ALPN identifier, the roles of both sides, and whether the dialling
/// side must show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    alpn: &'static [u8],
    dialled_role: Role,
    accepted_role: Role,
    requires_certificate: bool,
}

impl Protocol {
    /// `quiver/1`, between a client and a server.
    pub const QUIVER_1: Self = Self::client_to_server(version::ALPN);

    /// `quiver-peer/1`, between two clients.
    pub const QUIVER_PEER_1: Self = Self::peer_to_peer(version::PEER_ALPN);

    /// Between a client that dials and a server that accepts. The client may show a certificate.
    #[must_use]
    pub const fn client_to_server(alpn: &'static [u8]) -> Self {
        Self {
            alpn,
            dialled_role: Role::Client,
            accepted_role: Role::Member,
            requires_certificate: false,
        }
    }

    /// Between two clients, either of which dials. Both must show a certificate.
    #[must_use]
    pub const fn peer_to_peer(alpn: &'static [u8]) -> Self {
        Self {
            alpn,
            dialled_role: Role::Peer,
            accepted_role: Role::Peer,
            requires_certificate: true,
        }
    }

    /// Sets whether the dialling side must show a certificate.
    #[must_use]
    pub const fn with_certificate_required(self, requires_certificate: bool) -> Self {
        Self { requires_certificate, ..self }
    }

    /// The ALPN identifier, 1 to 255 bytes.
    #[must_use]
    pub const fn alpn(&self) -> &'static [u8] {
        self.alpn
    }

    /// The role of a connection on the side that dialled it.
    #[must_use]
    pub const fn dialled_role(&self) -> Role {
        self.dialled_role
    }

    /// The role of a connection on the side that accepted it, once that side knows who dialled.
    /// Until then the role is [`Role::Guest`].
    #[must_use]
    pub const fn accepted_role(&self) -> Role {
        self.accepted_role
    }

    /// Whether the dialling side must show a certificate.
    #[must_use]
    pub const fn requires_certificate(&self) -> bool {
        self.requires_certificate
    }

    /// Finds the protocol that both sides of a connection have agreed on.
    pub(crate) fn find_negotiated(protocols: &[Self], connection: &Connection) -> Option<Self> {
        let negotiated = alpn(connection)?;
        protocols.iter().find(|protocol| protocol.alpn == negotiated).copied()
    }

    /// The limits with which an accepted connection starts. QUIC fixes them before TLS has
    /// negotiated one of `protocols`, so they are a guest's limits, with the largest values of
    /// those that cannot change later.
    pub(crate) fn guest_limits(protocols: &[Self], is_loopback: bool) -> RoleLimits {
        protocols.iter().fold(Role::Guest.limits(is_loopback), |limits, protocol| {
            limits.raise_fixed_limits(&protocol.accepted_role.limits(is_loopback))
        })
    }
}

/// The ALPN identifier that both sides of a connection have agreed on.
#[must_use]
pub fn alpn(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Protocol = Protocol::peer_to_peer(b"peer/1");

    #[test]
    fn a_connection_to_a_quiver_1_server_starts_with_a_guests_limits() {
        for is_loopback in [false, true] {
            let limits = Protocol::guest_limits(&[Protocol::QUIVER_1], is_loopback);
            assert_eq!(limits, Role::Guest.limits(is_loopback));
        }
    }

    #[test]
    fn if_peers_are_accepted_too_a_guest_starts_with_a_peers_stream_window() {
        let limits = Protocol::guest_limits(&[Protocol::QUIVER_1, PEER], false);
        let stream_window = Role::Peer.limits(false).stream_window;
        assert_eq!(limits, RoleLimits { stream_window, ..Role::Guest.limits(false) });
    }
}
