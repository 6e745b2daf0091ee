//! What a list of the server leaves out, as entries that a transfer leaves out.

use quiver_protocol::reply::{LeftOutName, LeftOutReason as ListReason};
use quiver_protocol::{FolderPath, ListEnd};

use crate::tree::{LeftOut, LeftOutReason};

/// All that a list has left out of a folder.
pub(crate) fn left_out_of(folder: &FolderPath, end: ListEnd) -> LeftOut {
    let ListEnd { not_served, unreadable, left_out, .. } = end;
    let mut left_out = left_out_names(folder, left_out);
    let missing = unreadable.saturating_sub(left_out.missing_count());
    left_out.add_unnamed(not_served.saturating_sub(left_out.count()), missing);
    left_out
}

/// Names that a list has left out of a folder.
pub(super) fn left_out_names(
    folder: &FolderPath,
    names: impl IntoIterator<Item = LeftOutName>,
) -> LeftOut {
    let mut left_out = LeftOut::default();
    for LeftOutName { name, why } in names {
        let path = match folder.as_str() {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        left_out.add(path, reason(why));
    }
    left_out
}

fn reason(why: ListReason) -> LeftOutReason {
    match why {
        ListReason::SymbolicLink => LeftOutReason::Kind("a symbolic link"),
        ListReason::Pipe => LeftOutReason::Kind("a pipe"),
        ListReason::Socket => LeftOutReason::Kind("a socket"),
        ListReason::Device => LeftOutReason::Kind("a device"),
        ListReason::Unreadable => {
            LeftOutReason::Unreadable("the server has no permission".to_owned())
        }
        ListReason::BadName => LeftOutReason::BadName,
        ListReason::Unknown => LeftOutReason::NotServed,
    }
}
