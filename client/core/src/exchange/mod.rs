//! Conversations with the server that transfers and the sign-in need, and changes of names. They return values and
//! errors. The other small commands are in `commands`, from the call of an interface to the frames.

mod change;
mod goodbye;
mod kept;
mod space;

use quiver_protocol::{FolderPath, Refusal};

pub(crate) use change::{make_folder, remove, rename};
pub(crate) use goodbye::goodbye;
pub(crate) use kept::kept;
pub(crate) use quiver_transfer::get::{GetError, ReceivedFile, fetch as get};
pub(crate) use quiver_transfer::list::{Entries, ListItem, fetch as list};
pub(crate) use quiver_transfer::put::{
    OutgoingFile, PutError, PutOffer, SentBytes, StoredReceipt, offer as put,
};
pub(crate) use quiver_transfer::{ResponsePart, ResponseReader, unexpected_reply};
pub(crate) use quiver_transfer::{ResumableFile, StorageTarget};
pub(crate) use space::space;

/// A folder of the server as it is written: the slash that a list shows behind its name may stay.
///
/// # Errors
/// The refusal that the server would give.
pub(crate) fn parse_folder(typed: &str) -> Result<FolderPath, Refusal> {
    Ok(FolderPath::parse(typed.strip_suffix('/').unwrap_or(typed))?)
}

#[cfg(test)]
mod tests {
    use quiver_protocol::RefusalCode;

    use super::*;

    #[test]
    fn a_folder_may_be_written_as_it_is_shown() {
        for (typed, meant) in [("", ""), ("/", ""), ("notes", "notes"), ("a/b/", "a/b")] {
            assert_eq!(parse_folder(typed).unwrap().as_str(), meant);
        }
        for bad in ["//", "/etc", "..", "a//"] {
            assert_eq!(parse_folder(bad).unwrap_err().code, RefusalCode::BadPath, "{bad}");
        }
    }
}
