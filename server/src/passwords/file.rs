//! The password file: reads and checks it, and parses its lines.
//!
//! One account a line: `name:$argon2id$...`, or `name:$argon2id$...:upload` for an account that may
//! store files (`:read` is the default). Blank lines and lines that begin with `#` are ignored. Any
//! other line makes the whole file invalid, so that a further `:field` of a later version is an error
//! in this one. Does not sign anyone in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use quiver_protocol::ClientName;
use quiver_protocol::name::BadName;
use quiver_protocol::text::display_path;
use thiserror::Error;

use super::hashing::{HashCost, HashProblem, StoredHash};
use crate::unix::{self, PrivateFileError};

/// The most bytes of a password file: enough for about 8000 accounts.
pub(crate) const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The most costs beside the default that the hashes of one file may have: every attempt computes a hash
/// at each. The default does not count, so that a password can always be set again.
const MAX_OTHER_COSTS: usize = 4;

/// The content of a password file, and its accounts.
pub(crate) struct PasswordFile {
    content: Vec<u8>,
    accounts: HashMap<String, Account>,
    costs: Vec<HashCost>,
}

/// The permission of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum AccountPermission {
    /// See and fetch files
    #[default]
    Read,
    /// Store, remove and rename them too
    Upload,
}

impl AccountPermission {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "upload" => Some(Self::Upload),
            _ => None,
        }
    }

    /// The field of a line after the hash, with its colon; empty for the default.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Read => "",
            Self::Upload => ":upload",
        }
    }
}

impl fmt::Display for AccountPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Upload => "upload",
        })
    }
}

/// One line of a password file.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// The name as the file spells it.
    pub(crate) name: ClientName,
    pub(crate) hash: StoredHash,
    pub(crate) permission: AccountPermission,
    /// The line's number, from 1.
    pub(crate) line: usize,
}

/// Why a password file is not used. Names the file and the line, but never shows a line's content.
#[derive(Debug, Error)]
pub enum PasswordFileError {
    /// The system cannot open or read it.
    #[error("cannot read {}: {error}", display_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The path is a symbolic link.
    #[error("{} is a symbolic link: name the password file itself", display_path(path))]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device.
    #[error("{} is not a regular file", display_path(path))]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Another user owns it.
    #[error(
        "{} belongs to user {owner}, but this program runs as user {process_user}: \
         type `chown {process_user} {}`",
        display_path(path),
        display_path(path)
    )]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// The user id of the file's owner.
        owner: u32,
        /// The effective user id of this process.
        process_user: u32,
    },
    /// Its mode gives rights to the group or to others.
    #[error(
        "users other than the owner have access to {} (mode {mode:04o}): type `chmod 600 {}`",
        display_path(path),
        display_path(path)
    )]
    TooPermissive {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has more than 1 MiB.
    #[error(
        "{} has more than {MAX_FILE_BYTES} bytes, too many for a password file",
        display_path(path)
    )]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line is invalid.
    #[error("{}, line {line}: {problem}", display_path(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with the line.
        problem: LineProblem,
    },
}

/// Why a line of a password file is invalid. Never contains the line's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// The line is not UTF-8.
    #[error("this is not UTF-8 text")]
    NotText,
    /// The line has no colon.
    #[error("this is not of the form name:$argon2id$...")]
    NoHash,
    /// The third field is not a permission, or there is a fourth field.
    #[error("the field after the hash must be :read or :upload")]
    Permission,
    /// The name is not a valid client name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// The hash is not accepted.
    #[error(transparent)]
    Hash(#[from] HashProblem),
    /// An earlier line has the same account.
    #[error("this account is on line {first} already (upper and lower case are the same)")]
    Duplicate {
        /// The number of the earlier line.
        first: usize,
    },
    /// The hashes of the file have too many different costs.
    #[error(
        "this is the file's fifth combination of hash parameters beside m=19456,t=2,p=1, and every \
         attempt costs a hash of each: set some of these passwords again"
    )]
    TooManyCosts,
}

impl PasswordFile {
    /// Reads a file and checks it.
    pub(crate) fn read(path: &Path) -> Result<Self, PasswordFileError> {
        Self::parse(read_private(path)?, path)
    }

