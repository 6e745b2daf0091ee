//! The file of servers that the user has confirmed, one on each line: `host:port fingerprint`.
//!
//! Handles files only, no connections and no terminals. An invalid line is an error and does not make its server
//! unknown: an attacker would want the user to be asked again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use quiver_transfer::file_system::{self, FileLock, sync_file};
use thiserror::Error;

use crate::address::ServerAddress;
use crate::unix;

/// The file of known servers. It does not need to exist.
#[derive(Debug, Clone)]
pub struct KnownServers {
    path: PathBuf,
}

/// A confirmed server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownServer {
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// Why the file of known servers cannot be used.
#[derive(Debug, Error)]
pub enum KnownServersError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", display_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}", display_path(.path))]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A line is invalid.
    #[error("{}, line {line}: expected `host:port fingerprint`", display_path(.path))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
    },
}

impl KnownServers {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks up a server.
    ///
    /// # Errors
    /// [`KnownServersError`], also for an invalid line anywhere in the file.
    pub fn look_up(
        &self,
        server: &ServerAddress,
    ) -> Result<Option<KnownServer>, KnownServersError> {
        self.find(&self.read()?, server)
    }

    /// Adds a server, unless the file has one with this address, and returns the entry of the file. Of two clients
    /// that do so at the same time, the first one adds its entry, and both get that entry.
    ///
    /// # Errors
    /// [`KnownServersError`]; the file is then unchanged.
    pub fn remember(
        &self,
        server: &ServerAddress,
        fingerprint: Fingerprint,
    ) -> Result<KnownServer, KnownServersError> {
        let failed = |source| KnownServersError::Write { path: self.path.clone(), source };
        let _lock = self.lock().map_err(failed)?;
        let mut text = self.read()?;
        if let Some(known) = self.find(&text, server)? {
            return Ok(known);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{server} {fingerprint}\n"));
        self.replace(&text).map_err(failed)?;
        Ok(KnownServer { fingerprint, line: text.lines().count() })
    }

    fn find(
        &self,
        text: &str,
        server: &ServerAddress,
    ) -> Result<Option<KnownServer>, KnownServersError> {
        let mut found = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let invalid = || KnownServersError::Line { path: self.path.clone(), line: number + 1 };
            let (host, fingerprint) = line.split_once(char::is_whitespace).ok_or_else(invalid)?;
            let address: ServerAddress = host.parse().map_err(|_| invalid())?;
            let fingerprint = Fingerprint::parse(fingerprint.trim()).ok_or_else(invalid)?;
            if address == *server && found.is_none() {
                found = Some(KnownServer { fingerprint, line: number + 1 });
            }
        }
        Ok(found)
    }

    fn read(&self) -> Result<String, KnownServersError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(KnownServersError::Read { path: self.path.clone(), source }),
        }
    }

    /// Locks the file until the lock is dropped or the process ends. `None` if the file system has no locks: of two
    /// programs that add a server at the same time, one may then overwrite the other's entry, and its user is asked
    /// again.
    fn lock(&self) -> io::Result<Option<(File, FileLock)>> {
        if let Some(folder) = self.path.parent() {
            unix::create_private_folder(folder)?;
        }
        let lock = unix::open_lock(&self.path.with_extension("lock"))?;
        match file_system::lock(&lock) {
            Ok(held) => Ok(Some((lock, held))),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file atomically: a reader finds the old file or the new one. The caller holds the lock.
    fn replace(&self, text: &str) -> io::Result<()> {
        let staged = self.path.with_extension("new");
        // A process that was killed between the steps below may have left one.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = unix::create_private(&staged)?;
        file.write_all(text.as_bytes())?;
        sync_file(&file)?;
        fs::rename(&staged, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);

    fn new_file() -> (tempfile::TempDir, KnownServers) {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownServers::new(folder.path().join("quiver/known_servers"));
        (folder, known)
    }

    fn server(text: &str) -> ServerAddress {
        text.parse().unwrap()
    }

    #[test]
    fn a_remembered_server_is_known() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, known) = new_file();
        assert_eq!(known.look_up(&server("a")).unwrap(), None);
        known.remember(&server("a"), ONE).unwrap();
        known.remember(&server("[::1]:5"), TWO).unwrap();
        assert_eq!(
            known.look_up(&server("A:4433")).unwrap(),
            Some(KnownServer { fingerprint: ONE, line: 1 })
        );
        assert_eq!(known.look_up(&server("[::1]:5")).unwrap().unwrap().line, 2);
        assert_eq!(known.look_up(&server("::1")).unwrap(), None);
        assert_eq!(fs::metadata(known.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_first_entry_of_a_server_is_kept() {
        let (_folder, known) = new_file();
        known.remember(&server("a"), ONE).unwrap();
        let entry = known.remember(&server("a"), TWO).unwrap();
        assert_eq!(entry, KnownServer { fingerprint: ONE, line: 1 });
        assert_eq!(fs::read_to_string(known.path()).unwrap().lines().count(), 1);
    }

    #[test]
    fn comments_and_a_missing_newline_are_preserved() {
        let (_folder, known) = new_file();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        fs::write(known.path(), format!("# the lab\n\n  b:1   {ONE}")).unwrap();
        assert_eq!(known.remember(&server("a"), TWO).unwrap().line, 4);
        assert_eq!(
            known.look_up(&server("b:1")).unwrap(),
            Some(KnownServer { fingerprint: ONE, line: 3 })
        );
    }

    #[test]
    fn an_invalid_line_is_an_error_with_its_number() {
        let (_folder, known) = new_file();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        for bad in ["host:1", "host:1 abc", "a:b:c 00", &format!("h:1 {ONE} more")] {
            fs::write(known.path(), format!("a:4433 {ONE}\n{bad}\n")).unwrap();
            let error = known.look_up(&server("a")).unwrap_err();
            assert!(error.to_string().contains("known_servers, line 2: "), "{error}");
            assert!(known.remember(&server("b"), TWO).is_err());
        }
    }

    #[test]
    fn concurrent_additions_are_all_stored() {
        let (_folder, known) = new_file();
        std::thread::scope(|scope| {
            for number in 1..=16 {
                let known = &known;
                scope.spawn(move || {
                    known.remember(&server(&format!("host:{number}")), ONE).unwrap();
                });
            }
        });
        assert_eq!(fs::read_to_string(known.path()).unwrap().lines().count(), 16);
    }
}
