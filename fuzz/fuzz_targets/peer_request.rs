//! Fuzzes the payload of a Request frame between clients, as a client decodes it from an untrusted one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_fuzz::check_request;
use quiver_protocol::{PeerRequest, RefusalCode, limits};

fn limit(request: &PeerRequest) -> usize {
    match request {
        PeerRequest::Offer(_) => limits::OFFER,
        PeerRequest::Tell { .. } => limits::MESSAGE,
        _ => limits::REQUEST,
    }
}

fn may_refuse(code: &RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::BadRequest
            | RefusalCode::UnknownCommand
            | RefusalCode::BadPath
            | RefusalCode::TooLarge
    )
}

fuzz_target!(|payload: &[u8]| {
    let decode = PeerRequest::decode;
    match check_request(payload, decode, PeerRequest::encode, limit, may_refuse) {
        Some(PeerRequest::Offer(offer)) => {
            assert!((1..=limits::OFFERED_NAMES).contains(&offer.entries.len()));
            assert!(offer.entries.len() as u64 <= offer.count, "an offer has more than it counts");
            for entry in &offer.entries {
                let name = entry.name.as_str();
                assert!(name != ".." && !name.contains(['/', '\\', '\u{1b}']), "{name:?}");
            }
        }
        Some(PeerRequest::Dial(dial)) => assert!(dial.addresses.len() <= limits::ADDRESSES),
        _ => {}
    }
});
