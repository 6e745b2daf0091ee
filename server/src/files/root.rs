//! The open handle of the served folder. It is replaced where another folder has the path: one that was made anew,
//! mounted over it, or that a link leads to now. Who has a handle keeps it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use parking_lot::{Mutex, MutexGuard};
use quiver_protocol::text::display_safe;
use tokio::sync::Notify;
use tracing::{error, info, warn};

use crate::unix;

const STILL: &str = "serving the folder that was opened before";

/// The served folder.
#[derive(Debug)]
pub(super) struct RootFolder {
    path: PathBuf,
    current: Mutex<Arc<Dir>>,
    /// What was wrong with the path at the last look.
    complaint: Mutex<Option<String>>,
    replaced: Notify,
}

/// What is at the path.
#[derive(Debug)]
enum RootCheck {
    /// The folder that is served.
    Same,
    /// Another one, which is served from now on.
    Replaced,
    /// Nothing that can be opened.
    Missing(io::Error),
    /// Another one, which must not be served.
    Refused(anyhow::Error),
}

impl RootFolder {
    /// Opens the folder.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // The current folder may be replaced as well.
        let path = std::path::absolute(path)?;
        let current = Dir::open_ambient_dir(&path, ambient_authority())?;
        Ok(Self {
            path,
            current: Mutex::new(Arc::new(current)),
            complaint: Mutex::default(),
            replaced: Notify::new(),
        })
    }

    /// The folder that is served now.
    pub(super) fn current(&self) -> Arc<Dir> {
        lock(&self.current).clone()
    }

    /// Whether this handle is of the folder that is served now.
    pub(super) fn serves(&self, root: &Arc<Dir>) -> bool {
        Arc::ptr_eq(root, &lock(&self.current))
    }

    /// Waits until another folder is served than at the last call.
    pub(super) async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// Looks what is at the path; serves it if it is another folder and `check` agrees. Logs what has changed since
    /// the last look. Blocks.
    pub(super) fn follow_path(&self, check: impl FnOnce(&Dir) -> anyhow::Result<()>) {
        let path = self.path.to_string_lossy();
        let path = display_safe(&path);
        let look = self.look(check);
        let complaint = match &look {
            RootCheck::Same | RootCheck::Replaced => None,
            RootCheck::Missing(reason) => {
                Some(format!("the served folder cannot be opened at {path} any more: {reason}"))
            }
            RootCheck::Refused(reason) => {
                Some(format!("not serving the new folder at {path}: {reason:#}"))
            }
        };
        let mut last = lock(&self.complaint);
        match (&look, &complaint) {
            (RootCheck::Replaced, _) => {
                info!("now serving the new folder at {path}");
                self.replaced.notify_one();
            }
            (_, Some(_)) if complaint == *last => {}
            (RootCheck::Refused(_), Some(new)) => error!("{new}; {STILL}"),
            (_, Some(new)) => warn!("{new}; {STILL}"),
            (_, None) if last.is_some() => info!("the served folder is at {path} again"),
            (_, None) => {}
        }
        *last = complaint;
    }

    fn look(&self, check: impl FnOnce(&Dir) -> anyhow::Result<()>) -> RootCheck {
        let found = match Dir::open_ambient_dir(&self.path, ambient_authority()) {
            Ok(found) => found,
            Err(reason) => return RootCheck::Missing(reason),
        };
        // A handle that the system cannot look at any more is of a folder that is gone.
        if unix::is_same_folder(&found, &self.current()).unwrap_or(false) {
            return RootCheck::Same;
        }
        if let Err(reason) = check(&found) {
            return RootCheck::Refused(reason);
        }
        *lock(&self.current) = Arc::new(found);
        RootCheck::Replaced
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
