//! Transfers that are not done: a small file each, so that any later run finds them, whatever became of
//! the one that began them. Knows files, nothing of connections.
//!
//! A file is named by the transfer's number, which is made of what the transfer is: one that says
//! something else than its name does was not written here, and is not believed.

mod unfinished;

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use quiver_protocol::{ClientName, FilePath, Fingerprint, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::ServerAddress;
use crate::config::Folders;
use crate::unix;
pub use unfinished::{Kept, Record, Share, Unfinished};

/// The longest file that is read; a path has at most 4096 bytes, and there are three.
const LONGEST: u64 = 64 * 1024;

/// What a transfer's number is made for; nothing else has the same.
const CONTEXT: &str = "quiver 2026-11-22 transfer number";

/// The folder of unfinished transfers. It need not exist.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

/// Which way the content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the server to here.
    Get,
    /// From here to the server.
    Put,
}

/// A transfer, and what it takes to go on with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which way.
    pub direction: Direction,
    /// Where the server is.
    pub server: ServerAddress,
    /// Of the server's key.
    pub fingerprint: Fingerprint,
    /// The certificate's file, where one said whom to trust; else the server is remembered.
    pub certificate: Option<PathBuf>,
    /// Who this client was.
    pub name: ClientName,
    /// The path on the server.
    pub path: FilePath,
    /// The file here, from the root.
    pub local: PathBuf,
    /// Bytes of the whole file.
    pub size: u64,
    /// When it was begun.
    pub begun: Timestamp,
    /// Whether it may replace what stands at its end.
    pub overwrite: bool,
}

/// An entry as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    direction: Direction,
    server: String,
    fingerprint: Fingerprint,
    certificate: Option<String>,
    name: String,
    path: String,
    local: String,
    size: u64,
    begun: Timestamp,
    overwrite: bool,
}

/// A file in the folder that is no entry.
#[derive(Debug, Error)]
#[error("{}: {why}", .path.display())]
pub struct Strange {
    /// The file.
    pub path: PathBuf,
    /// Why it is not believed.
    pub why: String,
}

impl Journal {
    /// The journal in a folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The journal of a user.
    #[must_use]
    pub fn of(folders: &Folders) -> Self {
        Self::new(folders.state.join("transfers"))
    }

    /// Writes an entry, in one step: a reader finds the old one, if any, or this.
    ///
    /// # Errors
    /// What the system says; a path that is not UTF-8 cannot be written.
    pub fn write(&self, entry: &Entry) -> io::Result<()> {
        let text = entry.text()?;
        unix::create_private_folder(&self.folder)?;
        let name = self.name(entry.id());
        let staged = name.with_extension(format!("{}.new", std::process::id()));
        // Left behind by a process of the same number.
        match fs::remove_file(&staged) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = unix::create_private(&staged)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| fs::rename(&staged, &name)).inspect_err(|_| {
            // The first error is the one to tell.
            let _ = fs::remove_file(&staged);
        })
    }

    /// Removes an entry; one that is not there is removed.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&self, id: u64) -> io::Result<()> {
        match fs::remove_file(self.name(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// One entry, where it is there and believed.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Entry> {
        read(&self.name(id)).ok()
    }

    /// All entries, the oldest first, and what is not believed.
    ///
    /// # Errors
    /// What the system says of the folder; one that does not exist is empty.
    pub fn read(&self) -> io::Result<(Vec<Entry>, Vec<Strange>)> {
        let names = match fs::read_dir(&self.folder) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error),
        };
        let (mut entries, mut strange) = (Vec::new(), Vec::new());
        for name in names {
            let path = name?.path();
            // One that is being written, or was when its writer was killed.
            if path.extension().is_some_and(|extension| extension == "new") {
                continue;
            }
            match read(&path) {
                Ok(entry) if path == self.name(entry.id()) => entries.push(entry),
                Ok(_) => strange.push(Strange { path, why: "it belongs elsewhere".to_owned() }),
                // It came to its end meanwhile.
                Err(_) if path.symlink_metadata().is_err() => {}
                Err(why) => strange.push(Strange { path, why }),
            }
        }
        entries.sort_by(|one, other| (one.begun, &one.local).cmp(&(other.begun, &other.local)));
        strange.sort_by(|one, other| one.path.cmp(&other.path));
        Ok((entries, strange))
    }

    fn name(&self, id: u64) -> PathBuf {
        self.folder.join(format!("{id:016x}.json"))
    }
}

impl Entry {
    /// The transfer's number, the same for the same file from the same server to the same place.
    #[must_use]
    pub fn id(&self) -> u64 {
        id(self.direction, self.fingerprint, &self.path, &self.local)
    }

    fn text(&self) -> io::Result<String> {
        let text = |path: &Path| match path.to_str() {
            Some(text) => Ok(text.to_owned()),
            None => Err(io::Error::other("the path is not UTF-8")),
        };
        let written = Written {
            direction: self.direction,
            server: self.server.to_string(),
            fingerprint: self.fingerprint,
            certificate: self.certificate.as_deref().map(text).transpose()?,
            name: self.name.to_string(),
            path: self.path.to_string(),
            local: text(&self.local)?,
            size: self.size,
            begun: self.begun,
            overwrite: self.overwrite,
        };
        Ok(serde_json::to_string(&written)? + "\n")
    }
}

impl TryFrom<Written> for Entry {
    type Error = String;

    /// What is read is checked as what is typed.
    fn try_from(written: Written) -> Result<Self, String> {
        let local = PathBuf::from(written.local);
        let certificate = written.certificate.map(PathBuf::from);
        if let Some(path) = certificate.iter().chain([&local]).find(|path| !path.is_absolute()) {
            return Err(format!("{} does not begin at the root", path.display()));
        }
        Ok(Self {
            direction: written.direction,
            server: written.server.parse().map_err(|why| format!("server: {why}"))?,
            fingerprint: written.fingerprint,
            certificate,
            name: ClientName::parse(&written.name).map_err(|why| format!("name: {why}"))?,
            path: FilePath::parse(&written.path).map_err(|why| format!("path: {why}"))?,
            local,
            size: written.size,
            begun: written.begun,
            overwrite: written.overwrite,
        })
    }
}

/// A transfer's number: of which server, path and place it is.
#[must_use]
pub fn id(direction: Direction, server: Fingerprint, path: &FilePath, local: &Path) -> u64 {
    let direction: &[u8] = match direction {
        Direction::Get => b"get",
        Direction::Put => b"put",
    };
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for part in
        [direction, &server.0, path.as_str().as_bytes(), local.as_os_str().as_encoded_bytes()]
    {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn read(path: &Path) -> Result<Entry, String> {
    let mut options = OpenOptions::new();
    // Never through a link, never waiting for the other end of a pipe.
    options.read(true).custom_flags(unix::NO_SURPRISES);
    let file = options.open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let written: Written = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Entry::try_from(written)
}

#[cfg(test)]
mod tests;
