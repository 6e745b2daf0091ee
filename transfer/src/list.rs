//! `list`: the entries of a folder. Knows nothing of permissions.
//!
//! 1. receiver -> List {path}
//! 2. sender -> Entry*, Eof {entries, not_served}

use std::time::Duration;

use quiver_protocol::reply::FolderEntry;
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

    /// Number of names in the folder that were left out so far.
    fn not_served(&self) -> u64;
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
    let end = ListEnd { entries, not_served: listing.not_served() };
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(())
}
