//! The files of one drop: each gets its name once it is whole. The folder goes with the last use of this value.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use cap_fs_ext::OpenOptionsExt as _;
use cap_std::fs::{Dir, OpenOptions};
use parking_lot::Mutex;
use quiver_client::folders::create_private;
use quiver_protocol::FilePath;
use quiver_transfer::file_system::rename_noreplace;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::quota::{SpoolCost, SpoolQuota};

/// Where whole files are, and where files are that are being received.
const FILES: &str = "files";
const PARTS: &str = "parts";

/// Files of a drop.
const MAX_FILES: u64 = 100_000;

/// The files of a drop.
#[derive(Debug)]
pub(super) struct DropFolder {
    path: PathBuf,
    /// `None` before the first file.
    open: Mutex<Option<Arc<OpenDrop>>>,
    quota: Arc<Mutex<SpoolQuota>>,
    activity: Mutex<DropActivity>,
    last_part: AtomicU64,
    is_discarded: watch::Sender<bool>,
    is_kept: AtomicBool,
    removals: mpsc::UnboundedSender<RemovedDrop>,
}

#[derive(Debug)]
struct DropActivity {
    files: u64,
    /// Files that are being received.
    receiving: u64,
    /// What the whole files take.
    stored: SpoolCost,
    last_used: Instant,
}

#[derive(Debug)]
struct OpenDrop {
    files: Dir,
    parts: Dir,
}

/// A folder that nothing uses any more.
#[derive(Debug)]
pub(super) struct RemovedDrop {
    pub(super) path: PathBuf,
    pub(super) cost: SpoolCost,
}

/// A file of a drop that is being received. Dropping it removes what was received.
#[derive(Debug)]
pub(crate) struct SpooledFile {
    folder: Arc<DropFolder>,
    cost: SpoolCost,
    part: Option<(Arc<OpenDrop>, String)>,
    is_stored: bool,
}

impl DropFolder {
    /// The folder at a path that does not exist yet.
    pub(super) fn new(
        path: PathBuf,
        quota: Arc<Mutex<SpoolQuota>>,
        removals: mpsc::UnboundedSender<RemovedDrop>,
    ) -> Self {
        let last_used = Instant::now();
        let stored = SpoolCost::default();
        Self {
            path,
            open: Mutex::default(),
            quota,
            activity: Mutex::new(DropActivity { files: 0, receiving: 0, stored, last_used }),
            last_part: AtomicU64::new(0),
            is_discarded: watch::Sender::new(false),
            is_kept: AtomicBool::new(false),
            removals,
        }
    }

    /// The path of the folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the folder with the files that are whole.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join(FILES)
    }

    /// Whether a file is being received.
    pub(super) fn is_receiving(&self) -> bool {
        self.activity.lock().receiving > 0
    }

    /// When the last file was received, unless one is being received.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let activity = self.activity.lock();
        (activity.receiving == 0).then_some(activity.last_used)
    }

    /// Ends what is being received. The folder is removed once nothing uses it.
    pub(super) fn discard(&self) {
        self.is_discarded.send_replace(true);
    }

    /// Leaves the folder where it is: another process may use it.
    pub(super) fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Starts a file whose space is reserved; `None` if there are too many. Call [`SpooledFile::create`] next.
    pub(super) fn start_file(self: &Arc<Self>, cost: SpoolCost) -> Option<SpooledFile> {
        let mut activity = self.activity.lock();
        if activity.files >= MAX_FILES {
            return None;
        }
        activity.files += 1;
        activity.receiving += 1;
        drop(activity);
        Some(SpooledFile { folder: self.clone(), cost, part: None, is_stored: false })
    }

    /// Opens the folder, and creates it before the first file. Blocks.
    fn open(&self) -> io::Result<Arc<OpenDrop>> {
        let mut open = self.open.lock();
        if let Some(open) = &*open {
            return Ok(open.clone());
        }
        for name in [FILES, PARTS] {
            create_private(&self.path.join(name))?;
        }
        let folder =
            |name: &str| Dir::open_ambient_dir(self.path.join(name), cap_std::ambient_authority());
        let opened = Arc::new(OpenDrop { files: folder(FILES)?, parts: folder(PARTS)? });
        *open = Some(opened.clone());
        Ok(opened)
    }
}

impl Drop for DropFolder {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Relaxed) {
            let cost = self.activity.get_mut().stored;
            // Fails if the process ends, which removes all.
            let _ = self.removals.send(RemovedDrop { path: self.path.clone(), cost });
        }
    }
}

impl SpooledFile {
    /// Creates the file under a name of its own. Blocks.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn create(&mut self) -> io::Result<File> {
        let open = self.folder.open()?;
        let number = self.folder.last_part.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number}.part");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file = open.parts.open_with(&name, &options)?.into_std();
        self.part = Some((open, name));
        Ok(file)
    }

    /// Gives the file, which is whole, its name and time. Blocks.
    ///
    /// # Errors
    /// The system's error; `AlreadyExists` or `NotADirectory` if the path is one of another file of the drop, or leads
    /// through one.
    pub(crate) fn store(
        mut self,
        mut file: File,
        rest: &[u8],
        path: &FilePath,
        modified: SystemTime,
    ) -> io::Result<()> {
        file.write_all(rest)?;
        file.set_modified(modified)?;
        let Some((open, part)) = self.part.take() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let stored = place(&open, &part, path);
        match stored {
            Ok(()) => self.is_stored = true,
            Err(_) => self.part = Some((open, part)),
        }
        stored
    }

    /// Waits until the drop is discarded.
    pub(crate) async fn discarded(&self) {
        // Fails only if the sender is gone, which `self` holds.
        let _ = self.folder.is_discarded.subscribe().wait_for(|discarded| *discarded).await;
    }
}

/// Moves a part to its path, which no other file has.
fn place(open: &OpenDrop, part: &str, path: &FilePath) -> io::Result<()> {
    let Some((parent, name)) = path.as_str().rsplit_once('/') else {
        return rename_noreplace((&open.parts, part), (&open.files, path.as_str()));
    };
    open.files.create_dir_all(parent)?;
    rename_noreplace((&open.parts, part), (&open.files.open_dir(parent)?, name))
}

impl Drop for SpooledFile {
    fn drop(&mut self) {
        if let Some((open, part)) = self.part.take() {
            // Removed with the folder at the latest.
            let _ = open.parts.remove_file(part);
        }
        let mut activity = self.folder.activity.lock();
        activity.receiving -= 1;
        activity.last_used = Instant::now();
        if self.is_stored {
            activity.stored = activity.stored.plus(self.cost);
            self.folder.quota.lock().store(self.cost);
        } else {
            activity.files -= 1;
            self.folder.quota.lock().cancel(self.cost);
        }
    }
}
