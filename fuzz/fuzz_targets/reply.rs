//! What a server sends, read by a client that trusts it as little: replies, events, ends, refusals.

#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use quiver_protocol::{
    ContentEnd, End, Event, FrameError, ListEnd, PlainEnd, Received, Refusal, Reply,
};

/// What was read is written again, and reads as the same value.
fn survives<T: PartialEq + Debug>(
    payload: &[u8],
    decode: fn(&[u8]) -> Result<T, FrameError>,
    encode: fn(&T) -> Vec<u8>,
) -> Option<T> {
    match decode(payload) {
        Ok(value) => {
            let written = encode(&value);
            assert_eq!(decode(&written).as_ref(), Ok(&value));
            Some(value)
        }
        Err(FrameError::Malformed { .. }) => None,
        Err(other) => panic!("a decoder of payloads said {other:?}"),
    }
}

fuzz_target!(|payload: &[u8]| {
    let reply = survives(payload, Reply::decode, Reply::encode);
    let event = survives(payload, Event::decode, Event::encode);
    survives(payload, Refusal::decode, Refusal::encode);
    survives(payload, ListEnd::decode, End::encode);
    survives(payload, ContentEnd::decode, End::encode);
    survives(payload, Received::decode, End::encode);
    let object = survives(payload, PlainEnd::decode, End::encode);
    // An end with nothing to say is any object: whatever else was read is one.
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
