//! `list`: the entries of a folder. Knows nothing of permissions.
//!
//! 1. receiver -> List {path}
//! 2. sender -> Entry*, Eof {entries, not_served, ...}

use std::ffi::OsStr;
use std::time::Duration;

use quiver_protocol::limits::LEFT_OUT_NAMES;
use quiver_protocol::reply::{FolderEntry, LeftOutName, LeftOutReason};
use quiver_protocol::{EofPayload as _, FolderPath, FrameKind, ListEnd, Reply, Request};
use quiver_transport::{Channel, FrameWriter, StreamError};
use thiserror::Error;

use crate::{ResponsePart, ResponseReader, unexpected_reply};

/// A folder's entries, in byte order, read one by one.
#[derive(Debug)]
pub struct Entries {
    response: ResponseReader,
    folder: FolderPath,
}

/// An entry, or the end of the list.
#[derive(Debug)]
pub enum ListItem {
    /// One entry.
    Entry(FolderEntry),
    /// The end of the list, with its counts.
    End(ListEnd),
}

/// Requests a folder's entries.
///
/// # Errors
/// [`StreamError`].
pub async fn fetch(
    connection: &Channel,
    folder: FolderPath,
    idle_timeout: Duration,
) -> Result<Entries, StreamError> {
    let request = Request::List { path: folder.clone() };
    Ok(Entries {
        response: ResponseReader::send_request(connection, &request, idle_timeout).await?,
        folder,
    })
}

impl Entries {
    /// Reads the next entry.
    ///
    /// # Errors
    /// [`StreamError`]; also if an entry is not in the folder.
    pub async fn next(&mut self) -> Result<ListItem, StreamError> {
        match self.response.next::<ListEnd>().await? {
            ResponsePart::Reply(Reply::Entry(entry)) => {
                let joined = self.folder.join(entry.path.file_name());
                if joined.is_ok_and(|path| path == entry.path) {
                    Ok(ListItem::Entry(entry))
                } else {
                    Err(unexpected_reply("an entry of another folder"))
                }
            }
            ResponsePart::Reply(_) => Err(unexpected_reply("expected an Entry reply")),
            ResponsePart::End(end) => Ok(ListItem::End(end)),
        }
    }
}

/// Reads the entries of a folder.
pub trait EntrySource: Send {
    /// Why reading the folder failed.
    type Error;

    /// Reads the next entries, in the byte order of their paths across all batches; empty at the
    /// end.
    ///
    /// # Errors
    /// The folder cannot be read further.
    fn next_batch(&mut self) -> impl Future<Output = Result<Vec<FolderEntry>, Self::Error>> + Send;

    /// The names in the folder that were left out so far.
    fn not_served(&self) -> NotServed;
}

/// Names of a folder that are left out: their number, and the first of them with the reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotServed {
    /// All of them.
    pub count: u64,
    /// Those that cannot be read.
    pub unreadable: u64,
    /// At most [`LEFT_OUT_NAMES`].
    pub named: Vec<LeftOutName>,
}

impl NotServed {
    /// Adds a name. Those that cannot be read are preferred to the others.
    pub fn add(&mut self, name: &OsStr, why: LeftOutReason) {
        self.count += 1;
        let is_unreadable = |why| why == LeftOutReason::Unreadable;
        self.unreadable += u64::from(is_unreadable(why));
        if self.named.len() == LEFT_OUT_NAMES {
            let other = self.named.iter().rposition(|named| !is_unreadable(named.why));
            let Some(other) = other.filter(|_| is_unreadable(why)) else { return };
            self.named.remove(other);
        }
        self.named.push(LeftOutName { name: name.to_string_lossy().into_owned(), why });
    }
}

/// Why a list was not sent to its end.
#[derive(Debug, Error)]
pub enum ListError<E> {
    /// The folder cannot be read further.
    #[error(transparent)]
    Listing(E),
    /// The stream failed.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Sends a folder's entries: 2. sender -> Entry*, Eof. The caller notices a receiver that gives up,
/// as with [`run_until_interrupted`](crate::response::run_until_interrupted).
///
/// # Errors
/// [`ListError`]. The stream is then without an end: the caller sends an Error with the reason.
pub async fn serve<L: EntrySource>(
    mut listing: L,
    writer: &mut FrameWriter,
) -> Result<(), ListError<L::Error>> {
    let mut entries = 0;
    loop {
        let batch = listing.next_batch().await.map_err(ListError::Listing)?;
        if batch.is_empty() {
            break;
        }
        entries += batch.len() as u64;
        for entry in batch {
            writer.write_frame(FrameKind::Reply, &Reply::Entry(entry).encode()).await?;
        }
    }
    let NotServed { count, unreadable, named } = listing.not_served();
    let end = ListEnd { entries, not_served: count, unreadable, left_out: named };
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(())
}
