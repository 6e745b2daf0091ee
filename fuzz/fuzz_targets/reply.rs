//! Fuzzes the payloads that a client decodes from an untrusted server.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::check_round_trip;
use quiver_protocol::{
    ContentEnd, EofPayload, Event, ListEnd, MakeFolderEnd, PlainEnd, Received, Refusal, Reply,
};

fuzz_target!(|payload: &[u8]| {
    let reply = check_round_trip(payload, Reply::decode, Reply::encode);
    let event = check_round_trip(payload, Event::decode, Event::encode);
    check_round_trip(payload, Refusal::decode, Refusal::encode);
    check_round_trip(payload, ListEnd::decode, EofPayload::encode);
    check_round_trip(payload, MakeFolderEnd::decode, EofPayload::encode);
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
