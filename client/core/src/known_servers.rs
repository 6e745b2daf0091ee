//! The file of servers that the user has confirmed, one on each line: `host:port fingerprint time`. Lines of earlier
//! versions have no time.
//!
//! Handles files only, no connections and no terminals. An invalid line is an error and does not make its server
//! unknown: an attacker would want the user to be asked again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SubsecRound as _, Utc};
use quiver_protocol::text::display_path;
use quiver_protocol::{Fingerprint, Timestamp};
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

/// A line of the file, for a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedServer {
    /// The server.
    pub address: ServerAddress,
    /// The fingerprint of its key.
    pub fingerprint: Fingerprint,
    /// When the user confirmed it; `None` if an earlier version has written the line.
    pub since: Option<Timestamp>,
    line: usize,
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
    #[error("{}, line {line}: expected `host:port fingerprint time`", display_path(.path))]
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
        Ok(find(&self.parse(&self.read()?)?, server))
    }

    /// All servers, in the order of the file.
    ///
    /// # Errors
    /// [`KnownServersError`], also for an invalid line.
    pub fn list(&self) -> Result<Vec<ConfirmedServer>, KnownServersError> {
        self.parse(&self.read()?)
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
        now: DateTime<Utc>,
    ) -> Result<KnownServer, KnownServersError> {
        let failed = |source| KnownServersError::Write { path: self.path.clone(), source };
        let _lock = self.lock().map_err(failed)?;
        let mut text = self.read()?;
        if let Some(known) = find(&self.parse(&text)?, server) {
            return Ok(known);
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("{server} {fingerprint} {}\n", Timestamp(now.trunc_subsecs(0))));
        self.replace(&text).map_err(failed)?;
        Ok(KnownServer { fingerprint, line: text.lines().count() })
    }

    /// Removes all lines of a server, and keeps the others as they are. Returns whether there was one.
    ///
    /// # Errors
    /// [`KnownServersError`]; the file is then unchanged.
    pub fn forget(&self, server: &ServerAddress) -> Result<bool, KnownServersError> {
        // A missing file, or one that cannot be written, needs no lock to be found without that server.
        if self.look_up(server)?.is_none() {
            return Ok(false);
        }
        let failed = |source| KnownServersError::Write { path: self.path.clone(), source };
        let _lock = self.lock().map_err(failed)?;
        let text = self.read()?;
        let confirmed = self.parse(&text)?;
        let is_kept = |line| !confirmed.iter().any(|it| it.line == line && it.address == *server);
        let lines = text.split_inclusive('\n').enumerate();
        let kept: String =
            lines.filter(|(index, _)| is_kept(index + 1)).map(|(_, line)| line).collect();
        let has_removed = kept.len() < text.len();
        if has_removed {
            self.replace(&kept).map_err(failed)?;
        }
        Ok(has_removed)
    }

    fn parse(&self, text: &str) -> Result<Vec<ConfirmedServer>, KnownServersError> {
        let mut confirmed = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            let line = index + 1;
            let server = parse_line(&words, line)
                .ok_or_else(|| KnownServersError::Line { path: self.path.clone(), line })?;
            confirmed.push(server);
        }
        Ok(confirmed)
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

/// Parses the words of a line.
fn parse_line(words: &[&str], line: usize) -> Option<ConfirmedServer> {
    let (address, fingerprint, since) = match words {
        [address, fingerprint] => (address, fingerprint, None),
        [address, fingerprint, since] => {
            let since = DateTime::parse_from_rfc3339(since).ok()?.with_timezone(&Utc);
            (address, fingerprint, Some(Timestamp(since)))
        }
        _ => return None,
    };
    let (address, fingerprint) = (address.parse().ok()?, Fingerprint::parse(fingerprint)?);
    Some(ConfirmedServer { address, fingerprint, since, line })
}

