//! Whether a server is the one that is meant: by its certificate, by memory, or by asking a person.

use std::path::PathBuf;

use quiver_protocol::{CloseCode, Fingerprint};
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{CertificateInfo, TrustError};
use tracing::debug;

use super::{Connector, dial};
use crate::address::ServerAddress;
use crate::failure::{Failure, Untrusted};
use crate::known_servers::{Known, KnownServers};

/// The one server that is trusted, and who says so.
#[derive(Debug, Clone)]
pub(super) enum Pin {
    /// A certificate's file.
    Certificate { path: PathBuf, fingerprint: Fingerprint },
    /// A line in the file of known servers.
    Known(Known),
}

impl Pin {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Certificate { fingerprint, .. } => *fingerprint,
            Self::Known(known) => known.fingerprint,
        }
    }

    /// Why a server was not believed, in terms of who said what to believe.
    pub(super) fn explain(
        &self,
        server: &ServerAddress,
        known: &KnownServers,
        why: TrustError,
    ) -> Untrusted {
        let server = server.to_string();
        match (self, why) {
            (Self::Certificate { path, .. }, TrustError::WrongKey { expected, presented }) => {
                let certificate = path.clone();
                Untrusted::NotTheCertificate { server, certificate, expected, presented }
            }
            (Self::Known(Known { line, .. }), TrustError::WrongKey { expected, presented }) => {
                let file = known.path().to_owned();
                Untrusted::Changed { server, expected, presented, file, line: *line }
            }
            (_, why) => bad_certificate(server, why),
        }
    }
}

pub(super) fn bad_certificate(server: String, why: TrustError) -> Untrusted {
    Untrusted::Certificate { server, why }
}

impl Connector {
    /// Finds out whom to trust. An unknown server is dialled for its fingerprint alone, without a
    /// certificate of ours, and not kept waiting while a person compares.
    pub(super) async fn settle_trust(&self) -> Result<Pin, Failure> {
        if let Some(path) = &self.certificate {
            let info = CertificateInfo::load(path).map_err(Failure::Certificate)?;
            return Ok(Pin::Certificate { path: path.clone(), fingerprint: info.fingerprint });
        }
        if let Some(known) = self.known.look_up(&self.server).map_err(Untrusted::from)? {
            debug!(line = known.line, "the server is known");
            return Ok(Pin::Known(known));
        }
        let presented = self.fingerprint_of_the_server().await?;
        let server = self.server.to_string();
        if !self.output.can_ask() {
            return Err(Untrusted::Unknown { server, presented }.into());
        }
        if !self.ask_to_trust(presented).await? {
            return Err(Untrusted::Declined(server).into());
        }
        let known = self.known.remember(&self.server, presented).map_err(Untrusted::from)?;
        Ok(Pin::Known(known))
    }

    async fn fingerprint_of_the_server(&self) -> Result<Fingerprint, Failure> {
        let connection = dial::dial(&self.endpoint, &self.server, None, None)
            .await
            .map_err(|error| self.not_dialled(error))?;
        let presented = peer_fingerprint(&connection);
        quiver_transport::close(&connection, CloseCode::Goodbye);
        presented
            .ok_or_else(|| bad_certificate(self.server.to_string(), TrustError::Unreadable).into())
    }

    async fn ask_to_trust(&self, presented: Fingerprint) -> Result<bool, Failure> {
        let mut question = format!(
            "The server {} is not known yet. Its fingerprint is\n  {presented}\n\
             The server's owner sees the same with `quiver-server cert show`.\n\
             Trust and remember it? [yes/no] ",
            self.server
        );
        loop {
            match self.output.ask(&question).await?.map(|answer| answer.to_ascii_lowercase()) {
                Some(answer) if answer == "yes" => return Ok(true),
                Some(answer) if answer != "no" => {
                    "Please type yes or no: ".clone_into(&mut question)
                }
                _ => return Ok(false),
            }
        }
    }
}
