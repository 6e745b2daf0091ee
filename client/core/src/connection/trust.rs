//! Decides whether a server is trusted: by a certificate's file, by the file of known servers, or by asking the user.

use std::path::PathBuf;

use chrono::Utc;
use quiver_protocol::{CloseCode, Fingerprint};
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{CertificateInfo, TrustError};
use tracing::debug;

use super::Connector;
use crate::address::ServerAddress;
use crate::connection_detail::TrustSource;
use crate::error::{ClientError, UntrustedServer};
use crate::known_servers::{KnownServer, KnownServersError};
use crate::notice::Notice;
use crate::question::{Answer, Question};

/// The trusted server, and the source of that trust.
#[derive(Debug, Clone)]
pub(crate) enum PinnedServer {
    /// A file with the server's certificate.
    Certificate { path: PathBuf, fingerprint: Fingerprint },
    /// A line of the file of known servers.
    Known { known: KnownServer, file: PathBuf },
    /// The user's confirmation, for this run only: it cannot be remembered.
    Confirmed(Fingerprint),
}

impl PinnedServer {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Certificate { fingerprint, .. } | Self::Confirmed(fingerprint) => *fingerprint,
            Self::Known { known, .. } => known.fingerprint,
        }
    }

    /// How this client knows the key.
    pub(crate) fn source(&self) -> TrustSource {
        match self {
            Self::Certificate { path, .. } => TrustSource::Certificate(path.clone()),
            Self::Known { known, file } => {
                TrustSource::KnownServers { file: file.clone(), line: known.line }
            }
            Self::Confirmed(_) => TrustSource::Confirmed,
        }
    }

    /// The error for a server that failed verification, with the source of the expected key.
    pub(super) fn trust_error(&self, server: &ServerAddress, why: TrustError) -> UntrustedServer {
        let server = server.to_string();
        match (self, why) {
            (Self::Certificate { path, .. }, TrustError::WrongKey { expected, presented }) => {
                let certificate = path.clone();
                UntrustedServer::CertificateMismatch { server, certificate, expected, presented }
            }
            (Self::Known { known, file }, TrustError::WrongKey { expected, presented }) => {
                let (file, line) = (file.clone(), known.line);
                UntrustedServer::FingerprintChanged { server, expected, presented, file, line }
            }
            (_, why) => invalid_certificate(server, why),
        }
    }
}

pub(super) fn invalid_certificate(server: String, why: TrustError) -> UntrustedServer {
    UntrustedServer::InvalidCertificate { server, why }
}

impl Connector {
    /// The server that is trusted without asking: that of the certificate, or the known one; `None` if there is neither.
    ///
    /// # Errors
    /// [`ClientError`] if the certificate or the file of known servers cannot be used.
    pub(crate) fn trusted_server(&self) -> Result<Option<PinnedServer>, ClientError> {
        if let Some(path) = &self.certificate {
            let info = CertificateInfo::load(path).map_err(ClientError::Certificate)?;
            let (path, fingerprint) = (path.clone(), info.fingerprint);
            return Ok(Some(PinnedServer::Certificate { path, fingerprint }));
        }
        let found = self.known.as_ref().map(|known| known.look_up(&self.server)).ok();
        let found = found.transpose().map_err(UntrustedServer::from)?.flatten();
        Ok(found.map(|known| self.pin_known(known)))
    }

    /// Determines the server to trust. The client dials an unknown server only for its fingerprint, without a client
    /// certificate, and closes that connection before it asks the user.
    pub(super) async fn establish_trust(&mut self) -> Result<PinnedServer, ClientError> {
        if let Some(trusted) = self.trusted_server()? {
            debug!(fingerprint = %trusted.fingerprint(), "the server is known");
            return Ok(trusted);
        }
        let presented = self.fetch_fingerprint().await?;
        let server = self.server.to_string();
        if !self.reporter.can_ask() {
            return Err(UntrustedServer::UnknownServer { server, presented }.into());
        }
        let answer = self.ask_to_trust(presented).await;
        self.restart_deadline();
        match answer {
            Some(Answer::Trust(true)) => {}
            Some(Answer::Fingerprint(entered)) if entered == presented => {}
            Some(Answer::Fingerprint(entered)) => {
                return Err(UntrustedServer::OtherFingerprint { server, entered, presented }.into());
            }
            _ => return Err(UntrustedServer::Declined(server).into()),
        }
        let remembered = match &self.known {
            Ok(known) => known.remember(&self.server, presented, Utc::now()),
            Err(_) => return Ok(PinnedServer::Confirmed(presented)),
        };
        match remembered {
            Ok(known) => Ok(self.pin_known(known)),
            // The user has confirmed the server: a failure to remember it does not revoke that.
            Err(error @ KnownServersError::Write { .. }) => {
                let (server, why) = (self.server.to_string(), error.to_string());
                self.reporter.notify(Notice::ServerNotRemembered { server, why }).await;
                Ok(PinnedServer::Confirmed(presented))
            }
            Err(error) => Err(UntrustedServer::from(error).into()),
        }
    }

    fn pin_known(&self, known: KnownServer) -> PinnedServer {
        let file = self.known.as_ref().map(|known| known.path().to_owned()).unwrap_or_default();
        PinnedServer::Known { known, file }
    }

    async fn fetch_fingerprint(&self) -> Result<Fingerprint, ClientError> {
        let connection =
            self.dial_with(None, None).await.map_err(|error| self.dial_error(error))?;
        let presented = peer_fingerprint(&connection);
        quiver_transport::close(&connection, CloseCode::Goodbye);
        presented.ok_or_else(|| {
            invalid_certificate(self.server.to_string(), TrustError::Unreadable).into()
        })
    }

    async fn ask_to_trust(&self, fingerprint: Fingerprint) -> Option<Answer> {
        let question = Question::Trust {
            server: self.server.to_string(),
            fingerprint,
            not_remembered: self.known.as_ref().err().map(ToString::to_string),
        };
        self.reporter.ask(question).await
    }
}
