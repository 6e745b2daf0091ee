//! The command line of each program, as its users call it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::croc::{self, CrocSender};
use super::nginx::Nginx;
use super::sendme::{self, SendmeSender};
use super::sshd::Sshd;
use super::{Job, Peer, TransferKind, find};
use crate::fixtures::{DOWNLOADS, FILES, UPLOADS, WorkFolder, program_path};

/// The cipher that is fast on processors with AES instructions.
const FAST_CIPHER: &str = "aes128-gcm@openssh.com";

/// A job and the servers for it, from which the client's command line is built.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) job: &'a Job,
    pub(crate) work_folder: &'a WorkFolder,
    /// All servers have its address.
    pub(crate) quiver: SocketAddr,
    pub(crate) sshd: Option<&'a Sshd>,
    pub(crate) nginx: Option<&'a Nginx>,
    pub(crate) sendme: Option<&'a SendmeSender>,
    pub(crate) croc: Option<&'a CrocSender>,
}

impl<'a> Invocation<'a> {
    /// For Quiver alone.
    pub(crate) fn to_quiver(job: &'a Job, work_folder: &'a WorkFolder, quiver: SocketAddr) -> Self {
        Self { job, work_folder, quiver, sshd: None, nginx: None, sendme: None, croc: None }
    }

    /// The source file or folder.
    pub(crate) fn source(&self) -> PathBuf {
        self.work_folder.path(FILES).join(&self.job.name)
    }

    /// The destination folder.
    pub(crate) fn target(&self) -> PathBuf {
        self.work_folder.path(match self.job.kind {
            TransferKind::Get => DOWNLOADS,
            TransferKind::Put => UPLOADS,
        })
    }

    fn ssh_config(&self) -> &Path {
        &self.sshd.expect("sshd is running for its clients").client_config
    }

    pub(crate) fn command(&self, peer: Peer) -> Command {
        match peer {
            Peer::Quiver => self.quiver(),
            Peer::Curl => self.curl(),
            Peer::Scp => self.scp(None),
            Peer::ScpFast => self.scp(Some(FAST_CIPHER)),
            Peer::Rsync => self.rsync(),
            Peer::Tar => self.tar(),
            Peer::Qcp => self.qcp(),
            Peer::Sendme => self.sendme(),
            Peer::Croc => self.croc(),
        }
    }

    fn quiver(&self) -> Command {
        let mut command = Command::new(program_path("quiver"));
        command
            .arg("--server")
            .arg(self.quiver.to_string())
            .arg("--cert")
            .arg(self.work_folder.path("certs/server.pem"))
            .args(["--name", "bench", "--quiet"])
            .env("XDG_STATE_HOME", self.work_folder.path("state"))
            .env("XDG_CONFIG_HOME", self.work_folder.path("config"))
            .env("XDG_DATA_HOME", self.work_folder.path("data"));
        match self.job.kind {
            TransferKind::Get => {
                command.arg("get").args(self.job.is_tree().then_some("-r"));
                command.arg(&self.job.name).arg("-o").arg(self.target());
            }
            TransferKind::Put => {
                command.arg("put").arg(self.source()).args(["--to", "uploads"]);
            }
        }
        command
    }

    fn curl(&self) -> Command {
        let nginx = self.nginx.expect("nginx is running for curl");
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--tlsv1.3", "--cacert"])
            .arg(&nginx.certificate);
        let url = |path: &str| format!("https://127.0.0.1:{}/{path}", nginx.port);
        let name = &self.job.name;
        match self.job.kind {
            TransferKind::Get => command.arg("-o").arg(self.target().join(name)).arg(url(name)),
            TransferKind::Put => {
                command.arg("-T").arg(self.source()).arg(url(&format!("uploads/{name}")))
            }
        };
        command
    }

    /// Source and destination in the syntax of scp, rsync and qcp.
    fn source_and_target(&self) -> [String; 2] {
        // rsync and qcp interpret a final slash as "into this folder".
        let (source, target) = (self.source(), self.target());
        let (source, target) = (source.display(), target.display());
        let server = self.quiver.ip();
        match self.job.kind {
            TransferKind::Get => [format!("{server}:{source}"), format!("{target}/")],
            TransferKind::Put => [source.to_string(), format!("{server}:{target}/")],
        }
    }

    fn scp(&self, cipher: Option<&str>) -> Command {
        let mut command = Command::new("scp");
        command.arg("-q").arg("-F").arg(self.ssh_config());
        command.args(self.job.is_tree().then_some("-r"));
        if let Some(cipher) = cipher {
            command.args(["-c", cipher]);
        }
        command.args(self.source_and_target());
        command
    }

    /// ssh with the fast cipher, for programs that start ssh themselves.
    fn ssh(&self) -> String {
        format!("ssh -F {} -c {FAST_CIPHER}", self.ssh_config().display())
    }

    fn rsync(&self) -> Command {
        let mut command = Command::new("rsync");
        // Without rsync's comparison with existing files, because there are none.
        command.args(["-a", "--whole-file", "-e", &self.ssh()]).args(self.source_and_target());
        command
    }

    fn tar(&self) -> Command {
        let pack =
            format!("tar -C {} -cf - {}", self.work_folder.path(FILES).display(), self.job.name);
        let unpack = format!("tar -C {} -xf -", self.target().display());
        let (ssh, server) = (self.ssh(), self.quiver.ip());
        let line = match self.job.kind {
            TransferKind::Get => format!("{ssh} {server} '{pack}' | {unpack}"),
            TransferKind::Put => format!("{pack} | {ssh} {server} '{unpack}'"),
        };
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", &line]);
        command
    }

    fn qcp(&self) -> Command {
        let mut command = Command::new("qcp");
        let remote_binary = find(Path::new("qcp")).unwrap_or_default();
        command.arg("--quiet").arg("--remote-qcp-binary").arg(remote_binary);
        command.arg("--ssh-config").arg(self.ssh_config());
        command.args(["-S", "-F", "-S"]).arg(self.ssh_config());
        if self.job.is_tree() {
            // Its manual recommends about as many files at once as there are processors.
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            command.args(["--recurse", "--parallel", &processors.to_string()]);
        }
        // Another HOME, so that the user's own settings of qcp are not used.
        command.args(self.source_and_target()).env("HOME", self.work_folder.path(""));
        command
    }

    /// Sendme has no client and server: the sender waits, and the receiver dials it.
    fn sendme(&self) -> Command {
        let sender = self.sendme.expect("the sender of sendme is running");
        let mut command = Command::new("sendme");
        command.args(["receive", "--no-progress"]).args(sendme::OFFLINE).arg(&sender.ticket);
        command.current_dir(self.target());
        command
    }

    fn croc(&self) -> Command {
        let sender = self.croc.expect("the sender of croc is running");
        let mut command = Command::new("croc");
        command
            .args(["--relay", &sender.relay, "--yes", "--ignore-stdin"])
            .env(croc::CODE.0, croc::CODE.1);
        command.current_dir(self.target()).env("HOME", self.work_folder.path(""));
        command
    }
}
