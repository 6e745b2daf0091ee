//! The read side of a served folder: opens and lists what is in it. Every path is opened from one
//! open directory, and no link is followed. Changes nothing, and knows no client and no server.
//!
//! | module | what it holds |
//! |---|---|
//! | `error` | why a file or folder is not served |
//! | `walk` | opens the folders of a path |
//! | `open` | opens a file |
//! | `list` | lists a folder in byte order, page by page |

mod error;
mod list;
mod open;
mod walk;

pub use error::ServedPathError;
pub(crate) use list::{ENTRIES_PER_BATCH, ListedName, run_in_lane, served_entry};
pub use list::{FixedMemory, FolderListing, NameMemory};
pub use open::open_file;
pub(crate) use open::open_name;
pub use walk::open_folder;

#[cfg(test)]
mod tests;
