//! What is in a folder, as far as it is served.

use cap_std::fs::Dir;
use quiver_protocol::reply::{Entry, EntryKind};
use quiver_protocol::{FolderPath, Timestamp};
use quiver_transport::content::is_part_name;

use super::walk::walk;
use super::{FilesError, Listing};
use crate::unix;

pub(super) fn list(root: &Dir, path: &FolderPath) -> Result<Listing, FilesError> {
    let folder = walk(root, path.parts())?;
    let mut listing = Listing { entries: Vec::new(), not_served: 0 };
    for entry in folder.entries().map_err(FilesError::of)? {
        let name = entry.map_err(FilesError::of)?.file_name();
        match name.to_str().and_then(|name| served(&folder, path, name)) {
            Some(entry) => listing.entries.push(entry),
            None => listing.not_served += 1,
        }
    }
    listing
        .entries
        .sort_unstable_by(|a, b| a.path.as_str().as_bytes().cmp(b.path.as_str().as_bytes()));
    Ok(listing)
}

/// The entry of a name that get or list would serve.
fn served(folder: &Dir, path: &FolderPath, name: &str) -> Option<Entry> {
    if is_part_name(name) {
        return None;
    }
    let path = path.join(name).ok()?;
    let metadata = folder.symlink_metadata(name).ok()?;
    let (kind, size) = if metadata.is_file() {
        (EntryKind::File, metadata.len())
    } else if metadata.is_dir() {
        (EntryKind::Folder, 0)
    } else {
        return None;
    };
    let readable = unix::may_read(folder, name, kind == EntryKind::Folder);
    let modified = Timestamp::from(metadata.modified().ok()?.into_std());
    readable.then_some(Entry { path, kind, size, modified })
}
