//! The programs that move files: which are here, in which version, and how their users call them.

pub(crate) mod nginx;
pub(crate) mod sendme;
pub(crate) mod sshd;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use self::nginx::Nginx;
use self::sendme::Sender;
use self::sshd::Sshd;
use crate::stage::{FILES, GOT, Stage, UPLOADED, built};

/// The cipher that is fast where the processor knows AES.
const FAST_CIPHER: &str = "aes128-gcm@openssh.com";

/// A program that moves files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Quiver,
    Curl,
    /// scp with the ciphers that OpenSSH prefers.
    Scp,
    ScpFast,
    Rsync,
    Tar,
    Qcp,
    Sendme,
}

impl Peer {
    pub(crate) const ALL: [Self; 8] = [
        Self::Quiver,
        Self::Curl,
        Self::Scp,
        Self::ScpFast,
        Self::Rsync,
        Self::Tar,
        Self::Qcp,
        Self::Sendme,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quiver => "quiver",
            Self::Curl => "curl from nginx, TLS 1.3",
            Self::Scp => "scp, default cipher",
            Self::ScpFast => "scp, aes128-gcm",
            Self::Rsync => "rsync over ssh, aes128-gcm",
            Self::Tar => "tar over ssh, aes128-gcm",
            Self::Qcp => "qcp",
            Self::Sendme => "sendme",
        }
    }

    /// What has to be installed, each with how it says its version.
    fn programs(self) -> Vec<(PathBuf, &'static str)> {
        let ssh = [("ssh".into(), "-V"), (sshd::PROGRAM.into(), "")];
        let (own, over_ssh): (Vec<(PathBuf, _)>, bool) = match self {
            Self::Quiver => (vec![(built("quiver"), "--version")], false),
            Self::Curl => {
                (vec![("curl".into(), "--version"), (nginx::PROGRAM.into(), "-v")], false)
            }
            Self::Scp | Self::ScpFast => (vec![("scp".into(), "")], true),
            Self::Rsync => (vec![("rsync".into(), "--version")], true),
            Self::Tar => (vec![("tar".into(), "--version")], true),
            Self::Qcp => (vec![("qcp".into(), "--version")], true),
            Self::Sendme => (vec![("sendme".into(), "--version")], false),
        };
        own.into_iter().chain(ssh.into_iter().filter(|_| over_ssh)).collect()
    }

    pub(crate) fn needs_sshd(self) -> bool {
        matches!(self, Self::Scp | Self::ScpFast | Self::Rsync | Self::Tar | Self::Qcp)
    }

    /// The versions of all that belongs to it, or what is missing.
    pub(crate) fn versions(self) -> Result<Vec<String>, String> {
        let mut versions = Vec::new();
        for (program, flag) in self.programs() {
            let found =
                find(&program).ok_or_else(|| format!("{} is not installed", program.display()))?;
            if !flag.is_empty() {
                versions.push(version(&found, flag));
            }
        }
        Ok(versions)
    }

    /// Whether it can move whole folders.
    pub(crate) fn moves_trees(self) -> bool {
        self != Self::Curl
    }
}

/// Where a program is: it itself where it is a path, else what PATH says.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return program.exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|found| found.is_file())
}

/// The first line of what a program says of itself, on whichever output.
fn version(program: &Path, flag: &str) -> String {
    let output = Command::new(program).arg(flag).output().unwrap();
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = said.lines().next().unwrap_or_default().trim();
    // curl and rsync go on about libraries and addresses.
    line.split(" (").next().unwrap_or(line).split("  ").next().unwrap_or(line).to_owned()
}

/// What moves: something in the stage's served folder, away from the server or to it.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) direction: Direction,
    /// The name of a file or folder.
    pub(crate) name: String,
    pub(crate) files: u64,
    /// Bytes, all files together.
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Get,
    Put,
}

impl Job {
    pub(crate) fn file(direction: Direction, name: &str, bytes: u64) -> Self {
        Self { direction, name: name.to_owned(), files: 1, bytes }
    }

    pub(crate) fn tree(name: &str, files: u64, bytes: u64) -> Self {
        Self { direction: Direction::Get, name: name.to_owned(), files, bytes }
    }

    pub(crate) fn is_tree(&self) -> bool {
        self.files > 1
    }
}

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
