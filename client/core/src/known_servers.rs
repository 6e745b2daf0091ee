//! The servers a person has confirmed: a line each, `host:port fingerprint`.
//!
//! Knows files, nothing of connections or terminals. A line that cannot be read is an error and not
//! a server that is unknown: asking again is what an attacker would want.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use quiver_protocol::Fingerprint;
use quiver_protocol::text::display_path;
use quiver_transfer::file_system::{self, FileLock, sync_file};
use thiserror::Error;

use crate::address::ServerAddress;
use crate::unix;

/// The file of known servers. It need not exist.
#[derive(Debug, Clone)]
pub struct KnownServers {
    path: PathBuf,
}

/// A server that was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownServer {
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its line in the file, from 1.
    pub line: usize,
}

/// The file does not say what is known.
#[derive(Debug, Error)]
pub enum KnownServersError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", display_path(.path))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}", display_path(.path))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what a line looks like.
    #[error("{}, line {line}: expected `host:port fingerprint`", display_path(.path))]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
}

impl KnownServers {
    /// The file at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of a server.
    ///
    /// # Errors
    /// [`KnownServersError`], for a bad line anywhere in the file.
    pub fn look_up(
        &self,
        server: &ServerAddress,
    ) -> Result<Option<KnownServer>, KnownServersError> {
        self.find(&self.read()?, server)
    }

    /// Remembers a server. Of two clients that do so at once, the first one's word holds: what is
    /// known afterwards is returned.
    ///
    /// # Errors
    /// [`KnownServersError`]; the file is then as it was.
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
            let bad = || KnownServersError::Line { path: self.path.clone(), line: number + 1 };
            let (host, fingerprint) = line.split_once(char::is_whitespace).ok_or_else(bad)?;
            let address: ServerAddress = host.parse().map_err(|_| bad())?;
            let fingerprint = Fingerprint::parse(fingerprint.trim()).ok_or_else(bad)?;
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

    /// Held until dropped, or until this process ends. `None` where nothing can be locked: of two programs that
    /// remember a server at once, one may then forget what the other wrote, and its person is asked again.
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

    /// In one step: a reader finds the old file or the new one. Under the lock.
    fn replace(&self, text: &str) -> io::Result<()> {
        let staged = self.path.with_extension("new");
        // Left behind by one that was killed between the steps below.
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

    fn fresh() -> (tempfile::TempDir, KnownServers) {
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
        let (_folder, known) = fresh();
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
    fn the_first_word_holds() {
        let (_folder, known) = fresh();
        known.remember(&server("a"), ONE).unwrap();
        let held = known.remember(&server("a"), TWO).unwrap();
        assert_eq!(held, KnownServer { fingerprint: ONE, line: 1 });
        assert_eq!(fs::read_to_string(known.path()).unwrap().lines().count(), 1);
    }

    #[test]
    fn comments_and_missing_newlines_are_respected() {
        let (_folder, known) = fresh();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        fs::write(known.path(), format!("# the lab\n\n  b:1   {ONE}")).unwrap();
        assert_eq!(known.remember(&server("a"), TWO).unwrap().line, 4);
        assert_eq!(
            known.look_up(&server("b:1")).unwrap(),
            Some(KnownServer { fingerprint: ONE, line: 3 })
        );
    }

    #[test]
    fn a_bad_line_is_an_error_with_its_number() {
        let (_folder, known) = fresh();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        for bad in ["host:1", "host:1 abc", "a:b:c 00", &format!("h:1 {ONE} more")] {
            fs::write(known.path(), format!("a:4433 {ONE}\n{bad}\n")).unwrap();
            let error = known.look_up(&server("a")).unwrap_err();
            assert!(error.to_string().contains("known_servers, line 2: "), "{error}");
            assert!(known.remember(&server("b"), TWO).is_err());
        }
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let (_folder, known) = fresh();
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
