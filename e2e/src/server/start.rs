//! Special starts of a server: with a changed folder, or with a log that is written elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Server, ServerOptions, wait_until_listening};
use crate::binary;
use crate::deadline::wait_until;
use crate::fingerprint::fingerprint;
use crate::log::ServerLog;
use crate::process::{self, Process};
use crate::sockets::{SocketKind, listen_address};

impl Server {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl ServerOptions {
    /// Calls `prepare` with its folder, which contains `files` and, with accounts, `passwords`; then starts it and
    /// waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start_with_folder(self, prepare: impl FnOnce(&Path)) -> Server {
        let folder = self.create_folder();
        prepare(folder.path());
        let process = Process::start(&mut self.command(folder.path()));
        let (process, log, address, fingerprint) = wait_until_listening(process).await;
        Server { process, log, address, fingerprint, folder, options: self }
    }

    /// Starts it with its log written to `stderr`, and waits until it listens. Its certificate is created first.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start_logging_to(self, stderr: impl Into<Stdio>) -> Server {
        let folder = self.create_folder();
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
        wait_until("the server to listen", || {
            address = listen_address(process.id(), SocketKind::Udp);
            address.is_some()
        })
        .await;
        let (log, address) = (ServerLog::new(process.stderr.clone()), address.expect("an address"));
        Server { process, log, address, fingerprint, folder, options: self }
    }
}
