//! Entries of the journal, and their file format. Entries are validated like user input when they are read.

use std::io;
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use quiver_protocol::{ClientName, FilePath, Fingerprint, FolderPath, Timestamp};
use serde::{Deserialize, Serialize};

use crate::address::ServerAddress;
use crate::tree::Decision;

/// The context string of the hash that gives a transfer's id, different from that of any other hash.
const ID_CONTEXT: &str = "quiver 2026-11-22 transfer number";

/// The direction of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the server to this client.
    Get,
    /// From this client to the server.
    Put,
}

/// An unfinished transfer, with all that is needed to resume it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The direction.
    pub direction: Direction,
    /// The server, and this client's name on it.
    pub server: ServerRef,
    /// When the transfer was first started.
    pub started: Timestamp,
    /// The file or tree.
    pub subject: TransferSubject,
}

/// A server, and the name of this client on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerRef {
    /// The server's address.
    pub address: ServerAddress,
    /// The fingerprint of the server's key.
    pub fingerprint: Fingerprint,
    /// The file with the trusted certificate; `None` if the server is in the file of known servers.
    pub certificate: Option<PathBuf>,
    /// The client's name.
    pub name: ClientName,
}

/// The subject of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSubject {
    /// One file.
    File(SingleFile),
    /// Several files, selected by folders and patterns.
    Tree(TreeSelection),
}

/// A file with its paths at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleFile {
    /// The path on the server.
    pub path: FilePath,
    /// The absolute path of the local file.
    pub local: PathBuf,
    /// Bytes of the whole file.
    pub size: u64,
    /// Whether the transfer may replace an existing file.
    pub overwrite: bool,
}

/// A selection of files by names and patterns. It does not list the files: a later run looks them up again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeSelection {
    /// The paths and patterns as the user typed them: on the server for a get, relative to `folder` for a put.
    pub named: Vec<String>,
    /// The absolute path of the local folder: the target of a get, or the folder that `named` is relative to.
    pub folder: PathBuf,
    /// The target folder of a put on the server.
    pub to: FolderPath,
    /// The name of a put on the server, if it differs.
    pub stored_as: Option<String>,
    /// Whether folders are included.
    pub recursive: bool,
    /// The decision on files that exist with other content; `None` to ask.
    pub on_conflict: Option<Decision>,
}

/// The stored form of an entry: a file or a tree.
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
    /// The transfer's id. Transfers of the same subject between the same server and local path have the same id.
    #[must_use]
    pub fn id(&self) -> u64 {
        match &self.subject {
            TransferSubject::File(SingleFile { path, local, .. }) => {
                file_id(self.direction, self.server.fingerprint, path, local)
            }
            TransferSubject::Tree(tree) => tree.id(self.direction, self.server.fingerprint),
        }
    }

    /// The file, unless the subject is a tree.
    #[must_use]
    pub fn file(&self) -> Option<&SingleFile> {
        match &self.subject {
            TransferSubject::File(file) => Some(file),
            TransferSubject::Tree(_) => None,
        }
    }

    /// Encodes the entry for its file.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub(super) fn encode(&self) -> io::Result<String> {
        let ServerRef { address, fingerprint, certificate, name } = &self.server;
        let mut stored = StoredEntry {
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
                stored.path = Some(file.path.to_string());
                stored.local = Some(utf8(&file.local)?);
                stored.size = Some(file.size);
                stored.overwrite = Some(file.overwrite);
            }
            TransferSubject::Tree(tree) => {
                let TreeSelection { named, folder, to, stored_as, recursive, on_conflict } =
                    tree.clone();
                let (folder, to) = (utf8(&folder)?, to.as_str().to_owned());
                stored.tree = Some(StoredTree {
                    named,
                    folder,
                    to,
                    stored_as,
                    recursive,
                    differing: on_conflict,
                });
            }
        }
        Ok(serde_json::to_string(&stored)? + "\n")
    }

    /// Decodes and validates an entry.
    ///
    /// # Errors
    /// The reason why the entry is invalid.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let stored: StoredEntry = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let certificate = stored.certificate.map(absolute_path).transpose()?;
        let subject = match (stored.path, stored.local, stored.size, stored.overwrite) {
            (Some(path), Some(local), Some(size), Some(overwrite)) if stored.tree.is_none() => {
                let path = FilePath::parse(&path).map_err(|why| format!("path: {why}"))?;
                TransferSubject::File(SingleFile {
                    path,
                    local: absolute_path(local)?,
                    size,
                    overwrite,
                })
            }
            (None, None, None, None) => {
                let tree = stored.tree.ok_or("it is neither a file nor a tree")?;
                TransferSubject::Tree(tree.try_into()?)
            }
            _ => return Err("it is neither a file nor a tree".to_owned()),
        };
        let server = ServerRef {
            address: stored.server.parse().map_err(|why| format!("server: {why}"))?,
            fingerprint: stored.fingerprint,
            certificate,
            name: ClientName::parse(&stored.name).map_err(|why| format!("name: {why}"))?,
        };
        Ok(Self { direction: stored.direction, server, started: stored.begun, subject })
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
        hash_parts(&parts)
    }
}

impl TryFrom<StoredTree> for TreeSelection {
    type Error = String;

    fn try_from(stored: StoredTree) -> Result<Self, String> {
        if stored.named.is_empty() {
            return Err("it names nothing".to_owned());
        }
        Ok(Self {
            named: stored.named,
            folder: absolute_path(stored.folder)?,
            to: FolderPath::parse(&stored.to).map_err(|why| format!("to: {why}"))?,
            stored_as: stored.stored_as,
            recursive: stored.recursive,
            on_conflict: stored.differing,
        })
    }
}

/// The id of a file's transfer, from its direction, server, path on the server, and local path.
#[must_use]
pub fn file_id(direction: Direction, server: Fingerprint, path: &FilePath, local: &Path) -> u64 {
    let direction: &[u8] = match direction {
        Direction::Get => b"get",
        Direction::Put => b"put",
    };
    let (path, local) = (path.as_str().as_bytes(), local.as_os_str().as_encoded_bytes());
    hash_parts(&[direction, &server.0, path, local])
}

fn hash_parts(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key(ID_CONTEXT);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    let mut prefix = [0; 8];
    prefix.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(prefix)
}

fn utf8(path: &Path) -> io::Result<String> {
    let text = path.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
    Ok(text.to_owned())
}

fn absolute_path(path: String) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{} is not an absolute path", display_path(&path)))
    }
}
