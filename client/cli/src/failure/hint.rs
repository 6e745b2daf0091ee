//! Hints: what the user can do about an error. Only texts, no exit codes.

mod peers;

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use quiver_client::ClientError;
use quiver_client::error::{InvalidRequest, UntrustedServer};
use quiver_client::journal::UnfinishedShare;
use quiver_client::known_servers::KnownServersError;
use quiver_control::{CommandText, SteerError};
use quiver_protocol::RefusalCode;
use quiver_protocol::text::{display_path, display_safe};
use quiver_transfer::get::GetError;
use quiver_transfer::put::PutError;
use quiver_transport::{IdentityError, StreamError, TrustError};

use super::{Failure, TrustListError};

impl Failure {
    /// What the user can do about the failure, if anything.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Client(error) => client_hint(error),
            Self::MaybeMessage { line, failure } => {
                let hint = failure.hint().map_or_else(String::new, |hint| hint + "; ");
                Some(format!("{hint}/say {} sends the line as a message", line.trim()))
            }
            Self::AtLine { failure, .. } => failure.hint(),
            Self::Offer { number, error } => Some(peers::offer_hint(*number, error)),
            Self::Continuable { hint } => Some(hint.clone()),
            Self::Interrupted(share) | Self::Terminated(share) | Self::Cancelled(share) => {
                share.map(resume_hint)
            }
            Self::TrustList(error) => trust_list_hint(error).map(str::to_owned),
            Self::Steering(error) => steering_hint(error).map(str::to_owned),
            Self::Config(_) | Self::Output(_) | Self::System { .. } | Self::File { .. } => None,
        }
    }
}

fn trust_list_hint(error: &TrustListError) -> Option<&'static str> {
    match error {
        TrustListError::Folder(_) => Some("set XDG_STATE_HOME to a folder for them"),
        TrustListError::File(KnownServersError::Line { .. }) => Some("correct or remove that line"),
        TrustListError::File(_) => None,
        TrustListError::Unknown(_) => Some("quiver trust lists the known servers"),
    }
}

fn steering_hint(error: &SteerError) -> Option<&'static str> {
    match error {
        SteerError::Unknown(_) => Some("quiver transfers lists running transfers"),
        SteerError::Refused { .. } => None,
        SteerError::System(error) => (error.kind() == io::ErrorKind::PermissionDenied)
            .then_some("chmod 700 that folder, if it is yours"),
    }
}

