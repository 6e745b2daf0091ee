//! The check whether a client has the permission that a command needs. Knows no connections.

use quiver_protocol::{ClientName, Refusal, RefusalCode};

use crate::files::Files;
use crate::passwords::{AccountPermission, Passwords};

/// The permission that a command needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// None: every connected client has it.
    Connected,
    /// To list and get files.
    Read,
    /// To store, remove and rename files.
    Upload,
}

/// Checks whether the client of this name has the permission, by the server's settings and the
/// current password file.
///
/// # Errors
/// The refusal to send to the client.
pub fn authorize(
    permission: Permission,
    name: &ClientName,
    files: &Files,
    passwords: Option<&Passwords>,
) -> Result<(), Refusal> {
    match permission {
        // Every member may read.
        Permission::Connected | Permission::Read => Ok(()),
        Permission::Upload if !files.accepts_uploads() => {
            Err(Refusal::new(RefusalCode::Forbidden, "this server takes no files"))
        }
        Permission::Upload if !may_upload(name, passwords) => {
            Err(Refusal::new(RefusalCode::Forbidden, "this account may not store files"))
        }
        Permission::Upload => Ok(()),
    }
}

/// Whether the account may upload. Without a password file, every client may.
fn may_upload(name: &ClientName, passwords: Option<&Passwords>) -> bool {
    passwords.is_none_or(|passwords| passwords.permission(name) == Some(AccountPermission::Upload))
}
