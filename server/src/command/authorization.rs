//! Which permission a command needs is data, and this is the one check of it. Knows no connection.

use quiver_protocol::{ClientName, Refusal, RefusalCode};

use crate::files::Files;
use crate::passwords::{AccountPermission, Passwords};

/// What a client must be allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// To be connected, and no more.
    Connected,
    /// To see and get files.
    Read,
    /// To store, remove and rename files.
    Upload,
}

/// Whether the client of this name has the permission, as the server's settings and the password file are now.
///
/// # Errors
/// What to tell the client.
pub fn authorize(
    permission: Permission,
    name: &ClientName,
    files: &Files,
    passwords: Option<&Passwords>,
) -> Result<(), Refusal> {
    match permission {
        // Every client that was welcomed may read.
        Permission::Connected | Permission::Read => Ok(()),
        Permission::Upload if !files.takes_files() => {
            Err(Refusal::new(RefusalCode::Forbidden, "this server takes no files"))
        }
        Permission::Upload if !may_upload(name, passwords) => {
            Err(Refusal::new(RefusalCode::Forbidden, "this account may not store files"))
        }
        Permission::Upload => Ok(()),
    }
}

/// Whether the account may upload, where there are accounts; every client may, where there are none.
fn may_upload(name: &ClientName, passwords: Option<&Passwords>) -> bool {
    passwords.is_none_or(|passwords| passwords.permission(name) == Some(AccountPermission::Upload))
}
