//! Calls that not every kernel or file system supports, each with a fallback. Knows nothing of
//! partial files or streams.
//!
//! | module | what it holds |
//! |---|---|
//! | `stat` | the type, size and time of a name in a folder, for any time |
//! | `attributes` | times and permissions, which the system may refuse to set |
//! | `access` | whether a file or folder may be read or written |
//! | `lock` | exclusive use of a file or folder |
//! | `rename` | a rename that replaces nothing |
//! | `space` | free space |
//! | `sync` | flushing files and folders to disk |
//!
//! A fallback is either invisible to the caller or logged.

mod access;
mod attributes;
mod lock;
mod rename;
mod space;
mod stat;
mod sync;

pub use access::{check_writable, is_readable};
pub(crate) use attributes::{Permissions, make_executable, set_file_modified};
pub use attributes::{UnsetAttributes, set_modified};
pub use lock::{FileLock, is_locked, lock, try_lock, unlock};
pub use rename::rename_noreplace;
pub use space::free_space;
pub use stat::{FileStat, stat};
pub use sync::{sync_file, sync_folder};

use rustix::io::Errno;

/// Whether an error means that the file system or the kernel does not support a call, or that a
/// security policy forbids it. A failing disk gives other errors.
fn is_unsupported(error: Errno) -> bool {
    matches!(
        error,
        Errno::INVAL
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::NOTTY
            | Errno::NOLCK
            | Errno::PERM
            | Errno::ACCESS
    )
}
