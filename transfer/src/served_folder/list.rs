//! Lists the entries of a folder that are served, page by page, so that any number of names fits
//! into memory. A page is made once the one before was sent, in short steps on threads of low
//! priority.

mod page;

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use cap_std::fs::{Dir, ReadDir};
use quiver_protocol::reply::{EntryKind, FolderEntry, LeftOutReason};
use quiver_protocol::{FilePath, FolderPath, Timestamp};
use rustix::path::Arg;

use self::page::NamePage;
use super::ServedPathError;
use super::walk::open_folder;
use crate::file_system::{FileStat, is_readable, stat};
use crate::list::{self, NotServed};
use crate::{Lane, is_partial_name};

pub use self::page::{FixedMemory, NameMemory};

/// Names that are read in one step, which takes a millisecond or two.
const NAMES_PER_STEP: usize = 4096;

/// Maximum entries of one batch: `stat` of so many files takes a millisecond if the kernel has them
/// cached.
pub(crate) const ENTRIES_PER_BATCH: usize = 256;

/// Maximum bytes of the paths in one batch.
const PATH_BYTES_PER_BATCH: usize = 32 * 1024;

/// A folder that is being listed. Names that appear or disappear meanwhile may be listed or not;
/// every other name is listed once.
#[derive(Debug)]
pub struct FolderListing<M> {
    lane: Lane,
    /// `None` while a step runs, and after a failure.
    state: Option<ListState<M>>,
}

/// The state that each step takes and returns.
#[derive(Debug)]
struct ListState<M> {
    folder: Dir,
    /// The folder's path in the paths of its entries.
    listed_as: FolderPath,
    page: NamePage<M>,
    /// The folder's names, while they are read into the page; `None` while the page's entries are
    /// returned.
    reading: Option<ReadDir>,
    /// Only the first pass over the folder counts the names that are not served.
    is_first_pass: bool,
    not_served: NotServed,
}

/// The result of a step.
enum ListStep {
    /// The page is not complete yet.
    Reading,
    /// Entries, in the order of their paths.
    Batch(Vec<FolderEntry>),
    /// All entries were returned.
    End,
}

impl<M: NameMemory> FolderListing<M> {
    /// Starts to list the folder at `path` below `root`; in the paths of its entries, the folder's
    /// own path is `listed_as`. With `memory` for its names: more memory means that a large folder
    /// is read fewer times. The work runs in `lane`.
    ///
    /// # Errors
    /// [`ServedPathError`].
    pub async fn start(
        root: Arc<Dir>,
        path: FolderPath,
        listed_as: FolderPath,
        lane: Lane,
        memory: M,
    ) -> Result<Self, ServedPathError> {
        let state = run_in_lane(&lane, move || {
            let folder = open_folder(&root, path.parts())?;
            let reading = Some(folder.entries().map_err(ServedPathError::from_read)?);
            let page = NamePage::new(memory);
            Ok(ListState {
                folder,
                listed_as,
                page,
                reading,
                is_first_pass: true,
                not_served: NotServed::default(),
            })
        });
        let state = state.await?;
        Ok(Self { lane, state: Some(state) })
    }
}

impl<M: NameMemory> list::EntrySource for FolderListing<M> {
    type Error = ServedPathError;

    /// The next entries, sorted by the bytes of their paths; empty at the end.
    ///
    /// # Errors
    /// [`ServedPathError`]; later calls then return nothing.
    async fn next_batch(&mut self) -> Result<Vec<FolderEntry>, ServedPathError> {
        while let Some(mut state) = self.state.take() {
            let step = run_in_lane(&self.lane, move || {
                let step = state.step()?;
                Ok((state, step))
            });
            let (state, step) = step.await?;
            self.state = Some(state);
            match step {
                ListStep::Reading => {}
                ListStep::Batch(entries) if entries.is_empty() => {}
                ListStep::Batch(entries) => return Ok(entries),
                ListStep::End => break,
            }
        }
        Ok(Vec::new())
    }

    /// The names that were not served so far: links, pipes, devices, illegal names, and files and
    /// folders without read permission.
    fn not_served(&self) -> NotServed {
        self.state.as_ref().map(|state| state.not_served.clone()).unwrap_or_default()
    }
}

