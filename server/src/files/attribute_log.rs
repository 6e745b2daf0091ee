//! Logs the attributes that the file system refused: the first time as a warning, later at level
//! debug.

use std::sync::atomic::{AtomicBool, Ordering};

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::file_system::UnsetAttributes;

/// Whether this process has warned.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Logs the attributes that could not be set of a file or folder that a client stored. Only the
/// first time in a process is a warning: else a client could fill the log.
pub(super) fn log_unset(path: &FilePath, unset: UnsetAttributes) {
    if unset.is_empty() {
        return;
    }
    let path = display_safe(path.as_str());
    if WARNED.swap(true, Ordering::Relaxed) {
        tracing::debug!("stored {path}, but could not set {unset}");
    } else {
        tracing::warn!(
            "stored {path}, but could not set {unset}; from now on this is logged at level debug"
        );
    }
}
