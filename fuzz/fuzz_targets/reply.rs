//! Fuzzes the payloads that a client decodes from an untrusted server.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use quiver_protocol::{
    ContentEnd, EofPayload, Event, FrameError, ListEnd, PlainEnd, Received, Refusal, Reply,
};

/// Decodes a payload, and checks that the value is encoded and decoded again as the same value.
fn check_round_trip<T: PartialEq + Debug>(
    payload: &[u8],
    decode: fn(&[u8]) -> Result<T, FrameError>,
    encode: fn(&T) -> Vec<u8>,
) -> Option<T> {
    match decode(payload) {
        Ok(value) => {
            let encoded = encode(&value);
            assert_eq!(decode(&encoded).as_ref(), Ok(&value));
            Some(value)
        }
        Err(FrameError::Malformed { .. }) => None,
        Err(other) => panic!("a decoder of payloads returned {other:?}"),
    }
}

fuzz_target!(|payload: &[u8]| {
    let reply = check_round_trip(payload, Reply::decode, Reply::encode);
    let event = check_round_trip(payload, Event::decode, Event::encode);
    check_round_trip(payload, Refusal::decode, Refusal::encode);
    check_round_trip(payload, ListEnd::decode, EofPayload::encode);
    check_round_trip(payload, ContentEnd::decode, EofPayload::encode);
    check_round_trip(payload, Received::decode, EofPayload::encode);
    let object = check_round_trip(payload, PlainEnd::decode, EofPayload::encode);
    // Any JSON object is a valid `PlainEnd`, and every reply and event is an object.
    if reply.is_some() || event.is_some() {
        assert!(object.is_some());
    }
    match reply {
        Some(Reply::Entry(entry)) => {
            let path = entry.path.as_str();
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."));
        }
        Some(Reply::Welcome(welcome)) => assert!(welcome.name.as_str().is_ascii()),
        _ => {}
    }
});
