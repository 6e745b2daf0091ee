//! The other end: takes connections and gives their streams, and leaves what is said there to the story.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::{Connection, Endpoint, ServerConfig};

use super::stream::Stream;
use super::tls::{self, Key};
use crate::deadline::{PATIENCE, within};

/// A socket that a client takes for a server.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    key: Key,
}

impl Listener {
    /// At a port of the system's choice, with this key.
    ///
    /// # Panics
    /// Where no socket can be had.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let config = ServerConfig::with_crypto(Arc::new(tls::server_config(key)));
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self { endpoint, key: key.clone() }
    }

    /// Where it listens.
    ///
    /// # Panics
    /// Where the socket is gone.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    /// What a client must expect: the key's certificate, its fingerprint.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The next connection.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn connection(&self) -> Connection {
        let connection = async { self.endpoint.accept().await.unwrap().await.unwrap() };
        within(PATIENCE, "a client", connection).await
    }

    /// The next stream that the client opens.
    ///
    /// # Panics
    /// Where none comes.
    pub async fn stream(connection: &Connection) -> Stream {
        within(PATIENCE, "a stream", connection.accept_bi()).await.unwrap().into()
    }
}
