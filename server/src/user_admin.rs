//! Adding, removing and listing the accounts of a password file, and asking for a password.
//!
//! Knows nothing of a running server, which sees the change by itself, and prints nothing but the
//! two questions on the terminal.
//!
//! A change is read, checked and written under a lock, so that of two at the same time neither
//! undoes the other. The lock is on the file's folder: the file itself is replaced by each change
//! and may not be there yet, and a lock file beside it would stay behind for ever. A program that
//! does not ask for the lock, an editor for example, is not kept out.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, Secret, limits};
use quiver_transfer::file_system::sync_file;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::passwords::{
    AccountPermission, Cost, PasswordFile, PasswordFileError, SALT, StoredHash,
};
use crate::unix::{self, OpenFolder};

/// What [`add`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// There is a new account.
    Added,
    /// The account was there and has a new password, and its name the new spelling.
    Replaced,
}

/// Why an account was not changed.
#[derive(Debug, Error)]
pub enum UserAdminError {
    /// The file is wrong, or would be: nothing was changed.
    #[error(transparent)]
    File(#[from] PasswordFileError),
    /// No such account.
    #[error("{} has no account {name}", display_path(path))]
    NoAccount {
        /// The file.
        path: PathBuf,
        /// The name as it was asked for.
        name: ClientName,
    },
    /// The password is none.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Hashing failed: out of memory, or the system has no random numbers.
    #[error("cannot hash the password: {0}")]
    Hashing(argon2::password_hash::Error),
    /// The new file could not be made or put in place: the old one stands. Or, at the very last,
    /// the folder could not be flushed: then the new one stands and may be lost with the power.
    #[error("cannot write {}: {error}", display_path(path))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Why there is no password.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// Nothing was typed or piped.
    #[error("a password must not be empty")]
    Empty,
    /// Longer than a client may send.
    #[error("a password has at most {} bytes", limits::PASSWORD)]
    TooLong,
    /// Bytes that are no text.
    #[error("the password is not UTF-8 text")]
    NotText,
    /// A slip of the finger.
    #[error("the two passwords are not the same")]
    Different,
    /// Standard input cannot be read.
    #[error("cannot read the password from standard input: {0}")]
    Stdin(io::Error),
    /// There is no terminal, or it was left.
    #[error("cannot ask for the password on the terminal: {0}; without one use --password-stdin")]
    Terminal(io::Error),
}

/// Sets an account's password, for a new account or an old one, and what it may do: an old one keeps
/// what it may where nothing is said, a new one may read. Makes the file where there is none.
///
/// # Errors
/// [`UserAdminError`]; nothing is ever half done.
pub fn add(
    path: &Path,
    name: &ClientName,
    password: &Secret,
    may: Option<AccountPermission>,
) -> Result<AccountChange, UserAdminError> {
    check_password(password.expose())?;
    // Before the lock: hashing takes its time.
    let salt: [u8; SALT] = argon2::password_hash::try_generate_salt()
        .map_err(|_| UserAdminError::Hashing(argon2::password_hash::Error::Crypto))?;
    let hash =
        StoredHash::create(password, Cost::DEFAULT, salt).map_err(UserAdminError::Hashing)?;
    let folder = locked_folder(path)?;
    let old = match PasswordFile::read(path) {
        Ok(file) => Some(file),
        Err(PasswordFileError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let account = old.as_ref().and_then(|file| file.account(name));
    let may = may.or(account.map(|account| account.may)).unwrap_or_default();
    let new_line = format!("{name}:{hash}{}\n", may.field());
    let mut content = Vec::new();
    for (number, line) in lines(old.as_ref()) {
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
    write(path, &folder, content, old.is_some())?;
    Ok(change)
}

/// Removes an account.
///
/// # Errors
/// [`UserAdminError`]; nothing is ever half done.
pub fn remove(path: &Path, name: &ClientName) -> Result<(), UserAdminError> {
    let folder = locked_folder(path)?;
    let old = PasswordFile::read(path)?;
    let Some(account) = old.account(name) else {
        return Err(UserAdminError::NoAccount { path: path.to_owned(), name: name.clone() });
    };
    let content = lines(Some(&old))
        .filter(|&(number, _)| number != account.line)
        .flat_map(|(_, line)| line)
        .copied()
        .collect();
    write(path, &folder, content, true)
}

/// The accounts and what they may, in the order of the file.
///
/// # Errors
/// [`UserAdminError::File`].
pub fn list(path: &Path) -> Result<Vec<(ClientName, AccountPermission)>, UserAdminError> {
    let file = PasswordFile::read(path)?;
    let mut accounts: Vec<_> = file.accounts().collect();
    accounts.sort_by_key(|account| account.line);
    Ok(accounts.into_iter().map(|account| (account.name.clone(), account.may)).collect())
}

/// Asks for a new password, twice and without echo, or reads one line from standard input.
///
/// # Errors
/// [`PasswordError`]: an empty password and one over [`limits::PASSWORD`] bytes are refused.
pub fn read_password(from_stdin: bool) -> Result<Secret, PasswordError> {
    if from_stdin {
        first_line(unix::unbuffered_stdin().map_err(PasswordError::Stdin)?)
    } else {
        ask_twice(rpassword::prompt_password)
    }
}

fn ask_twice(ask: impl Fn(&'static str) -> io::Result<String>) -> Result<Secret, PasswordError> {
    let ask = |question| ask(question).map(Secret::new).map_err(PasswordError::Terminal);
    let password = ask("New password: ")?;
    check_password(password.expose())?;
    if ask("The same again: ")? == password { Ok(password) } else { Err(PasswordError::Different) }
}

/// The first line, without its end. Reads a byte at a time, and so no byte of what comes after it.
fn first_line(mut input: impl Read) -> Result<Secret, PasswordError> {
    // Room for all of it and the `\r`: a buffer that grows would leave copies behind.
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

/// The lines of a file, each with its end, counted from 1 as the accounts count them.
fn lines(file: Option<&PasswordFile>) -> impl Iterator<Item = (usize, &[u8])> {
    let content = file.map_or(&[][..], PasswordFile::content);
    (1..).zip(content.split_inclusive(|&byte| byte == b'\n'))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The file's folder, locked for as long as it is held.
fn locked_folder(path: &Path) -> Result<OpenFolder, UserAdminError> {
    let error = |error| UserAdminError::Write { path: path.to_owned(), error };
    let mut folder = OpenFolder::open(folder_of(path)).map_err(error)?;
    folder.lock().map_err(error)?;
    Ok(folder)
}

/// Puts a new content in the file's place: all of it or, whatever happens, nothing.
fn write(
    path: &Path,
    folder: &OpenFolder,
    content: Vec<u8>,
    replaces: bool,
) -> Result<(), UserAdminError> {
    // What is written is what the server will take.
    let content = PasswordFile::parse(content, path)?;
    let write = || {
        let mut file = unix::new_private_file(folder_of(path))?;
        file.write_all(content.content())?;
        sync_file(file.as_file())?;
        if replaces {
            file.persist(path)?;
        } else {
            // Whoever put a file there in the meantime without the lock keeps it.
            let staged = file.into_temp_path();
            folder.rename_new(&staged, path)?;
            staged.keep()?;
        }
        folder.sync()
    };
    write().map_err(|error| UserAdminError::Write { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests;