impl<M: NameMemory> ListState<M> {
    fn step(&mut self) -> Result<ListStep, ServedPathError> {
        if let Some(mut names) = self.reading.take() {
            if self.read_names(&mut names)? {
                self.reading = Some(names);
            } else {
                self.is_first_pass = false;
                self.page.sort();
            }
            return Ok(ListStep::Reading);
        }
        let batch = self.next_batch();
        if !batch.is_empty() {
            return Ok(ListStep::Batch(batch));
        }
        if self.page.start_next() {
            self.reading = Some(self.folder.entries().map_err(ServedPathError::from_read)?);
            return Ok(ListStep::Reading);
        }
        Ok(ListStep::End)
    }

    /// Reads up to [`NAMES_PER_STEP`] names into the page; returns whether there may be more.
    fn read_names(&mut self, names: &mut ReadDir) -> Result<bool, ServedPathError> {
        for _ in 0..NAMES_PER_STEP {
            let Some(entry) = names.next() else { return Ok(false) };
            let file_name = entry.map_err(ServedPathError::from_read)?.file_name();
            let name = file_name.to_str();
            if name.is_some_and(is_partial_name) {
                continue;
            }
            match name.filter(|name| self.listed_as.join(name).is_ok()) {
                Some(name) => self.page.insert(name),
                None if self.is_first_pass => self.add_bad_name(&file_name),
                None => {}
            }
        }
        Ok(true)
    }

    /// The entries of the page's next names. Empty only at the end of the page.
    fn next_batch(&mut self) -> Vec<FolderEntry> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < ENTRIES_PER_BATCH && bytes < PATH_BYTES_PER_BATCH {
            let Some(name) = self.page.next() else { break };
            // The name was checked when it was read.
            let Ok(path) = self.listed_as.join(name) else { continue };
            match served_entry(&self.folder, name, path) {
                ListedName::Served(entry) => {
                    bytes += entry.path.as_str().len();
                    entries.push(entry);
                }
                ListedName::LeftOut(why) => self.not_served.add(name.as_ref(), why),
                ListedName::Gone => {}
            }
        }
        entries
    }

    /// Counts a name that breaks the rules. A link of such a name is a link.
    fn add_bad_name(&mut self, name: &OsStr) {
        let why = match stat(&self.folder, name) {
            Ok(found) if found.is_file() || found.is_dir() => LeftOutReason::BadName,
            Ok(found) => special_kind(&found),
            Err(_) => return,
        };
        self.not_served.add(name, why);
    }
}

/// What a name in a folder is to a list.
pub(crate) enum ListedName {
    /// `get` or `list` would serve it.
    Served(FolderEntry),
    /// It is left out.
    LeftOut(LeftOutReason),
    /// It does not exist any more.
    Gone,
}

/// The entry of a name in a folder, listed with this path.
pub(crate) fn served_entry(folder: &Dir, name: impl Arg + Copy, path: FilePath) -> ListedName {
    let metadata = match stat(folder, name) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return ListedName::Gone,
        Err(_) => return ListedName::LeftOut(LeftOutReason::Unreadable),
    };
    let (kind, size) = if metadata.is_file() {
        (EntryKind::File, metadata.len())
    } else if metadata.is_dir() {
        (EntryKind::Folder, 0)
    } else {
        return ListedName::LeftOut(special_kind(&metadata));
    };
    if !is_readable(folder, name, kind == EntryKind::Folder) {
        return ListedName::LeftOut(LeftOutReason::Unreadable);
    }
    let modified = Timestamp::from(metadata.modified());
    ListedName::Served(FolderEntry { path, kind, size, modified })
}

/// The reason to leave out what is neither a file nor a folder.
fn special_kind(found: &FileStat) -> LeftOutReason {
    if found.is_symlink() {
        LeftOutReason::SymbolicLink
    } else if found.is_pipe() {
        LeftOutReason::Pipe
    } else if found.is_socket() {
        LeftOutReason::Socket
    } else {
        LeftOutReason::Device
    }
}

/// Runs a step in a lane.
pub(crate) async fn run_in_lane<T: Send + 'static>(
    lane: &Lane,
    step: impl FnOnce() -> Result<T, ServedPathError> + Send + 'static,
) -> Result<T, ServedPathError> {
    lane.run(step).await.map_err(|closed| ServedPathError::Disk(io::Error::other(closed)))?
}
