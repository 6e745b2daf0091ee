//! Fuzzes the payload of a Request frame, as a server decodes it from an untrusted client.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::check_request;
use quiver_protocol::{RefusalCode, Request, limits};

fn limit(request: &Request) -> usize {
    match request {
        Request::Hello(_) => limits::HELLO,
        Request::Message { .. } => limits::MESSAGE,
        _ => limits::REQUEST,
    }
}

fn may_refuse(code: &RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::BadRequest
            | RefusalCode::UnknownCommand
            | RefusalCode::UnsupportedVersion
            | RefusalCode::BadName
            | RefusalCode::BadPath
            | RefusalCode::TooLarge
    )
}

fuzz_target!(|payload: &[u8]| {
    let request = check_request(payload, Request::decode, Request::encode, limit, may_refuse);
    if let Some(Request::Hello(hello)) = request {
        let secret = hello.password.as_ref().map_or("", |secret| secret.expose());
        assert!(secret.len() <= limits::PASSWORD);
    }
});
