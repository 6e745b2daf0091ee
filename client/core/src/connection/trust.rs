//! Whether a server is the one that is meant: by its certificate, by memory, or by asking a person.

use std::path::PathBuf;

use quiver_protocol::{CloseCode, Fingerprint};
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{CertificateInfo, TrustError};
use tracing::debug;

use super::{Connector, dial};
use crate::address::ServerAddress;
use crate::error::{ClientError, UntrustedServer};
use crate::known_servers::{KnownServer, KnownServersError};
use crate::notice::Notice;
use crate::question::{Answer, Question};

/// The one server that is trusted, and who says so.
#[derive(Debug, Clone)]
pub(crate) enum PinnedServer {
    /// A certificate's file.
    Certificate { path: PathBuf, fingerprint: Fingerprint },
    /// A line in the file of known servers.
    Known { known: KnownServer, file: PathBuf },
    /// The person, for this run: it cannot be remembered.
    Person(Fingerprint),
}

impl PinnedServer {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Certificate { fingerprint, .. } | Self::Person(fingerprint) => *fingerprint,
            Self::Known { known, .. } => known.fingerprint,
        }
    }

    /// Why a server was not believed, in terms of who said what to believe.
    pub(super) fn explain(&self, server: &ServerAddress, why: TrustError) -> UntrustedServer {
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
            (_, why) => bad_certificate(server, why),
        }
    }
}

pub(super) fn bad_certificate(server: String, why: TrustError) -> UntrustedServer {
    UntrustedServer::InvalidCertificate { server, why }
}

impl Connector {
    /// Finds out whom to trust. An unknown server is dialled for its fingerprint alone, without a
    /// certificate of ours, and not kept waiting while a person compares.
    pub(super) async fn settle_trust(&self) -> Result<PinnedServer, ClientError> {
        if let Some(path) = &self.certificate {
            let info = CertificateInfo::load(path).map_err(ClientError::Certificate)?;
            return Ok(PinnedServer::Certificate {
                path: path.clone(),
                fingerprint: info.fingerprint,
            });
        }
        let looked_up = self.known.as_ref().map(|known| known.look_up(&self.server)).ok();
        if let Some(known) = looked_up.transpose().map_err(UntrustedServer::from)?.flatten() {
            debug!(line = known.line, "the server is known");
            return Ok(self.known_as(known));
        }
        let presented = self.fingerprint_of_the_server().await?;
        let server = self.server.to_string();
        if !self.reporter.can_ask() {
            return Err(UntrustedServer::UnknownServer { server, presented }.into());
        }
        if !self.ask_to_trust(presented).await {
            return Err(UntrustedServer::Declined(server).into());
        }
        let remembered = match &self.known {
            Ok(known) => known.remember(&self.server, presented),
            Err(_) => return Ok(PinnedServer::Person(presented)),
        };
        match remembered {
            Ok(known) => Ok(self.known_as(known)),
            // The person has said whom to trust; that the disk does not keep it changes nothing of that.
            Err(error @ KnownServersError::Write { .. }) => {
                let (server, why) = (self.server.to_string(), error.to_string());
                self.reporter.notice(Notice::ServerNotRemembered { server, why }).await;
                Ok(PinnedServer::Person(presented))
            }
            Err(error) => Err(UntrustedServer::from(error).into()),
        }
    }

    fn known_as(&self, known: KnownServer) -> PinnedServer {
        let file = self.known.as_ref().map(|known| known.path().to_owned()).unwrap_or_default();
        PinnedServer::Known { known, file }
    }

    async fn fingerprint_of_the_server(&self) -> Result<Fingerprint, ClientError> {
        let connection = dial::dial(&self.endpoint, &self.server, None, None)
            .await
            .map_err(|error| self.not_dialled(error))?;
        let presented = peer_fingerprint(&connection);
        quiver_transport::close(&connection, CloseCode::Goodbye);
        presented
            .ok_or_else(|| bad_certificate(self.server.to_string(), TrustError::Unreadable).into())
    }

    async fn ask_to_trust(&self, fingerprint: Fingerprint) -> bool {
        let question = Question::Trust {
            server: self.server.to_string(),
            fingerprint,
            not_remembered: self.known.as_ref().err().map(ToString::to_string),
        };
        matches!(self.reporter.ask(question).await, Some(Answer::Trust(true)))
    }
}
