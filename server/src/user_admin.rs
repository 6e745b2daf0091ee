//! Adding, removing and listing the accounts of a password file, and reading a new password.
//!
//! Does not talk to a running server, which notices the change by itself, and prints nothing but the
//! two prompts on the terminal.
//!
//! Each change reads, checks and writes the file under a lock, so that concurrent changes do not
//! undo each other. The lock is on the file's folder: each change replaces the file itself, the
//! file may not exist yet, and a lock file beside it would never be removed. The lock does not
//! exclude programs that do not take it, such as an editor.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, Secret, limits};
use quiver_transfer::file_system::sync_file;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::passwords::{
    AccountPermission, HashCost, PasswordFile, PasswordFileError, SALT_BYTES, StoredHash,
};
use crate::unix::{self, OpenFolder};

/// The result of [`add`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// A new account was added.
    Added,
    /// An existing account has a new password, and its name the new spelling.
    Replaced,
}

/// Why an account was not changed.
#[derive(Debug, Error)]
pub enum UserAdminError {
    /// The password file is invalid, or the change would make it so. Nothing was changed.
    #[error(transparent)]
    File(#[from] PasswordFileError),
    /// No such account.
    #[error("{} has no account {name}", display_path(path))]
    NoAccount {
        /// The file.
        path: PathBuf,
        /// The requested name.
        name: ClientName,
    },
    /// The password is not allowed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Hashing failed: out of memory, or the system has no random numbers.
    #[error("cannot hash the password: {0}")]
    Hashing(argon2::password_hash::Error),
    /// The new file could not be written or renamed into place, and the old one is unchanged. Or
    /// the folder could not be flushed: the new file is in place, but may be lost with the power.
    #[error("cannot write {}: {error}", display_path(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

/// Why no password was read, or why it is not allowed.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// The password is empty.
    #[error("a password must not be empty")]
    Empty,
    /// The password is longer than a client may send.
    #[error("a password has at most {} bytes", limits::PASSWORD)]
    TooLong,
    /// The password is not UTF-8.
    #[error("the password is not UTF-8 text")]
    NotText,
    /// The password and its repetition differ.
    #[error("the two passwords are not the same")]
    Different,
    /// Standard input cannot be read.
    #[error("cannot read the password from standard input: {0}")]
    Stdin(io::Error),
    /// There is no terminal, or the prompt was interrupted.
    #[error("cannot ask for the password on the terminal: {0}; without one use --password-stdin")]
    Terminal(io::Error),
}

/// Sets the password and the permission of a new or an existing account. Without a `permission`, an
/// existing account keeps its own and a new one may read. Makes the file where there is none.
///
/// # Errors
/// [`UserAdminError`]. The file is never changed in part.
pub fn add(
    path: &Path,
    name: &ClientName,
    password: &Secret,
    permission: Option<AccountPermission>,
) -> Result<AccountChange, UserAdminError> {
    check_password(password.expose())?;
    // Hashed before the lock is taken, because hashing is slow.
    let salt: [u8; SALT_BYTES] = argon2::password_hash::try_generate_salt()
        .map_err(|_| UserAdminError::Hashing(argon2::password_hash::Error::Crypto))?;
    let hash =
        StoredHash::create(password, HashCost::DEFAULT, salt).map_err(UserAdminError::Hashing)?;
    let folder = open_locked_folder(path)?;
    let existing = match PasswordFile::read(path) {
        Ok(file) => Some(file),
        Err(PasswordFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let account = existing.as_ref().and_then(|file| file.account(name));
    let permission = permission.or(account.map(|account| account.permission)).unwrap_or_default();
    let new_line = format!("{name}:{hash}{}\n", permission.suffix());
    let mut content = Vec::new();
    for (number, line) in lines(existing.as_ref()) {
        let replaced = account.is_some_and(|account| account.line == number);
        content.extend_from_slice(if replaced { new_line.as_bytes() } else { line });
    }
    if account.is_none() {
        if content.last().is_some_and(|&last| last != b'\n') {
            content.push(b'\n');
        }
        content.extend_from_slice(new_line.as_bytes());
    }
    let change = if account.is_some() { AccountChange::Replaced } else { AccountChange::Added };
    replace_file(path, &folder, content, existing.is_some())?;
    Ok(change)
}

/// Removes an account.
///
/// # Errors
/// [`UserAdminError`]. The file is never changed in part.
pub fn remove(path: &Path, name: &ClientName) -> Result<(), UserAdminError> {
    let folder = open_locked_folder(path)?;
    let existing = PasswordFile::read(path)?;
    let Some(account) = existing.account(name) else {
        return Err(UserAdminError::NoAccount { path: path.to_owned(), name: name.clone() });
    };
    let content = lines(Some(&existing))
        .filter(|&(number, _)| number != account.line)
        .flat_map(|(_, line)| line)
        .copied()
        .collect();
    replace_file(path, &folder, content, true)
}

/// Lists the accounts and their permissions, in the order of the file.
///
/// # Errors
/// [`UserAdminError::File`].
pub fn list(path: &Path) -> Result<Vec<(ClientName, AccountPermission)>, UserAdminError> {
    let file = PasswordFile::read(path)?;
    let mut accounts: Vec<_> = file.accounts().collect();
    accounts.sort_by_key(|account| account.line);
    Ok(accounts.into_iter().map(|account| (account.name.clone(), account.permission)).collect())
}

/// Prompts for a new password twice without echo, or reads one line from standard input.
///
/// # Errors
/// [`PasswordError`], also for an empty password and one over [`limits::PASSWORD`] bytes.
pub fn read_password(from_stdin: bool) -> Result<Secret, PasswordError> {
    if from_stdin {
        read_first_line(unix::unbuffered_stdin().map_err(PasswordError::Stdin)?)
    } else {
        prompt_twice(rpassword::prompt_password)
    }
}

fn prompt_twice(
    prompt: impl Fn(&'static str) -> io::Result<String>,
) -> Result<Secret, PasswordError> {
    let prompt = |text| prompt(text).map(Secret::new).map_err(PasswordError::Terminal);
    let password = prompt("New password: ")?;
    check_password(password.expose())?;
    if prompt("Repeat the password: ")? == password {
        Ok(password)
    } else {
        Err(PasswordError::Different)
    }
}

/// Reads the first line, without its line ending. Reads one byte at a time, so that nothing after the
/// line is consumed.
fn read_first_line(mut input: impl Read) -> Result<Secret, PasswordError> {
    // Capacity for the longest password and `\r`: a buffer that grows would leave copies in memory.
    let mut line = Zeroizing::new(Vec::with_capacity(limits::PASSWORD + 2));
    let mut byte = Zeroizing::new([0]);
    loop {
        match input.read(&mut *byte) {
            Ok(1) if *byte != *b"\n" => line.push(byte[0]),
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(PasswordError::Stdin(error)),
        }
        if line.len() > limits::PASSWORD + 1 {
            return Err(PasswordError::TooLong);
        }
    }
    let text = std::str::from_utf8(&line).map_err(|_| PasswordError::NotText)?;
    let text = text.strip_suffix('\r').unwrap_or(text);
    check_password(text)?;
    Ok(Secret::new(text.to_owned()))
}

fn check_password(password: &str) -> Result<(), PasswordError> {
    match password.len() {
        0 => Err(PasswordError::Empty),
        1..=limits::PASSWORD => Ok(()),
        _ => Err(PasswordError::TooLong),
    }
}

/// The lines of a file, with their line endings and numbered from 1, as [`PasswordFile`] numbers them.
fn lines(file: Option<&PasswordFile>) -> impl Iterator<Item = (usize, &[u8])> {
    let content = file.map_or(&[][..], PasswordFile::content);
    (1..).zip(content.split_inclusive(|&byte| byte == b'\n'))
}

fn parent_folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Opens and locks the file's folder. Dropping the result unlocks it.
fn open_locked_folder(path: &Path) -> Result<OpenFolder, UserAdminError> {
    let error = |error| UserAdminError::Write { path: path.to_owned(), error };
    let mut folder = OpenFolder::open(parent_folder(path)).map_err(error)?;
    folder.lock().map_err(error)?;
    Ok(folder)
}

/// Replaces the file's content atomically.
fn replace_file(
    path: &Path,
    folder: &OpenFolder,
    content: Vec<u8>,
    replaces: bool,
) -> Result<(), UserAdminError> {
    // Checks that the server will accept the new content.
    let content = PasswordFile::parse(content, path)?;
    let write = || {
        let mut file = unix::new_private_file(parent_folder(path))?;
        file.write_all(content.content())?;
        sync_file(file.as_file())?;
        if replaces {
            file.persist(path)?;
        } else {
            // Does not replace a file that another program has made meanwhile without the lock.
            let staged = file.into_temp_path();
            folder.rename_noreplace(&staged, path)?;
            staged.keep()?;
        }
        folder.sync()
    };
    write().map_err(|error| UserAdminError::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
