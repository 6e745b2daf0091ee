//! The local folders that contain what was named: which folder it is, and each opened once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::tree::SourceRoot;

/// The folders that were opened.
#[derive(Debug, Default)]
pub(super) struct OpenRoots {
    pub(super) opened: Vec<Arc<SourceRoot>>,
    indexes: HashMap<PathBuf, u32>,
}

impl OpenRoots {
    /// Opens a folder, unless it is open. Returns its index, too. Blocks.
    pub(super) fn open(&mut self, base: PathBuf) -> io::Result<(u32, &SourceRoot)> {
        let index = if let Some(index) = self.indexes.get(&base) {
            *index
        } else {
            let index = u32::try_from(self.opened.len()).unwrap_or(u32::MAX);
            self.opened.push(Arc::new(SourceRoot::open(&base)?));
            self.indexes.insert(base, index);
            index
        };
        Ok((index, &self.opened[index as usize]))
    }
}

/// The folder that contains a named source, and its name there; without a name, the contents of the folder are meant.
/// With `is_renamed` the source gets another name, and so is meant itself. Blocks.
pub(super) fn locate(path: &Path, is_renamed: bool) -> io::Result<(PathBuf, Option<OsString>)> {
    let is_link = path.symlink_metadata()?.is_symlink();
    let means_contents = means_contents(path);
    // A link that was named itself is followed.
    let real = if is_link || (means_contents && is_renamed) {
        path.canonicalize()?
    } else {
        // Without the dot at the end of `folder/.`.
        path.components().collect()
    };
    let is_named = is_renamed || !means_contents;
    match (real.parent(), real.file_name()) {
        (Some(parent), Some(name)) if is_named => Ok((parent.to_owned(), Some(name.to_owned()))),
        _ => Ok((real, None)),
    }
}

/// Whether a path means the contents of a folder and not the folder itself, as for `cp -r`: the current folder, its
/// parents and the root have no name, and `folder/.` is typed for this.
fn means_contents(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    let text = text.strip_suffix(b"/").unwrap_or(text);
    path.file_name().is_none() || text.ends_with(b"/.")
}
