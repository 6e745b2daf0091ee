//! Golden files of refusals, and of requests that are refused.

use quiver_protocol::{Refusal, RefusalCode, Request};

use crate::golden;
use crate::payloads::check_payloads;

#[test]
fn refused_requests_have_the_pinned_codes() {
    for (code, payload) in golden::lines("refused.txt") {
        let refusal = Request::decode(payload.as_bytes()).expect_err(&payload);
        assert_eq!(serde_json::to_value(refusal.code).unwrap(), code, "{payload}");
    }
}

#[test]
fn refusals_are_encoded_as_pinned() {
    use RefusalCode as Code;
    let table = [
        (Code::BadRequest, "malformed request: missing field `path` at line 1 column 17"),
        (Code::UnknownCommand, "no command has this name"),
        (Code::UnsupportedVersion, "this server speaks version 1, not 2"),
        (Code::Busy, "3 of 3 clients are connected"),
        (Code::NameTaken, "another client is called Ron"),
        (Code::BadName, "a name has 1 to 32 characters"),
        (Code::SignInFailed, "wrong name or password"),
        (Code::SignInRequired, "this server wants a password"),
        (Code::NotFound, "nothing is called secret.txt"),
        (Code::NotAFile, "notes is a folder"),
        (Code::NotAFolder, "secret.txt is a file"),
        (Code::BadPath, "the parts . and .. are not allowed"),
        (Code::Forbidden, "the server may not read it"),
        (Code::Changed, "secret.txt changed while it was sent"),
        (Code::TooLarge, "a payload of 8193 bytes where at most 8192 are allowed"),
        (Code::NoSpace, "the server's disk is full"),
        (Code::RateLimited, "too many attempts: try again later"),
        (Code::NoSuchClient, "nobody here is called Pete"),
        (Code::Declined, "Pete declined"),
        (Code::ShuttingDown, "the server is stopping"),
        (Code::Internal, "the server failed; its log has the details under 5f2c9a01"),
        (Code::Exists, "secret.txt is there already"),
        (Code::NotEmpty, "notes is not empty"),
        (Code::NotReachable, "Ron takes no introductions"),
        (Code::NoRelay, "this server relays nothing"),
    ]
    .map(|(code, message)| (code_name(code), Refusal::new(code, message)));
    check_payloads("refusals", &table, Refusal::encode, |payload| Refusal::decode(payload).ok());
}

fn code_name(code: RefusalCode) -> &'static str {
    use RefusalCode as Code;
    // A new code fails to compile here: add a row for it above.
    match code {
        Code::BadRequest => "bad_request",
        Code::UnknownCommand => "unknown_command",
        Code::UnsupportedVersion => "unsupported_version",
        Code::Busy => "busy",
        Code::NameTaken => "name_taken",
        Code::BadName => "bad_name",
        Code::SignInFailed => "sign_in_failed",
        Code::SignInRequired => "sign_in_required",
        Code::NotFound => "not_found",
        Code::NotAFile => "not_a_file",
        Code::NotAFolder => "not_a_folder",
        Code::BadPath => "bad_path",
        Code::Forbidden => "forbidden",
        Code::Changed => "changed",
        Code::TooLarge => "too_large",
        Code::NoSpace => "no_space",
        Code::RateLimited => "rate_limited",
        Code::NoSuchClient => "no_such_client",
        Code::Declined => "declined",
        Code::ShuttingDown => "shutting_down",
        Code::Internal => "internal",
        Code::Exists => "exists",
        Code::NotEmpty => "not_empty",
        Code::NotReachable => "not_reachable",
        Code::NoRelay => "no_relay",
        Code::Unknown => panic!("a server never sends an unknown code"),
    }
}

#[test]
fn a_code_from_a_newer_server_is_unknown() {
    let newer = br#"{"code":"out_of_tea","message":"no tea","retry_seconds":60}"#;
    assert_eq!(Refusal::decode(newer), Ok(Refusal::new(RefusalCode::Unknown, "no tea")));
}