/// The first line of a server.
fn find(confirmed: &[ConfirmedServer], server: &ServerAddress) -> Option<KnownServer> {
    let found = confirmed.iter().find(|confirmed| confirmed.address == *server)?;
    Some(KnownServer { fingerprint: found.fingerprint, line: found.line })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Fingerprint = Fingerprint([1; 32]);
    const TWO: Fingerprint = Fingerprint([2; 32]);
    const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

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
        known.remember(&server("a"), ONE, NOW).unwrap();
        known.remember(&server("[::1]:5"), TWO, NOW).unwrap();
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
        known.remember(&server("a"), ONE, NOW).unwrap();
        let entry = known.remember(&server("a"), TWO, NOW).unwrap();
        assert_eq!(entry, KnownServer { fingerprint: ONE, line: 1 });
        assert_eq!(fs::read_to_string(known.path()).unwrap().lines().count(), 1);
    }

    #[test]
    fn comments_and_a_missing_newline_are_preserved() {
        let (_folder, known) = new_file();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        fs::write(known.path(), format!("# the lab\n\n  b:1   {ONE}")).unwrap();
        assert_eq!(known.remember(&server("a"), TWO, NOW).unwrap().line, 4);
        assert_eq!(
            known.look_up(&server("b:1")).unwrap(),
            Some(KnownServer { fingerprint: ONE, line: 3 })
        );
    }

    #[test]
    fn servers_are_listed_with_the_time_of_their_confirmation() {
        let (_folder, known) = new_file();
        assert_eq!(known.list().unwrap(), []);
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        fs::write(known.path(), format!("# the lab\nold:1 {ONE}\n")).unwrap();
        known.remember(&server("new"), TWO, NOW).unwrap();
        let text = fs::read_to_string(known.path()).unwrap();
        assert!(text.ends_with(&format!("\nnew:4433 {TWO} 1970-01-01T00:00:00Z\n")), "{text}");
        let listed: Vec<_> = known
            .list()
            .unwrap()
            .into_iter()
            .map(|it| (it.address.to_string(), it.since))
            .collect();
        assert_eq!(
            listed,
            [("old:1".to_owned(), None), ("new:4433".to_owned(), Some(Timestamp(NOW)))]
        );
    }

    #[test]
    fn a_forgotten_server_takes_no_other_line_with_it() {
        let (_folder, known) = new_file();
        assert!(!known.forget(&server("a")).unwrap());
        assert!(!known.path().exists());
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        fs::write(known.path(), format!("# the lab\na {ONE}\nb {TWO}\n\na:4433 {TWO}\n# end"))
            .unwrap();
        assert!(known.forget(&server("a")).unwrap());
        assert_eq!(
            fs::read_to_string(known.path()).unwrap(),
            format!("# the lab\nb {TWO}\n\n# end")
        );
        assert!(!known.forget(&server("a")).unwrap());
    }

    #[test]
    fn an_invalid_line_is_an_error_with_its_number() {
        let (_folder, known) = new_file();
        fs::create_dir_all(known.path().parent().unwrap()).unwrap();
        for bad in ["host:1", "host:1 abc", "a:b:c 00", &format!("h:1 {ONE} more")] {
            fs::write(known.path(), format!("a:4433 {ONE}\n{bad}\n")).unwrap();
            let error = known.look_up(&server("a")).unwrap_err();
            assert!(error.to_string().contains("known_servers, line 2: "), "{error}");
            assert!(known.remember(&server("b"), TWO, NOW).is_err());
        }
    }

    #[test]
    fn concurrent_additions_are_all_stored() {
        let (_folder, known) = new_file();
        std::thread::scope(|scope| {
            for number in 1..=16 {
                let known = &known;
                scope.spawn(move || {
                    known.remember(&server(&format!("host:{number}")), ONE, NOW).unwrap();
                });
            }
        });
        assert_eq!(fs::read_to_string(known.path()).unwrap().lines().count(), 16);
    }
}
