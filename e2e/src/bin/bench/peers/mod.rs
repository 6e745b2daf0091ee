//! The programs that transfer files: which are installed, their versions, and the transfer jobs.

pub(crate) mod croc;
mod invocation;
pub(crate) mod nginx;
pub(crate) mod sendme;
pub(crate) mod sshd;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use quiver_e2e::kills::TransferKind;

pub(crate) use self::invocation::Invocation;
use crate::fixtures::program_path;

/// A program that transfers files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Quiver,
    Curl,
    /// scp with OpenSSH's default ciphers.
    Scp,
    ScpFast,
    Rsync,
    Tar,
    Qcp,
    Sendme,
    Croc,
}

impl Peer {
    pub(crate) const ALL: [Self; 9] = [
        Self::Quiver,
        Self::Curl,
        Self::Scp,
        Self::ScpFast,
        Self::Rsync,
        Self::Tar,
        Self::Qcp,
        Self::Sendme,
        Self::Croc,
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
            Self::Croc => "croc",
        }
    }

    /// The required programs, each with the argument that prints its version, if any.
    fn programs(self) -> Vec<(PathBuf, &'static str)> {
        let ssh = [("ssh".into(), "-V"), (sshd::PROGRAM.into(), "")];
        let (own, over_ssh): (Vec<(PathBuf, _)>, bool) = match self {
            Self::Quiver => (vec![(program_path("quiver"), "--version")], false),
            Self::Curl => {
                (vec![("curl".into(), "--version"), (nginx::PROGRAM.into(), "-v")], false)
            }
            Self::Scp | Self::ScpFast => (vec![("scp".into(), "")], true),
            Self::Rsync => (vec![("rsync".into(), "--version")], true),
            Self::Tar => (vec![("tar".into(), "--version")], true),
            Self::Qcp => (vec![("qcp".into(), "--version")], true),
            Self::Sendme => (vec![("sendme".into(), "--version")], false),
            Self::Croc => (vec![("croc".into(), "--version")], false),
        };
        own.into_iter().chain(ssh.into_iter().filter(|_| over_ssh)).collect()
    }

    /// Whether it contacts servers on the internet, unless it cannot reach them.
    pub(crate) fn contacts_servers(self) -> bool {
        matches!(self, Self::Sendme | Self::Croc)
    }

    pub(crate) fn needs_sshd(self) -> bool {
        matches!(self, Self::Scp | Self::ScpFast | Self::Rsync | Self::Tar | Self::Qcp)
    }

    /// The versions of its programs.
    ///
    /// # Errors
    /// The program that is missing.
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

    /// Whether it can transfer folders.
    pub(crate) fn can_transfer_trees(self) -> bool {
        self != Self::Curl
    }
}

/// Finds a program: an absolute path itself, any other name in PATH.
pub(crate) fn find(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() {
        return program.exists().then(|| program.to_owned());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|found| found.is_file())
}

/// The first line of a program's version output, from either standard stream.
fn version(program: &Path, flag: &str) -> String {
    let output = Command::new(program).arg(flag).output().unwrap();
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8_lossy(&text).into_owned();
    let words: Vec<&str> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    // curl also lists its libraries.
    line.split(" libcurl").next().unwrap_or(&line).to_owned()
}

/// A transfer of a file or folder, whose source is in the work folder's served folder.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) kind: TransferKind,
    /// The name of a file or folder.
    pub(crate) name: String,
    pub(crate) files: u64,
    /// Bytes of all files.
    pub(crate) bytes: u64,
}

impl Job {
    pub(crate) fn file(kind: TransferKind, name: &str, bytes: u64) -> Self {
        Self { kind, name: name.to_owned(), files: 1, bytes }
    }

    pub(crate) fn tree(name: &str, files: u64, bytes: u64) -> Self {
        Self { kind: TransferKind::Get, name: name.to_owned(), files, bytes }
    }

    pub(crate) fn is_tree(&self) -> bool {
        self.files > 1
    }
}
