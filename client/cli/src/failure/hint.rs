//! What a person can do about an error. Texts alone; knows no exit codes.

use std::io;
use std::path::Path;

use quiver_client::ClientError;
use quiver_client::error::{InvalidRequest, UntrustedServer};
use quiver_client::journal::UnfinishedShare;
use quiver_client::known_servers::KnownServersError;
use quiver_protocol::RefusalCode;
use quiver_protocol::text::display_path;
use quiver_transfer::get::GetError;
use quiver_transfer::put::PutError;
use quiver_transport::{IdentityError, StreamError, TrustError};

use super::Failure;

impl Failure {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Client(error) => of_client(error),
            Self::Line { line, failure } => {
                let hint = failure.hint().map_or_else(String::new, |hint| hint + "; ");
                Some(format!("{hint}/say {} sends the line as a message", line.trim()))
            }
            Self::Interrupted(share) | Self::Terminated(share) => share.map(how_to_resume),
            Self::Config(_) | Self::Output(_) | Self::System { .. } => None,
        }
    }
}

fn of_client(error: &ClientError) -> Option<String> {
    let hint = match error {
        ClientError::Invalid(request) => return of_request(request).map(str::to_owned),
        ClientError::Resumable { error, share } => {
            let hint = of_client(error).map_or_else(String::new, |hint| hint + "; ");
            return Some(hint + &how_to_resume(*share));
        }
        ClientError::NoJournalFolder(_) => "XDG_STATE_HOME names a folder for them",
        ClientError::Certificate(IdentityError::Read { .. }) => {
            "make one with scripts/generate-certs, or copy the server's server.pem"
        }
        ClientError::Certificate(_) => "--cert takes the server's server.pem",
        ClientError::Identity(IdentityError::SharedKey(path)) => return Some(chmod(path)),
        ClientError::Identity(_) => "XDG_DATA_HOME says where the client's own key is kept",
        ClientError::SharedPasswordFile(path) => return Some(chmod(path)),
        ClientError::Resolve { .. } => "is the name spelt right? --server takes an address too",
        ClientError::Unreachable { .. } => {
            "is the server running, and is its UDP port open? --server says where it is"
        }
        ClientError::Untrusted(untrusted) => return of_untrusted(untrusted),
        ClientError::Refused { refusal, .. } => {
            return refusal_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Get { source: GetError::Stream(StreamError::Refused(refusal)), .. } => {
            return refusal_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Put { source: PutError::Stream(StreamError::Refused(refusal)), .. } => {
            return put_hint(refusal.code).map(str::to_owned);
        }
        ClientError::Put { source: PutError::Changed, .. } => {
            "the file was written to meanwhile; try again"
        }
        ClientError::Put { source: PutError::Mismatch, .. } => {
            "do not trust what stands there; put it again with --overwrite --no-resume"
        }
        ClientError::Source { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "you may not read it"
        }
        ClientError::NotAFile { is: "a folder", .. } => "put -r takes folders",
        ClientError::NotAFile { .. } => "put - --as NAME stores what comes from standard input",
        ClientError::FolderExists { .. } => "mkdir -p takes it as it is",
        ClientError::ReadOnly { .. } => {
            "whoever runs the server can allow it: --allow-upload, or user add NAME --may upload"
        }
        ClientError::Get {
            source: GetError::Mismatch | GetError::Length { .. }, streamed, ..
        } => {
            if *streamed {
                "what was written to standard output is not the file: do not use it"
            } else {
                "nothing was stored; try again"
            }
        }
        ClientError::Get { source: GetError::Disk(error), .. }
        | ClientError::Target { source: error, .. } => {
            return disk_hint(error).map(str::to_owned);
        }
        ClientError::Exists(_) => "--overwrite replaces it; -o DIR stores elsewhere",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// How to ask otherwise.
fn of_request(request: &InvalidRequest) -> Option<&'static str> {
    Some(match request {
        InvalidRequest::DuplicateDownload(_) => "fetch one of them with -o into another folder",
        InvalidRequest::DuplicateUpload(_) => "put one of them with --to into another folder",
        InvalidRequest::DuplicateTreePath(_) => "two commands with different folders can do it",
        InvalidRequest::PlanTooLarge => "several commands can do it, folder by folder",
        InvalidRequest::TreeToStream => "-o DIR stores the files in a folder",
        InvalidRequest::PatternTooWide => "name a folder before the first *",
        InvalidRequest::StreamWithoutName => "put - --as NAME gives it one",
        InvalidRequest::StreamWithPlan => "put - --as NAME stores it",
        InvalidRequest::NameForSeveral => "put them one by one",
        InvalidRequest::PathForName(_) => "--to DIR says the folder",
        InvalidRequest::NotUtf8(_) => "--as NAME stores it under another name",
        InvalidRequest::RootNotUtf8(_) => "another name, here, would do",
        InvalidRequest::EntryNotUtf8(_) => "put FILE --as NAME stores it under another name",
        InvalidRequest::AlreadyRunning(_) => "Ctrl-C on an empty line cancels what is under way",
        InvalidRequest::NoUnfinishedTransfer(_) => "quiver transfers lists what is",
        InvalidRequest::WrongServer { .. } => {
            "--server says where that one is; quiver transfers --clean forgets it"
        }
        InvalidRequest::JournalEntry { .. } => "remove it",
        InvalidRequest::MissingName => "--name takes one",
        InvalidRequest::LoginName(_) => "--name NAME says who you are",
        InvalidRequest::Name(_)
        | InvalidRequest::PasswordTooLong(_)
        | InvalidRequest::UnknownTransfer(_)
        | InvalidRequest::NotPausable(_)
        | InvalidRequest::NotConnected => return None,
    })
}

fn how_to_resume(share: UnfinishedShare) -> String {
    match share {
        UnfinishedShare::Percent(share) => {
            format!("the same command, or quiver resume, goes on at {share} %")
        }
        UnfinishedShare::Several => "quiver resume goes on with the rest".to_owned(),
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

fn of_untrusted(untrusted: &UntrustedServer) -> Option<String> {
    Some(match untrusted {
        UntrustedServer::CertificateMismatch { .. } => {
            "copy the server's present server.pem if it was renewed; else somebody is in between"
                .to_owned()
        }
        UntrustedServer::FingerprintChanged { file, line, server, expected, .. } => format!(
            "somebody may be in between. If the server was set up anew, remove line {line} of {}:\n  \
                 {server} {expected}",
            display_path(file)
        ),
        UntrustedServer::UnknownServer { .. } | UntrustedServer::Declined(_) => {
            "--cert FILE trusts the server with that certificate".to_owned()
        }
        UntrustedServer::InvalidCertificate { why: TrustError::NotYetValid(_), .. } => {
            "is this machine's clock right?".to_owned()
        }
        UntrustedServer::InvalidCertificate { why: TrustError::Expired(_), .. } => {
            "is this machine's clock right? else the server needs a new certificate".to_owned()
        }
        UntrustedServer::InvalidCertificate { .. } => return None,
        UntrustedServer::KnownServers(KnownServersError::Line { .. }) => {
            "correct or remove that line".to_owned()
        }
        UntrustedServer::KnownServers(_) => "--cert FILE does without that file".to_owned(),
    })
}
