//! Folders with all that is in them, to be compared. Knows files, nothing of who moves them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::random::Random;

/// What is in a folder, by path.
pub type Tree = BTreeMap<String, Leaf>;

/// One thing in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A folder, and when it was changed last.
    Folder(SystemTime),
    /// A file.
    File {
        /// Its bytes.
        content: Vec<u8>,
        /// When they were changed last.
        modified: SystemTime,
        /// Whether its owner may run it.
        executable: bool,
    },
    /// A link, or something else.
    Other,
}

/// What is in a folder.
///
/// # Panics
/// Where it cannot be read.
#[must_use]
pub fn read(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    read_into(folder, "", &mut tree);
    tree
}

/// The names in a folder, hidden ones too, in order.
///
/// # Panics
/// Where it cannot be read.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// How many files have their names by now, in any folder, while others come.
#[must_use]
pub fn count(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let of = |entry: std::io::Result<fs::DirEntry>| {
        let Ok(entry) = entry else { return 0 };
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            Ok(_) if !entry.file_name().to_string_lossy().starts_with(".quiver-") => 1,
            _ => 0,
        }
    };
    entries.map(of).sum()
}

fn read_into(folder: &Path, above: &str, tree: &mut Tree) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = if above.is_empty() { name } else { format!("{above}/{name}") };
        let metadata = entry.metadata().unwrap();
        let leaf = if metadata.is_dir() {
            read_into(&entry.path(), &path, tree);
            Leaf::Folder(metadata.modified().unwrap())
        } else if metadata.is_file() {
            Leaf::File {
                content: fs::read(entry.path()).unwrap(),
                modified: metadata.modified().unwrap(),
                executable: metadata.permissions().mode() & 0o100 != 0,
            }
        } else {
            Leaf::Other
        };
        tree.insert(path, leaf);
    }
}

/// A tree with a bit of everything that is to be kept: files of several sizes and names, a program, folders in
/// folders, an empty one, and times of long ago.
///
/// # Panics
/// Where it cannot be written.
pub fn plant(folder: &Path, seed: u64) {
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
        date(&path, 1_000_000_000 + size as u64);
    }
    fs::set_permissions(folder.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("deep/nothing in it")).unwrap();
    for path in ["deep/nothing in it", "deep/er/and deeper", "deep/er", "deep", "with space"] {
        date(&folder.join(path), 1_100_000_000);
    }
    date(folder, 1_200_000_000);
}

/// Gives a file or folder a time, in seconds after 1970, and a bit.
///
/// # Panics
/// Where it cannot be changed.
pub fn date(path: &Path, seconds: u64) {
    let moment = UNIX_EPOCH + Duration::new(seconds, 123_456_789);
    File::open(path).unwrap().set_modified(moment).unwrap();
}
