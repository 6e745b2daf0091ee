//! The small commands of a client, one request and one response each, from an interface's call to the frames.
//! Requests that transfers send too are in `exchange`.

use quiver_protocol::reply::{ClientRow, EntryKind};
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, PlainEnd, Refusal, RefusalCode, Reply, Request};
use quiver_transport::StreamError;

use crate::client::Client;
use crate::error::ClientError;
use crate::exchange::{self, Entries, ListItem, ResponsePart, ResponseReader, unexpected_reply};
use crate::reconnecting::BoundHandle;
use crate::seen_names::{FolderNames, SeenChange};
pub use crate::typed_path::parse_path;
use crate::typed_path::{self, parse_folder};

const NO_STATUS: &str = "cannot list the clients";

/// The clients that are or were connected, by number, as the server sends them.
#[derive(Debug)]
pub struct ClientRows {
    response: ResponseReader,
    client: Client,
    /// The connected ones so far.
    connected: Vec<String>,
    _bound: BoundHandle,
}

/// A folder's entries, in byte order, as the server sends them.
#[derive(Debug)]
pub struct FolderEntries {
    entries: Entries,
    what: String,
    client: Client,
    /// The names so far.
    names: FolderNames,
    _bound: BoundHandle,
}

impl Client {
    /// Sends a message, and returns the server's response.
    ///
    /// # Errors
    /// [`ClientError`], also if the message is longer than the server's limit.
    pub async fn message(&self, text: &str) -> Result<String, ClientError> {
        let what = "cannot send the message";
        let request = Request::Message { text: text.to_owned() };
        let (length, limit) = (request.encode().len(), self.welcome()?.limits.message);
        if length > limit {
            let why = format!("it has {length} bytes where at most {limit} are allowed");
            return Err(ClientError::refused(what, Refusal::new(RefusalCode::TooLarge, why)));
        }
        let (response, _bound) = self.send_request(&request, what).await?;
        match response.single_reply().await {
            Ok(Reply::Text { text }) => Ok(text),
            Ok(_) => Err(ClientError::stream(what, unexpected_reply("expected a text"))),
            Err(error) => Err(ClientError::stream(what, error)),
        }
    }

