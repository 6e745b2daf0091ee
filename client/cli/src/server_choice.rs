//! A server as people name it: an entry of the configuration file, or an address. Reads no file.

use std::str::FromStr;

use quiver_client::address::{AddressError, ServerAddress};

/// A server as people name it. The settings decide whether it is an entry: a name without a port may be both an entry
/// and a host, and the entry wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerChoice {
    address: ServerAddress,
    has_port: bool,
}

impl ServerChoice {
    /// The name that an entry must have to be meant, in lower case; `None` if a port makes it an address.
    #[must_use]
    pub fn entry_name(&self) -> Option<&str> {
        (!self.has_port).then(|| self.address.host())
    }

    /// The address that is meant if there is no such entry.
    #[must_use]
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }
}

impl FromStr for ServerChoice {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address: ServerAddress = text.parse()?;
        // The host of an IPv6 address has colons itself.
        let has_port = text.contains(':');
        Ok(Self { address, has_port })
    }
}
