//! Folders with their content, for comparisons. Knows nothing of transfers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

/// The content of a folder, by relative path.
pub type Tree = BTreeMap<String, TreeEntry>;

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEntry {
    /// A folder with its modification time.
    Folder(SystemTime),
    /// A file.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Its modification time.
        modified: SystemTime,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A link, or another kind of entry.
    Other,
}

/// Reads a folder with its content.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn read(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    read_into(folder, "", &mut tree);
    tree
}

/// The sorted names in a folder, with hidden ones.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// The number of files with their final names in a folder and all folders below, while transfers run.
#[must_use]
pub fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let files_of = |entry: std::io::Result<fs::DirEntry>| {
        let Ok(entry) = entry else { return 0 };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            Ok(_) if !entry.file_name().to_string_lossy().starts_with(".quiver-") => 1,
            _ => 0,
        }
    };
    entries.map(files_of).sum()
}

fn read_into(folder: &Path, parent: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        let metadata = entry.metadata().unwrap();
        let tree_entry = if metadata.is_dir() {
            read_into(&entry.path(), &path, tree);
            TreeEntry::Folder(metadata.modified().unwrap())
        } else if metadata.is_file() {
            TreeEntry::File {
                content: fs::read(entry.path()).unwrap(),
                modified: metadata.modified().unwrap(),
                executable: metadata.permissions().mode() & 0o100 != 0,
            }
        } else {
            TreeEntry::Other
        };
        tree.insert(path, tree_entry);
    }
}

/// Creates a tree with a sample of all that a transfer must preserve: files of several sizes and names, an
/// executable, nested folders, an empty one, and old modification times.
///
/// # Panics
/// If it cannot be written.
pub fn create_sample(folder: &Path, seed: u64) {
    let mut random = Random::new(seed);
    for (path, size) in [
        ("a.txt", 12),
        ("empty", 0),
        ("program", 100),
        ("with space/it's \"quoted\"", 1024),
        ("with space/\u{1f980}.md", 1025),
        ("deep/er/and deeper/b.txt", 65536),
        ("deep/er/large.bin", 3 * 1024 * 1024 + 7),
        ("deep/c.txt", 65537),
    ] {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, random.bytes(size)).unwrap();
        set_modified(&path, 1_000_000_000 + size as u64);
    }
    fs::set_permissions(folder.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("deep/nothing in it")).unwrap();
    for path in ["deep/nothing in it", "deep/er/and deeper", "deep/er", "deep", "with space"] {
        set_modified(&folder.join(path), 1_100_000_000);
    }
    set_modified(folder, 1_200_000_000);
}

/// Sets the modification time of a file or folder, in seconds after 1970, plus a fraction of a second.
///
/// # Panics
/// If it cannot be changed.
pub fn set_modified(path: &Path, seconds: u64) {
    let moment = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(moment).unwrap();
}
