//! Fuzzes the payloads of replies between clients, as a client decodes them from an untrusted one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::check_round_trip;
use quiver_protocol::{EofPayload, FrameError, OfferEnd, PeerReply, VerifyEnd, limits};

fuzz_target!(|payload: &[u8]| {
    match PeerReply::decode(payload) {
        // The only reply with a list.
        Err(FrameError::TooLong { length, limit }) => {
            assert!(limit == limits::ADDRESSES && length > limit, "{length} of {limit}");
        }
        _ => {
            let reply = check_round_trip(payload, PeerReply::decode, PeerReply::encode);
            if let Some(PeerReply::Addresses { addresses }) = reply {
                assert!(addresses.len() <= limits::ADDRESSES);
            }
        }
    }
    check_round_trip(payload, OfferEnd::decode, EofPayload::encode);
    check_round_trip(payload, VerifyEnd::decode, EofPayload::encode);
});
