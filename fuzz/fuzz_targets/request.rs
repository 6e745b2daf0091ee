//! Fuzzes the payload of a Request frame, as a server decodes it from an untrusted client.

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
            assert!(payload.len() <= limit, "the request exceeds its limit");
            assert_eq!(Request::decode(&request.encode()).as_ref(), Ok(request), "decoded again");
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
                "a decoder must not return {refusal:?}"
            );
            let encoded = refusal.encode();
            assert!(encoded.len() <= limits::FRAME, "the refusal does not fit a frame");
            assert_eq!(quiver_protocol::Refusal::decode(&encoded).as_ref(), Ok(refusal));
        }
    }
    // An unknown field changes nothing.
    if let Some(start) = payload.iter().position(|byte| *byte == b'{') {
        let mut extended = payload[..=start].to_vec();
        extended.extend_from_slice(br#""unknown field":[{"a":null}],"#);
        extended.extend_from_slice(&payload[start + 1..]);
        if let (Ok(request), Ok(same)) = (&decoded, Request::decode(&extended)) {
            assert_eq!(request, &same, "an unknown field changed the meaning");
        }
        if decoded.is_ok() && extended.len() <= limits::HELLO {
            assert!(Request::decode(&extended).is_ok(), "an unknown field was refused");
        }
    }
});
