//! What a person can do about an error. Texts alone; knows no exit codes.

use std::io;
use std::path::Path;

use quiver_protocol::RefusalCode;
use quiver_protocol::text::display_path;
use quiver_transport::{IdentityError, StreamError};

use super::Failure;
use quiver_client::action::{GetError, PutError};
use quiver_client::journal::Share;

impl Failure {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Usage { hint, .. } => return hint.clone(),
            Self::Line { line, failure } => {
                let hint = failure.hint().map_or_else(String::new, |hint| hint + "; ");
                return Some(format!("{hint}/say {} sends the line as a message", line.trim()));
            }
            Self::GoesOn { failure, share } => {
                let hint = failure.hint().map_or_else(String::new, |hint| hint + "; ");
                return Some(hint + &how_to_go_on(*share));
            }
            Self::NoTransfers(_) => "XDG_STATE_HOME names a folder for them",
            Self::Certificate(IdentityError::Read { .. }) => {
                "make one with scripts/generate-certs, or copy the server's server.pem"
            }
            Self::Certificate(_) => "--cert takes the server's server.pem",
            Self::Identity(IdentityError::SharedKey(path)) => return Some(chmod(path)),
            Self::Identity(_) => "XDG_DATA_HOME says where the client's own key is kept",
            Self::SharedPasswordFile(path) => return Some(chmod(path)),
            Self::Resolve { .. } => "is the name spelt right? --server takes an address too",
            Self::Unreachable { .. } => {
                "is the server running, and is its UDP port open? --server says where it is"
            }
            Self::Untrusted(untrusted) => return untrusted.hint(),
            Self::Refused { refusal, .. } => return refusal_hint(refusal.code).map(str::to_owned),
            Self::Get { source: GetError::Stream(StreamError::Refused(refusal)), .. } => {
                return refusal_hint(refusal.code).map(str::to_owned);
            }
            Self::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. } => {
                return put_hint(refusal.code).map(str::to_owned);
            }
            Self::Put { source: PutError::Changed, .. } => {
                "the file was written to meanwhile; try again"
            }
            Self::Put { source: PutError::Mismatch, .. } => {
                "do not trust what stands there; put it again with --overwrite --no-resume"
            }
            Self::Source { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "you may not read it"
            }
            Self::NotAFile { is: "a folder", .. } => "put -r takes folders",
            Self::NotAFile { .. } => "put - --as NAME stores what comes from standard input",
            Self::AlreadyThere { .. } => "mkdir -p takes it as it is",
            Self::ReadOnly { .. } => {
                "whoever runs the server can allow it: --allow-upload, or user add NAME --may upload"
            }
            Self::Get {
                source: GetError::Mismatch | GetError::Length { .. }, streamed, ..
            } => {
                if *streamed {
                    "what was written to standard output is not the file: do not use it"
                } else {
                    "nothing was stored; try again"
                }
            }
            Self::Get { source: GetError::Disk(error), .. }
            | Self::Target { source: error, .. } => {
                return disk_hint(error).map(str::to_owned);
            }
            Self::Exists(_) => "--overwrite replaces it; -o DIR stores elsewhere",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

fn how_to_go_on(share: Share) -> String {
    match share {
        Share::Of(share) => format!("the same command, or quiver resume, goes on at {share} %"),
        Share::Several => "quiver resume goes on with the rest".to_owned(),
    }
}

fn chmod(path: &Path) -> String {
    format!("chmod 600 {}", display_path(path))
}

fn refusal_hint(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::NotFound => "list shows what there is",
        RefusalCode::NotAFile => "list PATH shows what is in a folder, get -r PATH fetches it",
        RefusalCode::NameTaken => "--name takes another name",
        RefusalCode::SignInRequired => "--password-file FILE signs in without a terminal",
        RefusalCode::SignInFailed => "check the name and the password",
        RefusalCode::Changed => "the file was written to meanwhile; try again",
        RefusalCode::ShuttingDown | RefusalCode::RateLimited => "try again later",
        RefusalCode::Exists => "--overwrite replaces a file",
        RefusalCode::NotEmpty => "remove what is in it first",
        RefusalCode::NoSpace => "rm makes room, or ask whoever runs the server",
        _ => return None,
    })
}

/// Of a put the same codes mean other things to do.
fn put_hint(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::NotFound => "--to takes a folder that is there; mkdir makes one",
        RefusalCode::NotAFolder => "--to takes a folder",
        RefusalCode::NotAFile => "--as NAME stores it under another name",
        RefusalCode::Exists => "--overwrite replaces a file; --as NAME stores under another name",
        _ => return refusal_hint(code),
    })
}

fn disk_hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room, or store elsewhere with -o DIR"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "store elsewhere with -o DIR"
        }
        io::ErrorKind::NotFound => "-o takes a folder that exists",
        _ => return None,
    })
}
