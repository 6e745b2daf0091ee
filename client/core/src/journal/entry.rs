//! What is written down of a transfer, and how it is read: checked as if it were typed.

use std::io;
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, FilePath, Fingerprint, FolderPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::ServerAddress;
use crate::tree::Decision;

/// What a transfer's number is made for; nothing else has the same.
const CONTEXT: &str = "quiver 2026-11-22 transfer number";

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
pub struct JournalEntry {
    /// Which way.
    pub direction: Direction,
    /// Which server.
    pub server: ServerRef,
    /// When it was begun.
    pub started: Timestamp,
    /// Of what.
    pub subject: TransferSubject,
}

/// Which server this is, and who this client is to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRef {
    /// Where it is.
    pub address: ServerAddress,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// The certificate's file, where one says whom to trust; else the server is remembered.
    pub certificate: Option<PathBuf>,
    /// This client's name.
    pub name: ClientName,
}

/// What is transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSubject {
    /// One file.
    File(SingleFile),
    /// What folders and patterns hold.
    Tree(TreeSelection),
}

/// A file at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleFile {
    /// The path on the server.
    pub path: FilePath,
    /// The file here, from the root.
    pub local: PathBuf,
    /// Bytes of the whole file.
    pub size: u64,
    /// Whether it may replace what stands at its end.
    pub overwrite: bool,
}

/// What was asked for, not what it held: that is looked up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSelection {
    /// As it was typed: of the server for a get, from `folder` for a put.
    pub named: Vec<String>,
    /// The folder here, from the root: where files go, or where they are named from.
    pub folder: PathBuf,
    /// The server's folder that a put goes to.
    pub to: FolderPath,
    /// The name that a put has there, if another.
    pub stored_as: Option<String>,
    /// Whether folders were meant too.
    pub recursive: bool,
    /// What was said of files that differ.
    pub differing: Option<Decision>,
}

/// An entry as it is written: a file or a tree.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry {
    direction: Direction,
    server: String,
    fingerprint: Fingerprint,
    certificate: Option<String>,
    name: String,
    begun: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    local: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    overwrite: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tree: Option<StoredTree>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredTree {
    named: Vec<String>,
    folder: String,
    to: String,
    stored_as: Option<String>,
    recursive: bool,
    differing: Option<Decision>,
}

impl JournalEntry {
    /// The transfer's number, the same for the same thing from the same server to the same place.
    #[must_use]
    pub fn id(&self) -> u64 {
        match &self.subject {
            TransferSubject::File(SingleFile { path, local, .. }) => {
                id(self.direction, self.server.fingerprint, path, local)
            }
            TransferSubject::Tree(tree) => tree.id(self.direction, self.server.fingerprint),
        }
    }

    /// The file, where it is one.
    #[must_use]
    pub fn file(&self) -> Option<&SingleFile> {
        match &self.subject {
            TransferSubject::File(file) => Some(file),
            TransferSubject::Tree(_) => None,
        }
    }

    /// How it is written.
    ///
    /// # Errors
    /// A path that is not UTF-8 cannot be.
    pub(super) fn text(&self) -> io::Result<String> {
        let ServerRef { address, fingerprint, certificate, name } = &self.server;
        let mut written = StoredEntry {
            direction: self.direction,
            server: address.to_string(),
            fingerprint: *fingerprint,
            certificate: certificate.as_deref().map(utf8).transpose()?,
            name: name.to_string(),
            begun: self.started,
            path: None,
            local: None,
            size: None,
            overwrite: None,
            tree: None,
        };
        match &self.subject {
            TransferSubject::File(file) => {
                written.path = Some(file.path.to_string());
                written.local = Some(utf8(&file.local)?);
                written.size = Some(file.size);
                written.overwrite = Some(file.overwrite);
            }
            TransferSubject::Tree(tree) => {
                let TreeSelection { named, folder, to, stored_as, recursive, differing } =
                    tree.clone();
                let (folder, to) = (utf8(&folder)?, to.as_str().to_owned());
                written.tree =
                    Some(StoredTree { named, folder, to, stored_as, recursive, differing });
            }
        }
        Ok(serde_json::to_string(&written)? + "\n")
    }

    /// What was written, checked as what is typed.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: StoredEntry = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let certificate = written.certificate.map(from_the_root).transpose()?;
        let subject = match (written.path, written.local, written.size, written.overwrite) {
            (Some(path), Some(local), Some(size), Some(overwrite)) if written.tree.is_none() => {
                let path = FilePath::parse(&path).map_err(|why| format!("path: {why}"))?;
                TransferSubject::File(SingleFile {
                    path,
                    local: from_the_root(local)?,
                    size,
                    overwrite,
                })
            }
            (None, None, None, None) => {
                let tree = written.tree.ok_or("it is neither a file nor a tree")?;
                TransferSubject::Tree(tree.try_into()?)
            }
            _ => return Err("it is neither a file nor a tree".to_owned()),
        };
        let server = ServerRef {
            address: written.server.parse().map_err(|why| format!("server: {why}"))?,
            fingerprint: written.fingerprint,
            certificate,
            name: ClientName::parse(&written.name).map_err(|why| format!("name: {why}"))?,
        };
        Ok(Self { direction: written.direction, server, started: written.begun, subject })
    }
}

impl TreeSelection {
    fn id(&self, direction: Direction, server: Fingerprint) -> u64 {
        let direction: &[u8] = match direction {
            Direction::Get => b"get of a tree",
            Direction::Put => b"put of a tree",
        };
        let folder = self.folder.as_os_str().as_encoded_bytes();
        let stored_as = self.stored_as.as_deref().unwrap_or("");
        let mut parts =
            vec![direction, &server.0, folder, self.to.as_str().as_bytes(), stored_as.as_bytes()];
        parts.extend(self.named.iter().map(String::as_bytes));
        number(&parts)
    }
}

impl TryFrom<StoredTree> for TreeSelection {
    type Error = String;

    fn try_from(written: StoredTree) -> Result<Self, String> {
        if written.named.is_empty() {
            return Err("it names nothing".to_owned());
        }
        Ok(Self {
            named: written.named,
            folder: from_the_root(written.folder)?,
            to: FolderPath::parse(&written.to).map_err(|why| format!("to: {why}"))?,
            stored_as: written.stored_as,
            recursive: written.recursive,
            differing: written.differing,
        })
    }
}

/// A file's transfer's number: of which server, path and place it is.
#[must_use]
pub fn id(direction: Direction, server: Fingerprint, path: &FilePath, local: &Path) -> u64 {
    let direction: &[u8] = match direction {
        Direction::Get => b"get",
        Direction::Put => b"put",
    };
    let (path, local) = (path.as_str().as_bytes(), local.as_os_str().as_encoded_bytes());
    number(&[direction, &server.0, path, local])
}

fn number(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn utf8(path: &Path) -> io::Result<String> {
    let text = path.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
    Ok(text.to_owned())
}

fn from_the_root(path: String) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{} does not begin at the root", display_path(&path)))
    }
}
