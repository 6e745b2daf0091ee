//! The payload of a Request frame, from somebody nobody trusts yet.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::{RefusalCode, Request, limits};

fuzz_target!(|payload: &[u8]| {
    let decoded = Request::decode(payload);
    match &decoded {
        Ok(request) => {
            let limit = match request {
                Request::Hello(hello) => {
                    let secret = hello.password.as_ref().map_or("", |secret| secret.expose());
                    assert!(secret.len() <= limits::PASSWORD);
                    limits::HELLO
                }
                Request::Message { .. } => limits::MESSAGE,
                _ => limits::REQUEST,
            };
            assert!(payload.len() <= limit, "longer than its limit");
            assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(request), "own encoding");
        }
        Err(refusal) => {
            assert!(
                matches!(
                    refusal.code,
                    RefusalCode::BadRequest
                        | RefusalCode::UnknownCommand
                        | RefusalCode::UnsupportedVersion
                        | RefusalCode::BadName
                        | RefusalCode::BadPath
                        | RefusalCode::TooLarge
                ),
                "{refusal:?} is not for a decoder to give"
            );
            let answer = refusal.encode();
            assert!(answer.len() <= limits::FRAME, "the refusal fits no frame");
            assert_eq!(quiver_protocol::Refusal::decode(&answer).as_ref(), Ok(refusal));
        }
    }
    // A field nobody knows changes nothing.
    if let Some(start) = payload.iter().position(|byte| *byte == b'{') {
        let mut extended = payload[..=start].to_vec();
        extended.extend_from_slice(br#""nobody knows this":[{"a":null}],"#);
        extended.extend_from_slice(&payload[start + 1..]);
        if let (Ok(request), Ok(same)) = (&decoded, Request::decode(&extended)) {
            assert_eq!(request, &same, "an unknown field changed the meaning");
        }
        if decoded.is_ok() && extended.len() <= limits::HELLO {
            assert!(Request::decode(&extended).is_ok(), "an unknown field was refused");
        }
    }
});
