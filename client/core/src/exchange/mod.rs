//! Requests to the server that transfers and the sign-in need, and changes of names. They return values and errors,
//! and publish nothing. The other small commands are in `commands`.

mod change;
mod exit;
mod introduction;
mod partial_upload;
mod space;

use quiver_protocol::{FolderPath, Refusal};

pub(crate) use change::{make_folder, remove, rename};
pub(crate) use exit::exit;
pub(crate) use introduction::{
    ListenEvent, Listening, agree, answer, introduce, listen, open_relay,
};
pub(crate) use partial_upload::query_partial_upload;
pub(crate) use quiver_transfer::get::{GetError, ReceivedFile, StoreOutcome, fetch as get};
pub(crate) use quiver_transfer::list::{Entries, ListItem, fetch as list};
pub(crate) use quiver_transfer::put::{
    OutgoingFile, PutError, PutOffer, SentBytes, StoredReceipt, offer as put,
};
pub(crate) use quiver_transfer::{ResponsePart, ResponseReader, unexpected_reply};
pub(crate) use quiver_transfer::{ResumableFile, StorageTarget};
pub(crate) use space::query_space;

/// Parses a typed path of a folder on the server. The slash that lists show after a folder's name is allowed.
///
/// # Errors
/// The refusal that the server would send.
pub(crate) fn parse_folder(typed: &str) -> Result<FolderPath, Refusal> {
    Ok(FolderPath::parse(typed.strip_suffix('/').unwrap_or(typed))?)
}

#[cfg(test)]
mod tests {
    use quiver_protocol::RefusalCode;

    use super::*;

    #[test]
    fn a_folder_may_be_typed_as_lists_show_it() {
        for (typed, expected) in [("", ""), ("/", ""), ("notes", "notes"), ("a/b/", "a/b")] {
            assert_eq!(parse_folder(typed).unwrap().as_str(), expected);
        }
        for bad in ["//", "/etc", "..", "a//"] {
            assert_eq!(parse_folder(bad).unwrap_err().code, RefusalCode::BadPath, "{bad}");
        }
    }
}
