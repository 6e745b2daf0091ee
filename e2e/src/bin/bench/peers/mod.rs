//! The programs that move files: which are here, in which version, and what they are asked to move.

mod call;
pub(crate) mod nginx;
pub(crate) mod sendme;
pub(crate) mod sshd;

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use self::call::Call;
use crate::stage::built;

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
    let words: Vec<&str> = said.lines().next().unwrap_or_default().split_whitespace().collect();
    let line = words.join(" ");
    // curl goes on about its libraries.
    line.split(" libcurl").next().unwrap_or(&line).to_owned()
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
