//! Offers and contacts for the tests of texts and JSON objects.

use std::path::PathBuf;

use quiver_client::address::ServerAddress;
use quiver_client::journal::ServerRef;
use quiver_client::peer_store::{
    Contact, ContactKey, IncomingOffer, IncomingState, OfferCounts, OfferNumber, OfferedContent,
    OfferedPath, OutgoingOffer, OutgoingState,
};
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{ClientName, FilePath, Fingerprint, OfferId, OfferedEntry, Timestamp};

const COUNTS: OfferCounts = OfferCounts { count: 2, files: 3, bytes: Some(1_200_000_012) };

pub(super) fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

pub(super) fn timestamp() -> Timestamp {
    serde_json::from_str("\"2024-10-19T17:45:47Z\"").unwrap()
}

fn server() -> ServerRef {
    ServerRef {
        address: ServerAddress::local(),
        fingerprint: Fingerprint([9; 32]),
        certificate: None,
        name: name("Me"),
    }
}

/// Offer 7 of Ben.
pub(super) fn incoming_offer() -> IncomingOffer {
    let entry = |text: &str, kind, size| OfferedEntry {
        name: FilePath::parse(text).unwrap(),
        kind,
        size: Some(size),
    };
    IncomingOffer {
        number: OfferNumber(7),
        id: OfferId([7; 16]),
        server: server(),
        sender: name("Ben"),
        key: Fingerprint([1; 32]),
        entries: vec![
            entry("a.txt", EntryKind::File, 12),
            entry("photos", EntryKind::Folder, 1_200_000_000),
        ],
        counts: COUNTS,
        received: timestamp(),
        last_announced: timestamp(),
        state: IncomingState::Open,
    }
}

/// Offer 8 to Ron.
pub(super) fn outgoing_offer() -> OutgoingOffer {
    let path = |text: &str| OfferedPath {
        path: format!("/home/me/{text}").into(),
        name: FilePath::parse(text).unwrap(),
    };
    OutgoingOffer {
        number: OfferNumber(8),
        id: OfferId([8; 16]),
        server: server(),
        recipient: name("Ron"),
        key: None,
        content: OfferedContent::Paths(vec![path("a.txt"), path("photos")]),
        counts: COUNTS,
        created: timestamp(),
        state: OutgoingState::Open,
    }
}

/// Ron, with one verified key of two.
pub(super) fn contact() -> Contact {
    let key = |byte, verified| ContactKey {
        key: Fingerprint([byte; 32]),
        first_seen: timestamp(),
        last_seen: timestamp(),
        verified,
    };
    Contact {
        server: Fingerprint([9; 32]),
        name: name("Ron"),
        is_account: true,
        is_accepted: true,
        is_blocked: false,
        always_accept: Some(PathBuf::from("/home/ben/from Ron")),
        keys: vec![key(1, Some(timestamp())), key(2, None)],
    }
}
