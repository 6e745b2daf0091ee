//! The log of attributes that the file system refused: once for all to see, then for whoever debugs.

use std::sync::atomic::{AtomicBool, Ordering};

use quiver_protocol::FilePath;
use quiver_protocol::text::display_safe;
use quiver_transfer::file_system::UnsetAttributes;

/// Whether this process has warned.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Logs what could not be set of a file or folder that a client has stored. The first time in a server's life it
/// is a warning: a client could fill the log otherwise.
pub(super) fn log(path: &FilePath, unset: UnsetAttributes) {
    if unset.is_empty() {
        return;
    }
    let path = display_safe(path.as_str());
    if WARNED.swap(true, Ordering::Relaxed) {
        tracing::debug!("stored {path}, but could not set {unset}");
    } else {
        tracing::warn!(
            "stored {path}, but could not set {unset}; from here on this is logged at level debug"
        );
    }
}
