//! The destination of a download, checked before the first request: an existing folder, with or without a new name for
//! the only file, or a stream.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, Refusal, RefusalCode};

use super::StreamTarget;
use crate::error::{ClientError, InvalidRequest};
use crate::request::Destination;
use crate::typed_path;

/// Where a download stores its files.
#[derive(Debug)]
pub(super) struct CheckedDestination {
    /// The folder; `None` for a stream.
    pub(super) folder: Option<PathBuf>,
    /// The name of the only file or folder, if it is a new one.
    pub(super) stored_as: Option<String>,
    pub(super) stream: Option<StreamTarget>,
}

impl CheckedDestination {
    /// Checks the folder, and the new name for what `paths` name.
    ///
    /// # Errors
    /// [`ClientError::OutputFolder`], [`InvalidRequest`], and [`ClientError::Refused`] for a name that breaks the rules.
    pub(super) fn check(destination: Destination, paths: &[String]) -> Result<Self, ClientError> {
        let (folder, stored_as) = match destination {
            Destination::Stream(stream) => {
                let stream = Some(StreamTarget::new(stream));
                return Ok(Self { folder: None, stored_as: None, stream });
            }
            Destination::Folder(folder) => (folder, None),
            Destination::Renamed { folder, name } => (folder, Some(name)),
        };
        if let Some(name) = &stored_as {
            if paths.len() > 1 {
                return Err(InvalidRequest::NameForSeveral.into());
            }
            check_name(name)?;
        }
        check_folder(&folder)?;
        Ok(Self { folder: Some(folder), stored_as, stream: None })
    }
}

fn check_name(name: &str) -> Result<(), ClientError> {
    if name.contains('/') {
        return Err(InvalidRequest::PathForLocalName(name.to_owned()).into());
    }
    let refused = |rule| {
        ClientError::refused(format!("cannot store {}", display_safe(name)), Refusal::from(rule))
    };
    FilePath::parse(name).map(drop).map_err(refused)
}

/// Only whether there is such a folder: whether files can be stored in it is seen when they are.
fn check_folder(folder: &Path) -> Result<(), ClientError> {
    match Dir::open_ambient_dir(folder, cap_std::ambient_authority()) {
        Err(source) if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(ClientError::OutputFolder { path: folder.to_owned(), source })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Parses the path of a file to download.
pub(super) fn parse_source(typed: &str) -> Result<FilePath, ClientError> {
    if typed_path::strict(typed).is_empty() {
        return Err(root_as_file(typed));
    }
    typed_path::parse_path(typed, "get")
}

/// The error for the root, or an empty text, in place of a file.
pub(super) fn root_as_file(typed: &str) -> ClientError {
    match typed_path::parse_path(typed, "get") {
        Err(error) if typed.is_empty() => error,
        _ => {
            let what = format!("cannot get {}", display_safe(typed));
            let refusal = Refusal::new(RefusalCode::NotAFile, "it is the server's root folder");
            ClientError::refused(what, refusal)
        }
    }
}