fn client_hint(error: &ClientError) -> Option<String> {
    let hint = match error {
        ClientError::Invalid(request) => return request_hint(request).map(str::to_owned),
        ClientError::Resumable { error, share } => {
            let hint = client_hint(error).map_or_else(String::new, |hint| hint + "; ");
            return Some(hint + &resume_hint(*share));
        }
        ClientError::Peer(error) => return peers::hint(error),
        ClientError::NoJournalFolder(_) => "set XDG_STATE_HOME to a folder for them",
        ClientError::Certificate(IdentityError::Read { .. }) => {
            "make one with scripts/generate-certs, or copy the server's server.pem"
        }
        ClientError::Certificate(_) => "give --cert the server's server.pem",
        ClientError::Identity(IdentityError::SharedKey(path)) => return Some(chmod_hint(path)),
        ClientError::Identity(_) => "set XDG_DATA_HOME to a folder for the client's key",
        ClientError::SharedPasswordFile(path) => return Some(chmod_hint(path)),
        ClientError::Resolve { .. } => "check the spelling, or give --server an IP address",
        ClientError::Unreachable { .. } => {
            "check that the server runs and its UDP port is open; --server sets the address"
        }
        ClientError::Untrusted(untrusted) => return trust_hint(untrusted),
        ClientError::Stream { source: StreamError::Refused(refusal), .. }
        | ClientError::Refused { refusal, .. } => {
            return refusal_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Get { source: GetError::Stream(StreamError::Refused(refusal)), .. } => {
            return refusal_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. } => {
            return put_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Put { source: PutError::Changed, .. } => {
            "the file was changed during the transfer; try again"
        }
        ClientError::Put { source: PutError::Mismatch, .. } => {
            "do not use the stored file; put it again with --overwrite --no-resume"
        }
        ClientError::Source { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "check the file's permissions"
        }
        ClientError::NotAFile { is: "a folder", .. } => "put -r stores folders",
        ClientError::NotAFile { .. } => "put - --as NAME stores standard input",
        ClientError::FolderExists { .. } => "mkdir -p accepts folders that exist",
        ClientError::ReadOnly { .. } => {
            "the server's operator can allow it: --allow-upload, or user add NAME --may upload"
        }
        ClientError::Get {
            source: GetError::Mismatch | GetError::Length { .. }, streamed, ..
        } => {
            if *streamed {
                "do not use the output: it is not the file's content"
            } else {
                "nothing was stored; try again"
            }
        }
        ClientError::Get { source: GetError::Disk(error), .. }
        | ClientError::Target { source: error, .. } => {
            return disk_hint(error).map(str::to_owned);
        }
        ClientError::OutputFolder { path, source } => return folder_hint(path, source),
        ClientError::ServerFolder { folder, refusal, .. } => {
            return Some(match refusal.code {
                RefusalCode::NotFound => format!("{} makes it", words("quiver", ["mkdir", folder])),
                _ => "--to needs a folder".to_owned(),
            });
        }
        ClientError::Exists(_) => "--overwrite replaces it; -o DIR stores elsewhere",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// How to ask differently.
fn request_hint(request: &InvalidRequest) -> Option<&'static str> {
    Some(match request {
        InvalidRequest::DuplicateDownload(_) => "fetch one of them into another folder with -o DIR",
        InvalidRequest::DuplicateUpload(_) => "put one of them into another folder with --to DIR",
        InvalidRequest::DuplicateTreePath(_) => "use two commands with different folders",
        InvalidRequest::PlanTooLarge => "use several commands, one for each folder",
        InvalidRequest::TreeToStream => "-o DIR stores the files in a folder",
        InvalidRequest::PatternTooWide => "name a folder before the first *",
        InvalidRequest::StreamWithoutName => "put - --as NAME sets it",
        InvalidRequest::StreamWithPlan => "leave out -r, --dry-run, --keep-both and --skip",
        InvalidRequest::NameForSeveral => "put each with a command of its own",
        InvalidRequest::PathForName(_) | InvalidRequest::NameForRoot => "--to DIR sets the folder",
        InvalidRequest::PathForLocalName(_) => "-o DIR sets the folder",
        InvalidRequest::TooManyEntries => "use several commands, one for each folder",
        InvalidRequest::NotUtf8(_) => "--as NAME stores it under another name",
        InvalidRequest::RootNotUtf8(_) => "rename it first",
        InvalidRequest::AlreadyRunning(_) => "Ctrl-C on an empty line cancels running transfers",
        InvalidRequest::NoUnfinishedTransfer(_) => "quiver transfers lists unfinished transfers",
        InvalidRequest::WrongServer { .. } => {
            "give --server that server's address; quiver transfers --clean forgets the transfer"
        }
        InvalidRequest::JournalEntry { .. } => "remove that file",
        InvalidRequest::MissingName => "--name NAME sets it",
        InvalidRequest::LoginName(_) => "--name NAME sets another name",
        InvalidRequest::Name(_)
        | InvalidRequest::PasswordTooLong(_)
        | InvalidRequest::UnknownTransfer(_)
        | InvalidRequest::NotPausable(_)
        | InvalidRequest::NotConnected => return None,
    })
}

fn resume_hint(share: UnfinishedShare) -> String {
    match share {
        UnfinishedShare::Percent(share) => {
            format!("the same command, or quiver resume, continues at {share} %")
        }
        UnfinishedShare::Several => "quiver resume continues the rest".to_owned(),
    }
}

fn chmod_hint(path: &Path) -> String {
    format!("chmod 600 {}", display_path(path))
}

fn refusal_hint(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::NotFound => "list shows the server's files",
        RefusalCode::NotAFile => "list PATH shows a folder's files, get -r PATH fetches them",
        RefusalCode::NoSuchClient => "status lists the connected clients",
        RefusalCode::NotReachable => {
            "the other client must be at its prompt, or run quiver receive"
        }
        RefusalCode::UnknownCommand => "ask the server's operator to install a newer version",
        RefusalCode::NoRelay => "the server's operator has turned off the relay",
        RefusalCode::NameTaken => "choose another name with --name",
        RefusalCode::SignInRequired => "--password-file FILE signs in without a terminal",
        RefusalCode::SignInFailed => "check the name and the password",
        RefusalCode::Changed => "the file was changed during the transfer; try again",
        RefusalCode::ShuttingDown | RefusalCode::RateLimited => "try again later",
        RefusalCode::Exists => "--overwrite replaces a file",
        RefusalCode::NotEmpty => "remove its files and folders first",
        RefusalCode::NoSpace => "free space with rm, or ask the server's operator",
        _ => return None,
    })
}

/// The hint for a refused upload, where a code may need another one.
fn put_hint(code: RefusalCode) -> Option<&'static str> {
    Some(match code {
        RefusalCode::NotFound => "--to needs an existing folder; mkdir makes one",
        RefusalCode::NotAFolder => "--to needs a folder",
        RefusalCode::NotAFile => "--as NAME stores it under another name",
        RefusalCode::Exists => "--overwrite replaces a file; --as NAME stores under another name",
        _ => return refusal_hint(code),
    })
}