    /// Requests the clients that are or were connected.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self) -> Result<ClientRows, ClientError> {
        let (response, bound) = self.send_request(&Request::Status, NO_STATUS).await?;
        Ok(ClientRows { response, client: self.clone(), connected: Vec::new(), _bound: bound })
    }

    /// Requests a folder's entries; the empty text is the server's root.
    ///
    /// # Errors
    /// [`ClientError`], also if the text is not a valid path of a folder.
    pub async fn list(&self, folder: &str) -> Result<FolderEntries, ClientError> {
        let what = match folder {
            "" => "cannot list the files".to_owned(),
            path => format!("cannot list {}", display_safe(path)),
        };
        let folder =
            parse_folder(folder).map_err(|refusal| ClientError::refused(&*what, refusal))?;
        self.list_folder(folder, what).await
    }

    /// Requests the entries of a folder; `what` says what fails otherwise.
    pub(crate) async fn list_folder(
        &self,
        folder: FolderPath,
        what: String,
    ) -> Result<FolderEntries, ClientError> {
        let handle = self.command_handle().await?;
        let (client, names) = (self.clone(), FolderNames::new(folder.as_str()));
        match exchange::list(&handle.connection, folder, handle.timeout).await {
            Ok(entries) => Ok(FolderEntries { entries, what, client, names, _bound: handle }),
            Err(error) => Err(ClientError::stream(what, error)),
        }
    }

    /// Checks that the server allows this client to change files; `what` says what fails otherwise.
    ///
    /// # Errors
    /// [`ClientError::ReadOnly`].
    pub fn require_upload_permission(&self, what: &str) -> Result<(), ClientError> {
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
        let handle = self.command_handle().await?;
        let removed = exchange::remove(&handle.connection, path.clone(), handle.timeout).await;
        let what = || format!("cannot remove {}", display_safe(path.as_str()));
        removed.map_err(|error| ClientError::stream(what(), error))?;
        self.note(SeenChange::Removed(path.to_string())).await;
        Ok(())
    }

    /// Creates a folder with its parents, and returns whether the folder is new.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_folder(&self, path: &FilePath) -> Result<bool, ClientError> {
        let handle = self.command_handle().await?;
        let (connection, timeout) = (&handle.connection, handle.timeout);
        let made = exchange::make_folder(connection, path.clone(), None, timeout).await;
        let what = || format!("cannot make {}", display_safe(path.as_str()));
        let is_new = made.map_err(|error| ClientError::stream(what(), error))?;
        self.note(SeenChange::Added { path: path.to_string(), kind: EntryKind::Folder }).await;
        Ok(is_new)
    }

    /// Renames a file or folder, and returns its new path. If `to` ends with a slash or is a folder, the file moves
    /// into that folder under its present name.
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
        self.require_upload_permission(&what())?;
        let in_folder = |typed: &str| -> Result<FilePath, ClientError> {
            let folder = parse_folder(typed).map_err(refused)?;
            folder.join(from.file_name()).map_err(|rule| refused(rule.into()))
        };
        let handle = self.command_handle().await?;
        let rename = async |to: &FilePath| {
            exchange::rename(&handle.connection, from.clone(), to.clone(), replace).await
        };
        let is_folder_named = typed_path::names_folder(to);
        let mut target = if is_folder_named {
            in_folder(to)?
        } else {
            typed_path::parse_file(to).map_err(refused)?
        };
        let mut renamed = rename(&target).await;
        let exists = RefusalCode::Exists;
        if matches!(&renamed, Err(StreamError::Refused(refusal)) if refusal.code == exists)
            && !is_folder_named
            && target != *from
            && self.is_folder(&target).await
        {
            target = in_folder(target.as_str())?;
            renamed = rename(&target).await;
        }
        renamed.map_err(failed)?;
        self.note(SeenChange::Moved { from: from.to_string(), to: target.to_string() }).await;
        Ok(target)
    }

    async fn send_request(
        &self,
        request: &Request,
        what: &str,
    ) -> Result<(ResponseReader, BoundHandle), ClientError> {
        let handle = self.command_handle().await?;
        let response =
            ResponseReader::send_request(&handle.connection, request, handle.timeout).await;
        let response = response.map_err(|error| ClientError::stream(what, error))?;
        Ok((response, handle))
    }

    /// Notes names of this client's server.
    async fn note(&self, change: SeenChange) {
        let seen_names = self.reporter().seen_names();
        seen_names.note(&self.settings().server, change);
        seen_names.save_if_due().await;
    }

    async fn is_folder(&self, path: &FilePath) -> bool {
        match self.list(path.as_str()).await {
            Ok(mut entries) => entries.next().await.is_ok(),
            Err(_) => false,
        }
    }
}

impl ClientRows {
    /// The next client; `None` after the last one.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<ClientRow>, ClientError> {
        let failed = |error| ClientError::stream(NO_STATUS, error);
        match self.response.next::<PlainEnd>().await.map_err(failed)? {
            ResponsePart::Reply(Reply::Client(row)) => {
                if row.end.is_none() {
                    self.connected.push(row.name.to_string());
                }
                Ok(Some(row))
            }
            ResponsePart::Reply(_) => Err(failed(unexpected_reply("expected a client"))),
            ResponsePart::End(_) => {
                self.client.note(SeenChange::Clients(std::mem::take(&mut self.connected))).await;
                Ok(None)
            }
        }
    }
}

impl FolderEntries {
    /// The next entry, or the end of the list.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<ListItem, ClientError> {
        let next = self.entries.next().await;
        match &next {
            Ok(ListItem::Entry(entry)) => self.names.push(entry.path.file_name(), entry.kind),
            Ok(ListItem::End(_)) => {
                self.client.note(SeenChange::Listed(self.names.clone())).await;
            }
            Err(_) => {}
        }
        next.map_err(|error| ClientError::stream(&*self.what, error))
    }
}
