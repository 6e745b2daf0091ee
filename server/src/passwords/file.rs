//! The password file: what may be read, and what its lines say.
//!
//! One account a line, `name:$argon2id$...` or `name:$argon2id$...:upload` for one that may store files
//! (`:read` says what is so without it); blank lines and lines that begin with `#` say nothing.
//! Whatever else there is makes the whole file wrong: nothing is passed over in silence, and so a
//! further `:field` of a later version is an error for this one. Knows nothing of who signs in.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use quiver_protocol::ClientName;
use quiver_protocol::name::BadName;
use quiver_protocol::text::display_path;
use thiserror::Error;

use super::hashing::{Cost, HashProblem, StoredHash};
use crate::unix::{self, PrivateFileError};

/// The longest password file: room for some 8000 accounts.
pub(crate) const LONGEST: usize = 1024 * 1024;

/// How many costs beside the default the hashes of one file may have: every attempt computes a hash
/// at each. The default does not count, so that setting a password again is always possible.
const OTHER_COSTS: usize = 4;

/// What a password file holds, and the accounts in it.
pub(crate) struct PasswordFile {
    content: Vec<u8>,
    accounts: HashMap<String, Account>,
    costs: Vec<Cost>,
}

/// What an account may do.
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

    /// As it stands in a line after the hash: nothing for what needs no word.
    pub(crate) fn field(self) -> &'static str {
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
    /// As it is spelled in the file.
    pub(crate) name: ClientName,
    pub(crate) hash: StoredHash,
    pub(crate) may: AccountPermission,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Why a password file is not used. Says where, never what stands there.
#[derive(Debug, Error)]
pub enum PasswordFileError {
    /// It is not there, or the system refuses.
    #[error("cannot read {}: {error}", display_path(path))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Its name is a symbolic link.
    #[error("{} is a symbolic link: name the password file itself", display_path(path))]
    SymbolicLink {
        /// The link.
        path: PathBuf,
    },
    /// It is a folder, a pipe or a device.
    #[error("{} is not a regular file", display_path(path))]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error(
        "{} belongs to user {owner}, but this program runs as user {me}: type `chown {me} {}`",
        display_path(path),
        display_path(path)
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The user it belongs to.
        owner: u32,
        /// The effective user of this process.
        me: u32,
    },
    /// Its group or all others have rights on it.
    #[error(
        "others than its owner have rights on {} (mode {mode:04o}): type `chmod 600 {}`",
        display_path(path),
        display_path(path)
    )]
    Shared {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is over 1 MiB.
    #[error("{} has more than {LONGEST} bytes: that is no password file", display_path(path))]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line is wrong.
    #[error("{}, line {line}: {problem}", display_path(path))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        problem: LineProblem,
    },
}

/// Why a line of a password file is wrong. Never says what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// Bytes that are no text.
    #[error("this is not UTF-8 text")]
    NotText,
    /// No colon.
    #[error("this is not of the form name:$argon2id$...")]
    NoHash,
    /// A third field that is no right, or a fourth field.
    #[error("what follows the hash must be :read or :upload")]
    Right,
    /// Not a client's name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Not a hash this server takes.
    #[error(transparent)]
    Hash(#[from] HashProblem),
    /// The same account again.
    #[error("this account is on line {first} already (upper and lower case are the same)")]
    Twice {
        /// Where it stands first.
        first: usize,
    },
    /// One more combination of hash parameters than a file may have.
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

    /// Reads a file, and checks it unless it still holds what it held.
    pub(crate) fn read_if_changed(&self, path: &Path) -> Result<Option<Self>, PasswordFileError> {
        // Comparing all of it costs little, and sees the change that leaves size and times alone.
        let content = read_private(path)?;
        if content == self.content { Ok(None) } else { Self::parse(content, path).map(Some) }
    }

    /// Checks what is, or is about to be, the content of the file at `path`.
    pub(crate) fn parse(content: Vec<u8>, path: &Path) -> Result<Self, PasswordFileError> {
        if content.len() > LONGEST {
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
            file.costs.push(Cost::DEFAULT);
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
        let (name, rest) = text.split_once(':').ok_or(LineProblem::NoHash)?;
        let name = ClientName::parse(name)?;
        // Neither a hash nor a right has a colon.
        let (hash, may) = match rest.split_once(':') {
            None => (rest, AccountPermission::Read),
            Some((hash, may)) => (hash, AccountPermission::parse(may).ok_or(LineProblem::Right)?),
        };
        let hash = StoredHash::parse(hash)?;
        if !self.costs.contains(&hash.cost) {
            self.costs.push(hash.cost);
            if self.costs.iter().filter(|&&cost| cost != Cost::DEFAULT).count() > OTHER_COSTS {
                return Err(LineProblem::TooManyCosts);
            }
        }
        match self.accounts.entry(name.key()) {
            Entry::Occupied(first) => Err(LineProblem::Twice { first: first.get().line }),
            Entry::Vacant(free) => {
                free.insert(Account { name, hash, may, line });
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

    /// All accounts, in no order.
    pub(crate) fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.values()
    }

    /// Every cost a hash of this file has, at least one.
    pub(crate) fn costs(&self) -> &[Cost] {
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

/// The content of a file that is its owner's alone.
fn read_private(path: &Path) -> Result<Vec<u8>, PasswordFileError> {
    let io = |error| PasswordFileError::Io { path: path.to_owned(), error };
    let file = unix::open_private(path).map_err(|reason| {
        let path = path.to_owned();
        match reason {
            PrivateFileError::Io(error) => PasswordFileError::Io { path, error },
            PrivateFileError::SymbolicLink => PasswordFileError::SymbolicLink { path },
            PrivateFileError::NotAFile => PasswordFileError::NotAFile { path },
            PrivateFileError::WrongOwner { owner, user: me } => {
                PasswordFileError::Foreign { path, owner, me }
            }
            PrivateFileError::Shared { mode } => PasswordFileError::Shared { path, mode },
        }
    })?;
    let mut content = Vec::new();
    // One byte more than is allowed tells a file that is too long from one that just fits.
    file.take(LONGEST as u64 + 1).read_to_end(&mut content).map_err(io)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
