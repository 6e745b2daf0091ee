//! Failures as the page and other processes get them: a stable code, by which it chooses its text, and the message as detail.

use std::borrow::Cow;
use std::sync::Arc;

use quiver_client::error::{InvalidRequest, PeerError, UntrustedServer};
use quiver_client::peer_store::PeerStoreError;
use quiver_client::{ClientError, ErrorCode};
use quiver_protocol::{Fingerprint, RefusalCode};
use serde::{Deserialize, Serialize};

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The code. Beside those of [`ErrorCode`] there are some of the page.
    pub code: Cow<'static, str>,
    /// The message in plain English.
    pub text: String,
    /// The fingerprint that an untrusted machine has shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presented: Option<String>,
    /// The fingerprints that were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Vec<String>>,
    /// Where the known fingerprint is written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered_in: Option<String>,
}

impl Failure {
    /// A failure with a message.
    #[must_use]
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        let code = Cow::Borrowed(code);
        Self { code, text: text.into(), presented: None, known: None, remembered_in: None }
    }

    /// A request that cannot be carried out as it is.
    #[must_use]
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest.as_str(), text)
    }

    /// The process ends, or the client has signed out.
    #[must_use]
    pub fn interrupted() -> Self {
        Self::from(&ClientError::Interrupted)
    }

    fn with_keys(self, presented: Fingerprint, known: &[Fingerprint]) -> Self {
        let known = known.iter().map(ToString::to_string).collect();
        Self { presented: Some(presented.to_string()), known: Some(known), ..self }
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        let failure = Self::new(code(error), error.to_string());
        match innermost(error) {
            ClientError::Untrusted(UntrustedServer::FingerprintChanged {
                expected,
                presented,
                file,
                line,
                ..
            }) => Self {
                remembered_in: Some(format!("{}:{line}", file.display())),
                ..failure.with_keys(*presented, &[*expected])
            },
            ClientError::Untrusted(UntrustedServer::CertificateMismatch {
                expected,
                presented,
                certificate,
                ..
            }) => Self {
                remembered_in: Some(certificate.display().to_string()),
                ..failure.with_keys(*presented, &[*expected])
            },
            ClientError::Untrusted(UntrustedServer::UnknownServer { presented, .. }) => {
                failure.with_keys(*presented, &[])
            }
            ClientError::Peer(
                PeerError::KeyChanged { presented, known, .. }
                | PeerError::UnknownMachine { presented, known, .. },
            ) => failure.with_keys(*presented, known),
            _ => failure,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::from(&error)
    }
}

impl From<Arc<ClientError>> for Failure {
    fn from(error: Arc<ClientError>) -> Self {
        Self::from(&*error)
    }
}

impl From<InvalidRequest> for Failure {
    fn from(error: InvalidRequest) -> Self {
        Self::from(ClientError::from(error))
    }
}

fn innermost(error: &ClientError) -> &ClientError {
    match error {
        ClientError::Resumable { error, .. } => innermost(error),
        error => error,
    }
}

fn code(error: &ClientError) -> &'static str {
    let error = innermost(error);
    match error.refusal().map(|refusal| refusal.code) {
        Some(RefusalCode::Exists) => return "exists",
        Some(RefusalCode::NoSpace) => return "quota",
        _ => {}
    }
    match error {
        ClientError::Exists(_) | ClientError::FolderExists { .. } => "exists",
        ClientError::ReadOnly { .. } => "read_only",
        ClientError::Peer(PeerError::Expired(_)) => "expired",
        ClientError::Peer(PeerError::Store(PeerStoreError::UnknownOffer { .. })) => "not_found",
        error => error.code().as_str(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use quiver_protocol::Refusal;

    use super::*;

    #[test]
    fn a_changed_key_says_which_keys_and_where_the_known_one_is() {
        let (expected, presented) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let error = ClientError::from(UntrustedServer::FingerprintChanged {
            server: "a:1".to_owned(),
            expected,
            presented,
            file: PathBuf::from("/s/known_servers"),
            line: 3,
        });
        let failure = Failure::from(&error);
        assert_eq!(failure.code, "untrusted");
        assert_eq!(failure.presented, Some(presented.to_string()));
        assert_eq!(failure.known, Some(vec![expected.to_string()]));
        assert_eq!(failure.remembered_in.as_deref(), Some("/s/known_servers:3"));
    }

    #[test]
    fn failures_without_a_code_of_their_own_in_the_client_get_one() {
        let exists = ClientError::refused("cannot move a", Refusal::new(RefusalCode::Exists, "x"));
        assert_eq!(Failure::from(&exists).code, "exists");
        let refusal = Refusal::new(RefusalCode::NoSpace, "x");
        let (path, folder) = ("a".to_owned(), "b".to_owned());
        let full = ClientError::ServerFolder { path, folder, refusal };
        assert_eq!(Failure::from(&full).code, "quota");
        let read_only = ClientError::ReadOnly { what: "cannot put a".to_owned() };
        assert_eq!(Failure::from(&read_only).code, "read_only");
        assert_eq!(Failure::from(InvalidRequest::NotConnected).code, "invalid_request");
        assert_eq!(Failure::from(&ClientError::Busy("full".to_owned())).code, "busy");
    }
}
