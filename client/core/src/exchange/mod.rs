//! Requests to the server that transfers and the sign-in need, and changes of names. They return values and errors,
//! and publish nothing. The other small commands are in `commands`.

mod change;
mod exit;
mod introduction;
mod partial_upload;
mod space;

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
