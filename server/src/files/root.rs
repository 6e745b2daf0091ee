//! The open handle of the served folder. It is replaced when another folder appears at the path: a
//! new one, one mounted over it, or the new target of a link. Operations that started with the old
//! handle keep it.

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

const STILL_SERVING: &str = "serving the folder that was opened before";

/// The served folder.
#[derive(Debug)]
pub(super) struct RootFolder {
    path: PathBuf,
    current: Mutex<Arc<Dir>>,
    /// The problem that the last check of the path found.
    problem: Mutex<Option<String>>,
    replaced: Notify,
}

/// The result of checking the path.
#[derive(Debug)]
enum RootCheck {
    /// The path leads to the folder that is served.
    Same,
    /// The path leads to another folder, which is served from now on.
    Replaced,
    /// The path cannot be opened.
    Missing(io::Error),
    /// The path leads to another folder, which must not be served.
    Refused(anyhow::Error),
}

impl RootFolder {
    /// Opens the folder.
    ///
    /// # Errors
    /// The error of the system call.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        // An absolute path, because the process's working folder may be replaced too.
        let path = std::path::absolute(path)?;
        let current = Dir::open_ambient_dir(&path, ambient_authority())?;
        Ok(Self {
            path,
            current: Mutex::new(Arc::new(current)),
            problem: Mutex::default(),
            replaced: Notify::new(),
        })
    }

    /// The folder that is served now.
    pub(super) fn current(&self) -> Arc<Dir> {
        lock(&self.current).clone()
    }

    /// Whether `root` is the folder that is served now.
    pub(super) fn is_current(&self, root: &Arc<Dir>) -> bool {
        Arc::ptr_eq(root, &lock(&self.current))
    }

    /// Waits until the folder is replaced, if it was not since the last call.
    pub(super) async fn wait_for_replacement(&self) {
        self.replaced.notified().await;
    }

    /// Checks the path once. Serves the folder at it if it is another one and `check` accepts it.
    /// Logs changes since the last call. Blocks.
    pub(super) fn follow_path(&self, check: impl FnOnce(&Dir) -> anyhow::Result<()>) {
        let path = self.path.to_string_lossy();
        let path = display_safe(&path);
        let result = self.check_path(check);
        let problem = match &result {
            RootCheck::Same | RootCheck::Replaced => None,
            RootCheck::Missing(reason) => {
                Some(format!("the served folder cannot be opened at {path} any more: {reason}"))
            }
            RootCheck::Refused(reason) => {
                Some(format!("not serving the new folder at {path}: {reason:#}"))
            }
        };
        let mut last = lock(&self.problem);
        match (&result, &problem) {
            (RootCheck::Replaced, _) => {
                info!("now serving the new folder at {path}");
                self.replaced.notify_one();
            }
            (_, Some(_)) if problem == *last => {}
            (RootCheck::Refused(_), Some(new)) => error!("{new}; {STILL_SERVING}"),
            (_, Some(new)) => warn!("{new}; {STILL_SERVING}"),
            (_, None) if last.is_some() => info!("the served folder is at {path} again"),
            (_, None) => {}
        }
        *last = problem;
    }

    fn check_path(&self, check: impl FnOnce(&Dir) -> anyhow::Result<()>) -> RootCheck {
        let found = match Dir::open_ambient_dir(&self.path, ambient_authority()) {
            Ok(found) => found,
            Err(reason) => return RootCheck::Missing(reason),
        };
        // If `fstat` fails for the served folder's handle, the folder's file system is not
        // available any more.
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
