//! Tests of the exit codes, texts and hints of failures.

use std::path::PathBuf;

use quiver_protocol::{Refusal, RefusalCode};
use quiver_transfer::get::GetError;
use quiver_transport::{ConnectionEnd, StreamError};

use super::*;

fn stream_failure(what: &str, error: StreamError) -> Failure {
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
        (Code::BadPath, 2),
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
        let failure = stream_failure("x", Refusal::new(code, "no").into());
        assert_eq!(failure.exit() as u8, exit, "{code:?}");
    }
}

#[test]
fn a_lost_connection_exits_with_3_and_a_full_disk_with_8() {
    let lost = stream_failure("cannot list", StreamError::Lost(ConnectionEnd::TimedOut));
    assert_eq!((lost.exit(), lost.is_lost_connection()), (Exit::Connection, true));
    assert_eq!(lost.to_string(), "cannot list: connection lost: no sign of life");
    let full = io::Error::from(io::ErrorKind::StorageFull);
    let full = ClientError::Get { path: "a".into(), source: GetError::Disk(full), streamed: false };
    assert_eq!(Failure::from(full).exit(), Exit::Disk);
    let pipe = Failure::output(io::ErrorKind::BrokenPipe.into());
    assert_eq!((pipe.exit(), pipe.is_silent()), (Exit::BrokenPipe, true));
}

#[test]
fn a_busy_server_is_reported_in_its_own_words_without_a_hint() {
    let words = "Server is busy: 3 of 3 clients are connected. Try again later.";
    let busy = stream_failure("cannot sign in", Refusal::new(RefusalCode::Busy, words).into());
    assert_eq!((busy.to_string(), busy.hint()), (words.to_owned(), None));
}

#[test]
fn control_characters_from_a_server_are_escaped() {
    let refusal = Refusal::new(RefusalCode::NotFound, "\x1b[2J\nerror: forged");
    let failure = stream_failure("cannot list", refusal.into());
    assert_eq!(failure.to_string(), "cannot list: \\u{1b}[2J\\nerror: forged");
}

#[test]
fn the_hint_for_a_missing_certificate_says_how_to_make_one() {
    let path = PathBuf::from("certs/server.pem");
    let missing = quiver_transport::CertificateInfo::load(&path).unwrap_err();
    let failure = Failure::from(ClientError::Certificate(missing));
    assert!(failure.to_string().starts_with("cannot read certs/server.pem: No such file"));
    assert!(failure.hint().unwrap().starts_with("make one with scripts/generate-certs"));
}

#[test]
fn the_hint_for_an_unknown_host_suggests_an_ip_address() {
    let (host, why) = ("files.exampel.org".to_owned(), "no such name".to_owned());
    let failure = Failure::from(ClientError::Resolve { host, why });
    assert_eq!(failure.to_string(), "cannot find files.exampel.org: no such name");
    assert_eq!(failure.hint().unwrap(), "check the spelling, or give --server an IP address");
}
