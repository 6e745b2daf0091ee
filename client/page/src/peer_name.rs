//! With whom a conversation or a transfer is: the server, or another client.

use quiver_protocol::ClientName;
use quiver_protocol::name::BadName;
use serde::{Deserialize, Serialize, Serializer};

/// The text for the server.
const SERVER: &str = "server";

/// The server, or another client.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum PeerName {
    /// The server.
    Server,
    /// Another client.
    Client(ClientName),
}

impl PeerName {
    /// The key to compare by: the names of clients have no case.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Server => SERVER.to_owned(),
            Self::Client(name) => format!("@{}", name.key()),
        }
    }
}

impl TryFrom<String> for PeerName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        match text.as_str() {
            SERVER => Ok(Self::Server),
            name => ClientName::parse(name.strip_prefix('@').unwrap_or(name)).map(Self::Client),
        }
    }
}

/// A client whose name is the word for the server is written with an `@`, which no name has.
impl std::fmt::Display for PeerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str(SERVER),
            Self::Client(name) if name.as_str() == SERVER => write!(f, "@{name}"),
            Self::Client(name) => f.write_str(name.as_str()),
        }
    }
}

impl Serialize for PeerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_called_like_the_server_is_not_the_server() {
        let parse = |text: &str| PeerName::try_from(text.to_owned()).unwrap();
        assert_eq!(parse("server"), PeerName::Server);
        for text in ["@server", "Ann", "@Ann"] {
            assert!(matches!(parse(text), PeerName::Client(_)));
            assert_eq!(parse(&parse(text).to_string()), parse(text));
        }
        assert_ne!(parse("@server").key(), parse("server").key());
        assert_eq!(parse("ann").key(), parse("Ann").key());
        assert!(PeerName::try_from("a b".to_owned()).is_err());
    }
}
