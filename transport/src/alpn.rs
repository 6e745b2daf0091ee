//! The protocols that an endpoint speaks, by their ALPN identifiers (RFC 7301), each with the roles of its two
//! sides. Knows nothing of what is said in them.

use quinn::Connection;
use quinn::crypto::rustls::HandshakeData;
use quiver_protocol::version;

use crate::role::{Role, RoleLimits};

/// A protocol: its ALPN identifier, the roles of both sides, and whether the side that dials must show a
/// certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    alpn: &'static [u8],
    dialled: Role,
    accepted: Role,
    requires_certificate: bool,
}

impl Protocol {
    /// `quiver/1`, between a client and its server.
    pub const QUIVER_1: Self = Self::client_to_server(version::ALPN);

    /// Between a client that dials and a server that accepts. The client may show a certificate.
    #[must_use]
    pub const fn client_to_server(alpn: &'static [u8]) -> Self {
        Self { alpn, dialled: Role::Client, accepted: Role::Member, requires_certificate: false }
    }

    /// Between two clients, either of which dials. Both must show a certificate.
    #[must_use]
    pub const fn peer_to_peer(alpn: &'static [u8]) -> Self {
        Self { alpn, dialled: Role::Peer, accepted: Role::Peer, requires_certificate: true }
    }

    /// The same protocol, in which the side that dials must show a certificate, or need not.
    #[must_use]
    pub const fn with_certificate_required(self, requires_certificate: bool) -> Self {
        Self { requires_certificate, ..self }
    }

    /// The identifier, 1 to 255 bytes.
    #[must_use]
    pub const fn alpn(&self) -> &'static [u8] {
        self.alpn
    }

    /// The role of a connection at the side that dialled it, from the beginning.
    #[must_use]
    pub const fn dialled_role(&self) -> Role {
        self.dialled
    }

    /// The role of a connection at the side that accepted it, once it is known who dialled. Until then it is
    /// [`Role::Guest`].
    #[must_use]
    pub const fn accepted_role(&self) -> Role {
        self.accepted
    }

    /// Whether the side that dials must show a certificate.
    #[must_use]
    pub const fn requires_certificate(&self) -> bool {
        self.requires_certificate
    }

    /// The one of `protocols` that both sides of a connection have agreed on.
    pub(crate) fn negotiated(protocols: &[Self], connection: &Connection) -> Option<Self> {
        let agreed = alpn(connection)?;
        protocols.iter().find(|protocol| protocol.alpn == agreed).copied()
    }

    /// What an accepted connection begins with. QUIC settles this before TLS tells which of `protocols` it is, so
    /// it is a guest's limits, with the largest of what cannot change later.
    pub(crate) fn guest_limits(protocols: &[Self], is_loopback: bool) -> RoleLimits {
        protocols.iter().fold(Role::Guest.limits(is_loopback), |limits, protocol| {
            limits.with_fixed_limits_of(&protocol.accepted.limits(is_loopback))
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
    fn a_server_of_quiver_1_begins_with_a_guests_limits() {
        for is_loopback in [false, true] {
            let limits = Protocol::guest_limits(&[Protocol::QUIVER_1], is_loopback);
            assert_eq!(limits, Role::Guest.limits(is_loopback));
        }
    }

    #[test]
    fn beside_peers_a_guest_begins_with_the_stream_window_of_a_peer_and_no_more() {
        let limits = Protocol::guest_limits(&[Protocol::QUIVER_1, PEER], false);
        let stream_window = Role::Peer.limits(false).stream_window;
        assert_eq!(limits, RoleLimits { stream_window, ..Role::Guest.limits(false) });
    }
}
