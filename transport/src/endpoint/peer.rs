//! Connections between two clients: over a relay, and directly with the connection ids that both derive from their
//! introduction.

use std::net::SocketAddr;

use quinn::{Connection, EndpointConfig, Incoming};
use quiver_protocol::{Fingerprint, IntroductionId};

use super::{AcceptConfig, DialError, Endpoint, EndpointError, EndpointSettings};
use crate::alpn::Protocol;
use crate::identity::Identity;
use crate::path_mtu::{self, PathMtu};
use crate::relay_socket::{self, PacketRelay};
use crate::stream::CommandStream;
use crate::trust::ServerVerifier;

/// The context string of the hash that gives the connection id of a dial, different from that of any other hash.
const DIAL_CONTEXT: &str = "quiver-peer/1 2026-11-29 dial";

/// The destination connection id of the first packet of a direct dial. Only the two sides of an introduction can know
/// it, so the accepting side ignores every other first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DialId(pub(super) [u8; 16]);

impl DialId {
    /// The id of one dial of an introduction, by the dialling side's key. `number` is 64 times the round, plus the
    /// place of the dial in that round.
    #[must_use]
    pub fn derive(introduction: IntroductionId, dialler: Fingerprint, number: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(DIAL_CONTEXT);
        hasher.update(&introduction.0).update(&dialler.0).update(&number.to_be_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(id)
    }

    /// The id with which another machine has dialled; `None` if it has another length than a derived one.
    #[must_use]
    pub fn of(incoming: &Incoming) -> Option<Self> {
        Some(Self(<[u8; 16]>::try_from(&*incoming.orig_dst_cid()).ok()?))
    }
}

impl Endpoint {
    /// Opens an endpoint over a stream on which the server passes packets to another client. It can dial that client
    /// ([`dial_over_relay`](Self::dial_over_relay)) and accept a connection of it. Packets are passed while
    /// [`PacketRelay::run`] runs.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn over_relay(
        stream: CommandStream,
        identity: &Identity,
        settings: EndpointSettings,
    ) -> Result<(Self, PacketRelay), EndpointError> {
        let failed = |source| EndpointError::Bind { address: relay_socket::REMOTE, source };
        let accept_config = AcceptConfig::new(identity, &[Protocol::QUIVER_PEER_1])?;
        let mut config = EndpointConfig::default();
        config
            .max_udp_payload_size(path_mtu::MAX_RELAYED_PAYLOAD)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let (relay, socket) = PacketRelay::new(stream);
        let path = Some(PathMtu::RELAYED);
        let endpoint = Self::with_socket(config, settings, socket, Some(accept_config), path);
        Ok((endpoint.map_err(failed)?, relay))
    }

    /// Dials the other client of a relay, which must hold this key.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial_over_relay(
        &self,
        identity: &Identity,
        key: Fingerprint,
    ) -> Result<Connection, DialError> {
        let (protocol, verifier) = (Protocol::QUIVER_PEER_1, ServerVerifier::for_peer(key));
        self.dial(relay_socket::REMOTE, protocol, Some(identity), verifier).await
    }

    /// Dials another client at an address, which must hold this key, with the connection id of this dial.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial_peer(
        &self,
        address: SocketAddr,
        identity: &Identity,
        key: Fingerprint,
        id: DialId,
    ) -> Result<Connection, DialError> {
        let (protocol, verifier) = (Protocol::QUIVER_PEER_1, ServerVerifier::for_peer(key));
        self.dial_with(address, protocol, Some(identity), verifier, Some(id)).await
    }
}
