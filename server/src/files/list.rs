//! What is in a folder, as far as it is served: page by page, however many names there are. Each page is made
//! when the one before was taken, in short steps on threads of low priority.

mod page;

use cap_std::fs::{Dir, ReadDir};
use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{FolderPath, Timestamp};
use quiver_transfer::Lane;
use quiver_transfer::file_system::stat;
use quiver_transfer::{is_partial_name, list};

use self::page::NamePage;
use super::walk::walk;
use super::{Files, FilesError};
use crate::buffer_budget::BufferReservation;
use crate::unix;

/// Names that are read in one step: a millisecond or two.
const NAMES_A_STEP: usize = 4096;

/// Entries of one batch, at most. To look at so many files takes a millisecond where the system knows them.
const ENTRIES_A_BATCH: usize = 256;

/// Bytes of the paths in one batch, where they are long.
const PATH_BYTES_A_BATCH: usize = 32 * 1024;

/// A folder that is being listed. Names that appear or disappear meanwhile may be listed or not; all others
/// are listed once.
#[derive(Debug)]
pub struct FolderListing {
    lane: Lane,
    /// Away while a step runs.
    state: Option<State>,
}

/// What a step takes along and gives back.
#[derive(Debug)]
struct State {
    folder: Dir,
    path: FolderPath,
    page: NamePage,
    /// Names are read for the page; `None` while its entries are given out.
    reading: Option<ReadDir>,
    /// The first pass over the folder counts what is not served by its name.
    is_first_pass: bool,
    not_served: u64,
}

/// What a step came to.
enum ListStep {
    /// More names are to be read first.
    Reading,
    /// Entries, in the order of their paths.
    Batch(Vec<FolderEntry>),
    /// There are no more.
    End,
}

impl Files {
    /// Begins to list a folder, with `memory` for its names: the more there is, the fewer times a large folder
    /// is read. The work is done in `lane`.
    ///
    /// # Errors
    /// [`FilesError`].
    pub async fn list(
        &self,
        folder: &FolderPath,
        lane: Lane,
        memory: BufferReservation,
    ) -> Result<FolderListing, FilesError> {
        let (root, path) = (self.root.current(), folder.clone());
        let state = in_lane(&lane, move || {
            let folder = walk(&root, path.parts())?;
            let reading = Some(folder.entries().map_err(FilesError::of)?);
            let page = NamePage::new(memory);
            Ok(State { folder, path, page, reading, is_first_pass: true, not_served: 0 })
        });
        let state = state.await?;
        Ok(FolderListing { lane, state: Some(state) })
    }
}

impl list::EntrySource for FolderListing {
    type Error = FilesError;

    /// The next entries, sorted by the bytes of their paths; none at the end.
    ///
    /// # Errors
    /// [`FilesError`]; there is nothing more to be had then.
    async fn next_batch(&mut self) -> Result<Vec<FolderEntry>, FilesError> {
        while let Some(mut state) = self.state.take() {
            let step = in_lane(&self.lane, move || {
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

    /// How many names were not served so far: links, pipes, devices, illegal names, partial files, what may
    /// not be read.
    fn not_served(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.not_served)
    }
}

impl State {
    fn step(&mut self) -> Result<ListStep, FilesError> {
        if let Some(mut names) = self.reading.take() {
            if self.read(&mut names)? {
                self.reading = Some(names);
            } else {
                self.is_first_pass = false;
                self.page.sort();
            }
            return Ok(ListStep::Reading);
        }
        let batch = self.batch();
        if !batch.is_empty() {
            return Ok(ListStep::Batch(batch));
        }
        if self.page.begin_next() {
            self.reading = Some(self.folder.entries().map_err(FilesError::of)?);
            return Ok(ListStep::Reading);
        }
        Ok(ListStep::End)
    }

    /// Reads some names into the page; whether there may be more.
    fn read(&mut self, names: &mut ReadDir) -> Result<bool, FilesError> {
        for _ in 0..NAMES_A_STEP {
            let Some(entry) = names.next() else { return Ok(false) };
            let name = entry.map_err(FilesError::of)?.file_name();
            let name = name.to_str().filter(|name| !is_partial_name(name));
            match name.filter(|name| self.path.join(name).is_ok()) {
                Some(name) => self.page.offer(name),
                None if self.is_first_pass => self.not_served += 1,
                None => {}
            }
        }
        Ok(true)
    }

    /// The entries of the page's next names. Empty only where the page has no more.
    fn batch(&mut self) -> Vec<FolderEntry> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < ENTRIES_A_BATCH && bytes < PATH_BYTES_A_BATCH {
            let Some(name) = self.page.next() else { break };
            match served(&self.folder, &self.path, name) {
                Some(entry) => {
                    bytes += entry.path.as_str().len();
                    entries.push(entry);
                }
                None => self.not_served += 1,
            }
        }
        entries
    }
}

/// The entry of a name that get or list would serve.
fn served(folder: &Dir, path: &FolderPath, name: &str) -> Option<FolderEntry> {
    let path = path.join(name).ok()?;
    let metadata = stat(folder, name).ok()?;
    let (kind, size) = if metadata.is_file() {
        (EntryKind::File, metadata.len())
    } else if metadata.is_dir() {
        (EntryKind::Folder, 0)
    } else {
        return None;
    };
    let readable = unix::is_readable(folder, name, kind == EntryKind::Folder);
    let modified = Timestamp::from(metadata.modified());
    readable.then_some(FolderEntry { path, kind, size, modified })
}

async fn in_lane<T: Send + 'static>(
    lane: &Lane,
    step: impl FnOnce() -> Result<T, FilesError> + Send + 'static,
) -> Result<T, FilesError> {
    lane.run(step).await.map_err(|closed| FilesError::Disk(std::io::Error::other(closed)))?
}
