//! How each program is called, as its users call it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nginx::Nginx;
use super::sendme::{self, Sender};
use super::sshd::Sshd;
use super::{Direction, Job, Peer, find};
use crate::stage::{FILES, GOT, Stage, UPLOADED, built};

/// The cipher that is fast where the processor knows AES.
const FAST_CIPHER: &str = "aes128-gcm@openssh.com";

/// What clients have to know to call their servers.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) job: &'a Job,
    pub(crate) stage: &'a Stage,
    pub(crate) quiver: SocketAddr,
    pub(crate) sshd: Option<&'a Sshd>,
    pub(crate) nginx: Option<&'a Nginx>,
    pub(crate) sender: Option<&'a Sender>,
}

impl<'a> Call<'a> {
    /// For Quiver alone.
    pub(crate) fn to_quiver(job: &'a Job, stage: &'a Stage, quiver: SocketAddr) -> Self {
        Self { job, stage, quiver, sshd: None, nginx: None, sender: None }
    }

    /// What is moved.
    pub(crate) fn source(&self) -> PathBuf {
        self.stage.at(FILES).join(&self.job.name)
    }

    /// The folder that it is moved into.
    pub(crate) fn target(&self) -> PathBuf {
        self.stage.at(match self.job.direction {
            Direction::Get => GOT,
            Direction::Put => UPLOADED,
        })
    }

    fn ssh_config(&self) -> &Path {
        &self.sshd.expect("those who need it have it").client_config
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
        }
    }

    fn quiver(&self) -> Command {
        let mut command = Command::new(built("quiver"));
        command
            .arg("--server")
            .arg(self.quiver.to_string())
            .arg("--cert")
            .arg(self.stage.at("certs/server.pem"))
            .args(["--name", "bench", "--quiet"])
            .env("XDG_STATE_HOME", self.stage.at("state"))
            .env("XDG_CONFIG_HOME", self.stage.at("config"))
            .env("XDG_DATA_HOME", self.stage.at("data"));
        match self.job.direction {
            Direction::Get => {
                command.arg("get").args(self.job.is_tree().then_some("-r"));
                command.arg(&self.job.name).arg("-o").arg(self.target());
            }
            Direction::Put => {
                command.arg("put").arg(self.source()).args(["--to", "uploads"]);
            }
        }
        command
    }

    fn curl(&self) -> Command {
        let nginx = self.nginx.expect("curl has its server");
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail", "--tlsv1.3", "--cacert"])
            .arg(&nginx.certificate);
        let url = |path: &str| format!("https://127.0.0.1:{}/{path}", nginx.port);
        let name = &self.job.name;
        match self.job.direction {
            Direction::Get => command.arg("-o").arg(self.target().join(name)).arg(url(name)),
            Direction::Put => {
                command.arg("-T").arg(self.source()).arg(url(&format!("uploads/{name}")))
            }
        };
        command
    }

    /// From and to, in the words of scp and its kin.
    fn ends(&self) -> [String; 2] {
        // rsync and qcp take a final slash for "into this folder".
        let (source, target) = (self.source(), self.target());
        let (source, target) = (source.display(), target.display());
        match self.job.direction {
            Direction::Get => [format!("127.0.0.1:{source}"), format!("{target}/")],
            Direction::Put => [source.to_string(), format!("127.0.0.1:{target}/")],
        }
    }

    fn scp(&self, cipher: Option<&str>) -> Command {
        let mut command = Command::new("scp");
        command.arg("-q").arg("-F").arg(self.ssh_config());
        command.args(self.job.is_tree().then_some("-r"));
        if let Some(cipher) = cipher {
            command.args(["-c", cipher]);
        }
        command.args(self.ends());
        command
    }

    /// ssh with the fast cipher, for those who start it themselves.
    fn ssh(&self) -> String {
        format!("ssh -F {} -c {FAST_CIPHER}", self.ssh_config().display())
    }

    fn rsync(&self) -> Command {
        let mut command = Command::new("rsync");
        // Without the comparison of what is there: nothing is.
        command.args(["-a", "--whole-file", "-e", &self.ssh()]).args(self.ends());
        command
    }

    fn tar(&self) -> Command {
        let pack = format!("tar -C {} -cf - {}", self.stage.at(FILES).display(), self.job.name);
        let unpack = format!("tar -C {} -xf -", self.target().display());
        let ssh = self.ssh();
        let line = match self.job.direction {
            Direction::Get => format!("{ssh} 127.0.0.1 '{pack}' | {unpack}"),
            Direction::Put => format!("{pack} | {ssh} 127.0.0.1 '{unpack}'"),
        };
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", &line]);
        command
    }

    fn qcp(&self) -> Command {
        let mut command = Command::new("qcp");
        let there = find(Path::new("qcp")).unwrap_or_default();
        command.arg("--quiet").arg("--remote-qcp-binary").arg(there);
        command.arg("--ssh-config").arg(self.ssh_config());
        command.args(["-S", "-F", "-S"]).arg(self.ssh_config());
        if self.job.is_tree() {
            // Its manual: about as many files at once as there are processors.
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            command.args(["--recurse", "--parallel", &processors.to_string()]);
        }
        // Its own settings files, of whoever runs this, are not asked.
        command.args(self.ends()).env("HOME", self.stage.at(""));
        command
    }

    /// Its two ends are not client and server: whoever has the content waits, whoever wants it calls.
    fn sendme(&self) -> Command {
        let sender = self.sender.expect("sendme has its other end");
        let mut command = Command::new("sendme");
        command.args(["receive", "--no-progress"]).args(sendme::OFFLINE).arg(&sender.ticket);
        command.current_dir(self.target());
        command
    }
}
