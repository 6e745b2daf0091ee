//! What a command needs, as data, and the one throttle before all commands.

use quiver_protocol::{Refusal, RefusalCode, Request};

use crate::session::member::Context;

/// What a member must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Nothing beside being here.
    Nothing,
    /// To see and fetch files.
    Read,
    /// To store, remove and rename them.
    Upload,
}

/// What a request needs.
pub(super) fn needs(request: &Request) -> Right {
    match request {
        Request::Hello(_) | Request::Message { .. } | Request::Status | Request::Exit => {
            Right::Nothing
        }
        Request::List { .. } | Request::Get { .. } => Right::Read,
        Request::Put(_)
        | Request::Remove { .. }
        | Request::Rename { .. }
        | Request::MakeFolder { .. }
        | Request::Space
        | Request::Kept { .. } => Right::Upload,
    }
}

/// Lets through who may do it, as the server's settings and the password file are now.
pub(super) fn permit(context: &Context, right: Right) -> Result<(), Refusal> {
    match right {
        // Whoever was welcomed may read.
        Right::Nothing | Right::Read => Ok(()),
        Right::Upload if !context.shared.files.takes_files() => {
            Err(Refusal::new(RefusalCode::Forbidden, "this server takes no files"))
        }
        Right::Upload if !context.shared.may_upload(&context.name) => {
            Err(Refusal::new(RefusalCode::Forbidden, "this account may not store files"))
        }
        Right::Upload => Ok(()),
    }
}
