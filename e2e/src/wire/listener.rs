//! A server's end: accepts connections and their streams. The story decides what is sent on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::{Connection, Endpoint, ServerConfig};

use super::stream::RawStream;
use super::tls::{self, Key};
use crate::deadline::{TIMEOUT, wait_within};

/// A socket that accepts a client's connections.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    key: Key,
}

impl Listener {
    /// Listens at a port of the system's choice, with this key.
    ///
    /// # Panics
    /// If no socket can be bound.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let config = ServerConfig::with_crypto(Arc::new(tls::server_config(key)));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { endpoint, key: key.clone() }
    }

    /// The address it listens at.
    ///
    /// # Panics
    /// If the socket has none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// Its key, with the certificate and the fingerprint that a client must expect.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Accepts the next connection.
    ///
    /// # Panics
    /// If none arrives within [`TIMEOUT`].
    pub async fn accept(&self) -> Connection {
        let connection = async { self.endpoint.accept().await.unwrap().await.unwrap() };
        wait_within(TIMEOUT, "a client", connection).await
    }

    /// Accepts the next connection whose handshake succeeds; waits without a timeout. `None` once the socket is closed.
    pub async fn next_connection(&self) -> Option<Connection> {
        loop {
            if let Ok(connection) = self.endpoint.accept().await?.await {
                return Some(connection);
            }
        }
    }

    /// Accepts the next stream of the client.
    ///
    /// # Panics
    /// If none arrives within [`TIMEOUT`].
    pub async fn accept_stream(connection: &Connection) -> RawStream {
        wait_within(TIMEOUT, "a stream", connection.accept_bi()).await.unwrap().into()
    }
}
