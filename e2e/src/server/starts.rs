//! Servers that start in an unusual way: after their folder was changed, or with a log that goes elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Options, Server, listening};
use crate::binary;
use crate::deadline::until;
use crate::fingerprint::fingerprint;
use crate::log::Log;
use crate::process::{self, Process};
use crate::sockets::{Protocol, listens_at};

impl Server {
    /// Its process's number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Options {
    /// Starts it after `prepare` was shown its folder, in which `files` and, with accounts, `passwords` are, and waits
    /// until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_after(self, prepare: impl FnOnce(&Path)) -> Server {
        let folder = self.prepare();
        prepare(folder.path());
        let process = Process::start(&mut self.command(folder.path()));
        let (process, log, address, fingerprint) = listening(process).await;
        Server { process, log, address, fingerprint, folder, options: self }
    }

    /// Starts one whose log goes somewhere else, and waits until it listens. Its certificate is made before.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start_logging_to(self, stderr: impl Into<Stdio>) -> Server {
        let folder = self.prepare();
        let mut new = Command::new(binary::server());
        new.args(["cert", "new", "--certs"]).arg(folder.path().join("certs"));
        assert!(process::run(&mut new, b"").status.success());
        let pem = folder.path().join("certs/server.pem");
        let fingerprint = fingerprint(&CertificateDer::from_pem_file(pem).unwrap());
        let mut command = self.command(folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let process = Process::start_with_stderr(&mut command, stderr);
        drop(command);
        let mut address = None;
        until("the server to listen", || {
            address = listens_at(process.id(), Protocol::Udp);
            address.is_some()
        })
        .await;
        let (log, address) = (Log::new(process.stderr.clone()), address.expect("an address"));
        Server { process, log, address, fingerprint, folder, options: self }
    }
}