    /// Reads the file again, and checks it where its content has changed. `None` where it has not.
    pub(crate) fn read_if_changed(&self, path: &Path) -> Result<Option<Self>, PasswordFileError> {
        // Comparing the content is cheap, and also detects changes that keep size and times.
        let content = read_private(path)?;
        if content == self.content { Ok(None) } else { Self::parse(content, path).map(Some) }
    }

    /// Checks `content`, the current or future content of the file at `path`.
    pub(crate) fn parse(content: Vec<u8>, path: &Path) -> Result<Self, PasswordFileError> {
        if content.len() > MAX_FILE_BYTES {
            return Err(PasswordFileError::TooLong { path: path.to_owned() });
        }
        let mut file = Self { content: Vec::new(), accounts: HashMap::new(), costs: vec![] };
        for (line, text) in (1..).zip(content.split(|&byte| byte == b'\n')) {
            file.add_line(line, text).map_err(|problem| PasswordFileError::Line {
                path: path.to_owned(),
                line,
                problem,
            })?;
        }
        if file.costs.is_empty() {
            file.costs.push(HashCost::DEFAULT);
        }
        file.content = content;
        Ok(file)
    }

    fn add_line(&mut self, line: usize, text: &[u8]) -> Result<(), LineProblem> {
        let text = std::str::from_utf8(text).map_err(|_| LineProblem::NotText)?;
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.starts_with('#') || text.trim().is_empty() {
            return Ok(());
        }
        let (name, fields) = text.split_once(':').ok_or(LineProblem::NoHash)?;
        let name = ClientName::parse(name)?;
        // Neither a hash nor a permission contains a colon.
        let (hash, permission) = match fields.split_once(':') {
            None => (fields, AccountPermission::Read),
            Some((hash, permission)) => {
                (hash, AccountPermission::parse(permission).ok_or(LineProblem::Permission)?)
            }
        };
        let hash = StoredHash::parse(hash)?;
        if !self.costs.contains(&hash.cost) {
            self.costs.push(hash.cost);
            if self.costs.iter().filter(|&&cost| cost != HashCost::DEFAULT).count()
                > MAX_OTHER_COSTS
            {
                return Err(LineProblem::TooManyCosts);
            }
        }
        match self.accounts.entry(name.key()) {
            Entry::Occupied(first) => Err(LineProblem::Duplicate { first: first.get().line }),
            Entry::Vacant(vacant) => {
                vacant.insert(Account { name, hash, permission, line });
                Ok(())
            }
        }
    }

    /// The file's bytes.
    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The account of this name, without regard to case.
    pub(crate) fn account(&self, name: &ClientName) -> Option<&Account> {
        self.accounts.get(&name.key())
    }

    /// All accounts, in no particular order.
    pub(crate) fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.values()
    }

    /// All costs of the file's hashes, at least one.
    pub(crate) fn costs(&self) -> &[HashCost] {
        &self.costs
    }
}

impl fmt::Debug for PasswordFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordFile")
            .field("accounts", &self.accounts.len())
            .field("costs", &self.costs)
            .finish_non_exhaustive()
    }
}

/// Reads a file that only its owner can access.
fn read_private(path: &Path) -> Result<Vec<u8>, PasswordFileError> {
    let io = |error| PasswordFileError::Io { path: path.to_owned(), error };
    let file = unix::open_private(path).map_err(|reason| {
        let path = path.to_owned();
        match reason {
            PrivateFileError::Io(error) => PasswordFileError::Io { path, error },
            PrivateFileError::SymbolicLink => PasswordFileError::SymbolicLink { path },
            PrivateFileError::NotAFile => PasswordFileError::NotAFile { path },
            PrivateFileError::WrongOwner { owner, user } => {
                PasswordFileError::OtherOwner { path, owner, process_user: user }
            }
            PrivateFileError::Shared { mode } => PasswordFileError::TooPermissive { path, mode },
        }
    })?;
    let mut content = Vec::new();
    // Reads one byte more than allowed, to detect a file that is too long.
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut content).map_err(io)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
