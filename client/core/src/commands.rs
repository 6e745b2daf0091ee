//! The small commands of a client: one request, one answer each, from the call of an interface to the frames. What
//! transfers ask too is in `exchange`.

use quiver_protocol::reply::ClientRow;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, PlainEnd, Refusal, RefusalCode, Reply, Request};
use quiver_transport::StreamError;

use crate::client::Client;
use crate::error::ClientError;
use crate::exchange::{
    self, Entries, ListItem, ResponsePart, ResponseReader, parse_folder, unexpected_reply,
};

const NO_STATUS: &str = "cannot show who is here";

/// The clients that are and were connected, by number, one after the other as they come.
#[derive(Debug)]
pub struct ClientRows(ResponseReader);

/// A folder's entries, in byte order, one after the other as they come.
#[derive(Debug)]
pub struct FolderEntries {
    entries: Entries,
    what: String,
}

impl Client {
    /// Sends a message; the server's answer to it.
    ///
    /// # Errors
    /// [`ClientError`]: it is longer than the server takes, too.
    pub async fn message(&self, text: &str) -> Result<String, ClientError> {
        let what = "cannot send the message";
        let request = Request::Message { text: text.to_owned() };
        let (length, limit) = (request.encode().len(), self.welcome()?.limits.message);
        if length > limit {
            let why = format!("it has {length} bytes where at most {limit} are allowed");
            return Err(ClientError::refused(what, Refusal::new(RefusalCode::TooLarge, why)));
        }
        match self.ask(&request, what).await?.single_reply().await {
            Ok(Reply::Text { text }) => Ok(text),
            Ok(_) => Err(ClientError::stream(what, unexpected_reply("something else than a text"))),
            Err(error) => Err(ClientError::stream(what, error)),
        }
    }

    /// Asks who is and was connected.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<ClientRows, ClientError> {
        Ok(ClientRows(self.ask(&Request::Status, NO_STATUS).await?))
    }

    /// Asks for a folder's entries; the empty text is the server's root.
    ///
    /// # Errors
    /// [`ClientError`]: what was written is no folder's path, too.
    pub async fn list(&self, folder: &str) -> Result<FolderEntries, ClientError> {
        let what = match folder {
            "" => "cannot list the files".to_owned(),
            path => format!("cannot list {}", display_safe(path)),
        };
        let folder =
            parse_folder(folder).map_err(|refusal| ClientError::refused(&*what, refusal))?;
        let handle = self.handle()?;
        match exchange::list(&handle.connection, folder, handle.patience).await {
            Ok(entries) => Ok(FolderEntries { entries, what }),
            Err(error) => Err(ClientError::stream(what, error)),
        }
    }

    /// Makes sure that the server lets this client change something; `what` says what fails else.
    ///
    /// # Errors
    /// [`ClientError::ReadOnly`].
    pub fn may_change(&self, what: &str) -> Result<(), ClientError> {
        if self.welcome()?.upload {
            Ok(())
        } else {
            Err(ClientError::ReadOnly { what: what.to_owned() })
        }
    }

    /// Removes a file, or an empty folder.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn remove(&self, path: &FilePath) -> Result<(), ClientError> {
        let handle = self.handle()?;
        let removed = exchange::remove(&handle.connection, path.clone(), handle.patience).await;
        let what = || format!("cannot remove {}", display_safe(path.as_str()));
        removed.map_err(|error| ClientError::stream(what(), error))
    }

    /// Makes a folder, and those it lies in; whether it is new.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_folder(&self, path: &FilePath) -> Result<bool, ClientError> {
        let handle = self.handle()?;
        let (connection, patience) = (&handle.connection, handle.patience);
        let made = exchange::make_folder(connection, path.clone(), None, patience).await;
        let what = || format!("cannot make {}", display_safe(path.as_str()));
        made.map_err(|error| ClientError::stream(what(), error))
    }

    /// Gives a file or folder another path, as it is written: one that ends with a slash, and one that is a folder,
    /// take it under its name. Its new path.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rename(
        &self,
        from: &FilePath,
        to: &str,
        replace: bool,
    ) -> Result<FilePath, ClientError> {
        let shown = display_safe(from.as_str());
        let what = || format!("cannot move {shown} to {}", display_safe(to));
        let failed = |error| ClientError::stream(what(), error);
        let refused = |refusal| ClientError::refused(what(), refusal);
        self.may_change(&what())?;
        let into = |typed: &str| -> Result<FilePath, ClientError> {
            let folder = parse_folder(typed).map_err(refused)?;
            folder.join(from.file_name()).map_err(|rule| refused(rule.into()))
        };
        let handle = self.handle()?;
        let rename = async |to: &FilePath| {
            let (connection, patience) = (&handle.connection, handle.patience);
            exchange::rename(connection, from.clone(), to.clone(), replace, patience).await
        };
        let mut target = match to {
            "" | "." => into("")?,
            typed if typed.ends_with('/') => into(typed)?,
            typed => FilePath::parse(typed).map_err(|rule| refused(rule.into()))?,
        };
        let mut moved = rename(&target).await;
        let exists = RefusalCode::Exists;
        if matches!(&moved, Err(StreamError::Refused(refusal)) if refusal.code == exists)
            && target.as_str() == to
            && target != *from
            && self.is_folder(&target).await
        {
            target = into(target.as_str())?;
            moved = rename(&target).await;
        }
        moved.map_err(failed)?;
        Ok(target)
    }

    async fn ask(&self, request: &Request, what: &str) -> Result<ResponseReader, ClientError> {
        let handle = self.handle()?;
        let answer =
            ResponseReader::send_request(&handle.connection, request, handle.patience).await;
        answer.map_err(|error| ClientError::stream(what, error))
    }

    async fn is_folder(&self, path: &FilePath) -> bool {
        match self.list(path.as_str()).await {
            Ok(mut entries) => entries.next().await.is_ok(),
            Err(_) => false,
        }
    }
}

impl ClientRows {
    /// The next client, or `None` after the last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<ClientRow>, ClientError> {
        let failed = |error| ClientError::stream(NO_STATUS, error);
        match self.0.next::<PlainEnd>().await.map_err(failed)? {
            ResponsePart::Reply(Reply::Client(row)) => Ok(Some(row)),
            ResponsePart::Reply(_) => Err(failed(unexpected_reply("something else than a client"))),
            ResponsePart::End(_) => Ok(None),
        }
    }
}

impl FolderEntries {
    /// The next entry, or what is known after the last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<ListItem, ClientError> {
        let next = self.entries.next().await;
        next.map_err(|error| ClientError::stream(&*self.what, error))
    }
}

/// A file or folder of the server as it is written: a folder's slash may stay. `verb` says what fails else.
///
/// # Errors
/// [`ClientError::Refused`].
pub fn parse_path(typed: &str, verb: &str) -> Result<FilePath, ClientError> {
    FilePath::parse(typed.strip_suffix('/').unwrap_or(typed)).map_err(|rule| {
        ClientError::refused(format!("cannot {verb} {}", display_safe(typed)), Refusal::from(rule))
    })
}
