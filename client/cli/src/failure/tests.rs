//! Exit codes and texts of failures, as a person at a terminal gets them.

use std::path::PathBuf;

use quiver_protocol::{Refusal, RefusalCode};
use quiver_transfer::get::GetError;
use quiver_transport::{ConnectionEnd, StreamError};

use super::*;

fn stream(what: &str, error: StreamError) -> Failure {
    ClientError::stream(what, error).into()
}

#[test]
fn wire_codes_have_the_documented_exit_codes() {
    use RefusalCode as Code;
    for (code, exit) in [
        (Code::Busy, 6),
        (Code::SignInFailed, 5),
        (Code::SignInRequired, 5),
        (Code::BadName, 5),
        (Code::NameTaken, 5),
        (Code::NotFound, 7),
        (Code::NotAFile, 7),
        (Code::NotAFolder, 7),
        (Code::BadPath, 7),
        (Code::NoSuchClient, 7),
        (Code::Changed, 9),
        (Code::Declined, 11),
        (Code::BadRequest, 1),
        (Code::UnknownCommand, 1),
        (Code::UnsupportedVersion, 1),
        (Code::Forbidden, 1),
        (Code::TooLarge, 1),
        (Code::NoSpace, 1),
        (Code::RateLimited, 1),
        (Code::ShuttingDown, 1),
        (Code::Internal, 1),
        (Code::Unknown, 1),
    ] {
        assert_eq!(Exit::from(ErrorCode::from(code)) as u8, exit, "{code:?}");
        let failure = stream("x", Refusal::new(code, "no").into());
        assert_eq!(failure.exit() as u8, exit, "{code:?}");
    }
}

#[test]
fn a_lost_connection_is_three_and_a_full_disk_eight() {
    let lost = stream("cannot list", StreamError::Lost(ConnectionEnd::TimedOut));
    assert_eq!((lost.exit(), lost.is_lost_connection()), (Exit::Connection, true));
    assert_eq!(lost.to_string(), "cannot list: connection lost: no sign of life");
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let full = ClientError::Get { path: "a".into(), source: GetError::Disk(full), streamed: false };
    assert_eq!(Failure::from(full).exit(), Exit::Disk);
    let pipe = Failure::output(io::ErrorKind::BrokenPipe.into());
    assert_eq!((pipe.exit(), pipe.is_silent()), (Exit::Other, true));
}

#[test]
fn the_servers_words_for_busy_stand_alone() {
    let words = "Server is busy: 3 of 3 clients are connected. Try again later.";
    let busy = stream("cannot sign in", Refusal::new(RefusalCode::Busy, words).into());
    assert_eq!((busy.to_string(), busy.hint()), (words.to_owned(), None));
}

#[test]
fn what_a_server_says_cannot_drive_the_terminal() {
    let refusal = Refusal::new(RefusalCode::NotFound, "\x1b[2J\nerror: forged");
    let failure = stream("cannot list", refusal.into());
    assert_eq!(failure.to_string(), "cannot list: \\u{1b}[2J\\nerror: forged");
}

#[test]
fn a_missing_certificate_says_how_to_make_one() {
    let path = PathBuf::from("certs/server.pem");
    let missing = quiver_transport::CertificateInfo::load(&path).unwrap_err();
    let failure = Failure::from(ClientError::Certificate(missing));
    assert!(failure.to_string().starts_with("cannot read certs/server.pem: No such file"));
    assert!(failure.hint().unwrap().starts_with("make one with scripts/generate-certs"));
}

#[test]
fn a_name_that_leads_nowhere_is_told_with_what_else_can_be_said() {
    let (host, why) = ("files.exampel.org".to_owned(), "no such name".to_owned());
    let failure = Failure::from(ClientError::Resolve { host, why });
    assert_eq!(failure.to_string(), "cannot find files.exampel.org: no such name");
    assert_eq!(failure.hint().unwrap(), "is the name spelt right? --server takes an address too");
}
