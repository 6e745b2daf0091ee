//! The names that this user has seen on servers: files, folders and clients. A small file for each server, in the folder
//! for what can be lost, so that a shell can complete names without a connection. Contains no content and no secrets.
//!
//! Changes are collected in memory, and written together at most once a second and at the end. Errors are ignored: then
//! names are missing. Of two processes that write at the same time, the later one wins.

mod server;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quiver_protocol::reply::EntryKind;
use quiver_transfer::blocking;

use crate::address::ServerAddress;
use crate::folders::Folders;
use crate::unix;
pub use server::SeenServer;
pub(crate) use server::{FolderNames, SeenChange};

/// How often a running process writes.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// The most names that wait; later ones are dropped.
const MAX_PENDING: usize = 20_000;

/// The most servers with a file; the one that was not written for the longest time goes first.
const MAX_SERVERS: usize = 32;

/// The largest file that is read, in bytes, and the size up to which one is written.
const MAX_FILE_BYTES: usize = 2_000_000;

/// The names that were seen. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SeenNames(Arc<SeenNamesInner>);

#[derive(Debug)]
struct SeenNamesInner {
    /// `None` if there is no folder: nothing is kept.
    folder: Option<PathBuf>,
    state: Mutex<PendingChanges>,
}

#[derive(Debug)]
struct PendingChanges {
    changes: Vec<(ServerAddress, SeenChange)>,
    /// How many names they have.
    count: usize,
    saved: Instant,
}

impl SeenNames {
    /// The names that a user has seen.
    #[must_use]
    pub fn from_folders(folders: &Folders) -> Self {
        Self::new(folders.cache().ok().map(|cache| cache.join("names")))
    }

    fn new(folder: Option<PathBuf>) -> Self {
        let state = PendingChanges { changes: Vec::new(), count: 0, saved: Instant::now() };
        Self(Arc::new(SeenNamesInner { folder, state: Mutex::new(state) }))
    }

    /// The names of one server. Reads one file, and writes nothing. Blocks.
    #[must_use]
    pub fn read(&self, server: &ServerAddress) -> SeenServer {
        let path = self.0.folder.as_deref().map(|folder| file_of(folder, server));
        path.and_then(|path| read_file(&path).ok()).unwrap_or_default()
    }

    /// Remembers a change until it is saved.
    pub(crate) fn note(&self, server: &ServerAddress, change: SeenChange) {
        let mut state = self.0.state.lock();
        if self.0.folder.is_some() && state.count < MAX_PENDING {
            state.count += change.count();
            state.changes.push((server.clone(), change));
        }
    }

    /// Remembers a file or folder.
    pub(crate) fn note_entry(&self, server: &ServerAddress, path: &str, kind: EntryKind) {
        self.note(server, SeenChange::Added { path: path.to_owned(), kind });
    }

    /// Writes what was noted, if this process has not written for a while.
    pub(crate) async fn save_if_due(&self) {
        if self.0.state.lock().saved.elapsed() >= SAVE_INTERVAL {
            self.save().await;
        }
    }

    /// Writes what was noted.
    pub(crate) async fn save(&self) {
        let Some(folder) = self.0.folder.clone() else { return };
        let changes = {
            let mut state = self.0.state.lock();
            (state.saved, state.count) = (Instant::now(), 0);
            std::mem::take(&mut state.changes)
        };
        if !changes.is_empty() {
            // Without the runtime the names are lost, which is allowed.
            let _ = blocking::run(move || apply(&folder, changes)).await;
        }
    }
}

/// Applies changes to the files of their servers.
fn apply(folder: &Path, mut changes: Vec<(ServerAddress, SeenChange)>) {
    while let Some((server, _)) = changes.first() {
        let server = server.clone();
        let (own, others) = changes.into_iter().partition(|(other, _)| *other == server);
        changes = others;
        let path = file_of(folder, &server);
        let mut names = read_file(&path).unwrap_or_default();
        for (_, change) in own {
            names.apply(change);
        }
        // The names are then missing.
        let _ = write_file(folder, &path, &names);
    }
}

/// An address has no character that a file's name cannot have.
fn file_of(folder: &Path, server: &ServerAddress) -> PathBuf {
    folder.join(format!("{server}.json"))
}

fn read_file(path: &Path) -> io::Result<SeenServer> {
    let mut bytes = Vec::new();
    let file = unix::open_without_waiting(path)?;
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(serde_json::from_slice(&bytes)?)
}

fn write_file(folder: &Path, path: &Path, names: &SeenServer) -> io::Result<()> {
    let text = names.encode(MAX_FILE_BYTES)?;
    unix::create_private_folder(folder)?;
    if !path.exists() {
        remove_oldest(folder)?;
    }
    let staged = path.with_extension(format!("{}.new", std::process::id()));
    // A process with the same id may have left one.
    let _ = fs::remove_file(&staged);
    let written = unix::create_private(&staged).and_then(|mut file| file.write_all(&text));
    let renamed = written.and_then(|()| fs::rename(&staged, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&staged);
    }
    renamed
}

/// Makes space for one more server.
fn remove_oldest(folder: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let surplus = (files.len() + 1).saturating_sub(MAX_SERVERS);
    files.into_iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests;
