//! `list`: what is in a folder. Knows nothing of which entries there are, and who may see them.
//!
//! 1. receiver -> List {path}
//! 2. sender -> Entry*, Eof {entries, not_served}

use std::time::Duration;

use quiver_protocol::reply::FolderEntry;
use quiver_protocol::{EofPayload as _, FolderPath, FrameKind, ListEnd, Reply, Request};
use quiver_transport::{Channel, FrameWriter, StreamError};
use thiserror::Error;

use crate::{ResponsePart, ResponseReader, unexpected_reply};

/// A folder's entries, in byte order, one after the other as they come.
#[derive(Debug)]
pub struct Entries {
    answer: ResponseReader,
    folder: FolderPath,
}

/// An entry, or what is known after the last.
#[derive(Debug)]
pub enum ListItem {
    /// One entry.
    Entry(FolderEntry),
    /// The end of the list.
    End(ListEnd),
}

/// Asks for a folder's entries.
///
/// # Errors
/// [`StreamError`].
pub async fn fetch(
    connection: &Channel,
    folder: FolderPath,
    patience: Duration,
) -> Result<Entries, StreamError> {
    let request = Request::List { path: folder.clone() };
    Ok(Entries {
        answer: ResponseReader::send_request(connection, &request, patience).await?,
        folder,
    })
}

impl Entries {
    /// The next entry. One that does not lie in the folder is a broken answer.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn next(&mut self) -> Result<ListItem, StreamError> {
        match self.answer.next::<ListEnd>().await? {
            ResponsePart::Reply(Reply::Entry(entry)) => {
                let joined = self.folder.join(entry.path.file_name());
                if joined.is_ok_and(|path| path == entry.path) {
                    Ok(ListItem::Entry(entry))
                } else {
                    Err(unexpected_reply("an entry of another folder"))
                }
            }
            ResponsePart::Reply(_) => Err(unexpected_reply("something else than an entry")),
            ResponsePart::End(end) => Ok(ListItem::End(end)),
        }
    }
}

/// Where the entries of a folder are read from.
pub trait EntrySource: Send {
    /// Why there are no more.
    type Error;

    /// The next entries, which go on where those before ended, in the byte order of their paths; none at the end.
    ///
    /// # Errors
    /// The folder cannot be read any further.
    fn next_batch(&mut self) -> impl Future<Output = Result<Vec<FolderEntry>, Self::Error>> + Send;

    /// How many names of the folder were left out so far.
    fn not_served(&self) -> u64;
}

/// Why a list was not sent to its end.
#[derive(Debug, Error)]
pub enum ListError<E> {
    /// The folder cannot be read any further.
    #[error(transparent)]
    Listing(E),
    /// The stream broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// Sends a folder's entries: 2. sender -> Entry*, Eof. The caller watches for a receiver that gives up, as
/// with [`run_until_interrupted`](crate::response::run_until_interrupted).
///
/// # Errors
/// [`ListError`]. The stream has no end then: the caller says why, in an Error.
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
