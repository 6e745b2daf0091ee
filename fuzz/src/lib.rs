//! Checks that several fuzz targets share.

use std::fmt::Debug;

use quiver_protocol::{FrameError, FrameKind, Refusal, RefusalCode, limits};

/// Decodes a payload, and checks that the value is encoded and decoded again as the same value, or that the payload is
/// malformed.
pub fn check_round_trip<T: PartialEq + Debug>(
    payload: &[u8],
    decode: fn(&[u8]) -> Result<T, FrameError>,
    encode: fn(&T) -> Vec<u8>,
) -> Option<T> {
    match decode(payload) {
        Ok(value) => {
            assert_eq!(decode(&encode(&value)).as_ref(), Ok(&value), "decoded again");
            Some(value)
        }
        Err(FrameError::Malformed { .. }) => None,
        Err(other) => panic!("a decoder of payloads returned {other:?}"),
    }
}

/// Decodes the payload of a Request frame, and checks what holds for all requests. `limit` is the longest payload that
/// a request may have.
pub fn check_request<T: PartialEq + Debug>(
    payload: &[u8],
    decode: fn(&[u8]) -> Result<T, Refusal>,
    encode: fn(&T) -> Vec<u8>,
    limit: fn(&T) -> usize,
    may_refuse: fn(&RefusalCode) -> bool,
) -> Option<T> {
    let decoded = decode(payload);
    match &decoded {
        Ok(request) => {
            assert!(payload.len() <= limit(request), "the request exceeds its limit");
            assert_eq!(decode(&encode(request)).as_ref(), Ok(request), "decoded again");
        }
        Err(refusal) => {
            assert!(may_refuse(&refusal.code), "a decoder must not return {refusal:?}");
            let encoded = refusal.encode();
            assert!(encoded.len() <= limits::FRAME, "the refusal does not fit a frame");
            assert_eq!(Refusal::decode(&encoded).as_ref(), Ok(refusal));
        }
    }
    // An unknown field changes nothing.
    if let Some(start) = payload.iter().position(|byte| *byte == b'{') {
        let mut extended = payload[..=start].to_vec();
        extended.extend_from_slice(br#""unknown field":[{"a":null}],"#);
        extended.extend_from_slice(&payload[start + 1..]);
        match (&decoded, decode(&extended)) {
            (Ok(request), Ok(same)) => {
                assert_eq!(request, &same, "an unknown field changed the meaning");
            }
            (Ok(request), Err(refusal)) => {
                assert!(extended.len() > limit(request), "an unknown field: {refusal:?}");
            }
            (Err(_), _) => {}
        }
    }
    decoded.ok()
}

/// The kind of a frame by its number in docs/protocol.md.
///
/// # Errors
/// [`FrameError::UnknownKind`].
pub fn frame_kind(number: u8) -> Result<FrameKind, FrameError> {
    let kinds = [
        FrameKind::Request,
        FrameKind::Reply,
        FrameKind::Data,
        FrameKind::Eof,
        FrameKind::Error,
        FrameKind::Received,
        FrameKind::Packet,
    ];
    kinds.get(usize::from(number)).copied().ok_or(FrameError::UnknownKind(number))
}