fn disk_hint(error: &io::Error) -> Option<&'static str> {
    Some(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, or store elsewhere with -o DIR"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "store elsewhere with -o DIR"
        }
        io::ErrorKind::NotFound => "make that folder first, or name another one",
        _ => return None,
    })
}

/// The hint for the folder of `get -o`, which may have been meant as the name of a file.
fn folder_hint(path: &Path, error: &io::Error) -> Option<String> {
    let is_file_name = error.kind() == io::ErrorKind::NotADirectory || path.extension().is_some();
    let named_as_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().and_then(OsStr::to_str);
    let Some(name) = name.filter(|_| is_file_name && !named_as_folder) else {
        return disk_hint(error).map(str::to_owned);
    };
    let mut flags = vec!["--as", name];
    let parent = path.parent().and_then(Path::to_str).filter(|parent| !parent.is_empty());
    if let Some(parent) = parent {
        flags.splice(0..0, ["-o", parent]);
    }
    Some(format!("{} stores a single file under that name", words("get FILE", flags)))
}

/// A command line to paste into a shell, with escaped names.
fn words<'a>(command: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = CommandText::new(command);
    text.words(words.into_iter().map(display_safe));
    text.finish()
}

fn trust_hint(untrusted: &UntrustedServer) -> Option<String> {
    Some(match untrusted {
        UntrustedServer::CertificateMismatch { .. } => {
            "copy the server's new server.pem if it was renewed; if not, the connection may be \
             intercepted"
                .to_owned()
        }
        UntrustedServer::FingerprintChanged { file, line, server, expected, .. } => format!(
            "the connection may be intercepted. If the server has a new certificate: quiver trust forget {server}, \
             or remove line {line} of {}:\n  \
                 {server} {expected}",
            display_path(file)
        ),
        UntrustedServer::NoKnownKey(_) => {
            "contacts belong to a server: connect to it once, or give --cert FILE".to_owned()
        }
        UntrustedServer::UnknownServer { .. } | UntrustedServer::Declined(_) => {
            "--cert FILE trusts the server with that certificate".to_owned()
        }
        UntrustedServer::OtherFingerprint { .. } => {
            "compare it with `quiver-server cert show` on the server; if it differs, the connection may be intercepted"
                .to_owned()
        }
        UntrustedServer::InvalidCertificate { why: TrustError::NotYetValid(_), .. } => {
            "check this machine's clock".to_owned()
        }
        UntrustedServer::InvalidCertificate { why: TrustError::Expired(_), .. } => {
            "check this machine's clock; if it is right, the server needs a new certificate"
                .to_owned()
        }
        UntrustedServer::InvalidCertificate { .. } => return None,
        UntrustedServer::KnownServers(KnownServersError::Line { .. }) => {
            "correct or remove that line".to_owned()
        }
        UntrustedServer::KnownServers(_) => "--cert FILE works without that file".to_owned(),
    })
}
