//! `list`: what is in a folder of the server.

use std::time::Duration;

use quiver_protocol::reply::Entry;
use quiver_protocol::{FolderPath, ListEnd, Reply, Request};
use quiver_transport::{Channel, StreamError};

use crate::{Answer, Part, misfit};

/// A folder's entries, in byte order, one after the other as they come.
#[derive(Debug)]
pub struct Entries {
    answer: Answer,
    folder: FolderPath,
}

/// An entry, or what is known after the last.
#[derive(Debug)]
pub enum Listed {
    /// One entry.
    Entry(Entry),
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
    Ok(Entries { answer: Answer::to(connection, &request, patience).await?, folder })
}

impl Entries {
    /// The next entry. One that does not lie in the folder is a broken answer.
    ///
    /// # Errors
    /// [`StreamError`].
    pub async fn next(&mut self) -> Result<Listed, StreamError> {
        match self.answer.next::<ListEnd>().await? {
            Part::Reply(Reply::Entry(entry)) => {
                let joined = self.folder.join(entry.path.file_name());
                if joined.is_ok_and(|path| path == entry.path) {
                    Ok(Listed::Entry(entry))
                } else {
                    Err(misfit("an entry of another folder"))
                }
            }
            Part::Reply(_) => Err(misfit("something else than an entry")),
            Part::End(end) => Ok(Listed::End(end)),
        }
    }
}
