//! Which content an open file has: equal identities mean the same, unchanged file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Identifies a file and its state. A write, a truncation, and setting the time of the last
/// modification change it, with the resolution of the kernel's tick; so do a rename and changed
/// permissions, which leave the content as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileIdentity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds of the last modification, and of the last change of the inode, which
    /// programs cannot set.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    pub(super) fn from_metadata(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
