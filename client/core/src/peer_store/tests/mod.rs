//! The database of other clients as files in temporary folders, with several threads and processes.

mod always_accept;
mod contacts;
mod database;
mod history;
mod incoming;
mod messages;
mod outgoing;
mod processes;

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta};
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{
    ClientName, FilePath, Fingerprint, MessageId, Offer, OfferId, OfferedEntry, Timestamp,
};
use tempfile::TempDir;

use super::*;
use crate::journal::ServerRef;

const SERVER: Fingerprint = Fingerprint([1; 32]);
const OTHER_SERVER: Fingerprint = Fingerprint([2; 32]);
const KEY: Fingerprint = Fingerprint([0xa; 32]);
const OTHER_KEY: Fingerprint = Fingerprint([0xb; 32]);

fn new_store() -> (TempDir, PeerStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = PeerStore::open(folder.path()).unwrap();
    (folder, store)
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

/// A time this many seconds after the first one.
fn second(seconds: i64) -> Timestamp {
    Timestamp(DateTime::from_timestamp(1_800_000_000 + seconds, 123_456_000).unwrap())
}

fn day(days: i64) -> Timestamp {
    Timestamp(second(0).0 + TimeDelta::days(days))
}

fn server() -> ServerRef {
    ServerRef {
        address: "quiver.example:5000".parse().unwrap(),
        fingerprint: SERVER,
        certificate: Some(PathBuf::from("/etc/quiver/server.pem")),
        name: name("Ben"),
    }
}

fn offer_id(number: u64) -> OfferId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    OfferId(id)
}

fn message_id(number: u64) -> MessageId {
    MessageId(offer_id(number).0)
}

/// An offer of a file and a folder.
fn offer(number: u64) -> Offer {
    let entry =
        |text: &str, kind, size| OfferedEntry { name: FilePath::parse(text).unwrap(), kind, size };
    Offer {
        offer: offer_id(number),
        entries: vec![
            entry("a \"b\".txt", EntryKind::File, Some(u64::MAX)),
            entry("photos", EntryKind::Folder, None),
        ],
        count: 2,
        files: 7,
        bytes: Some(u64::MAX),
    }
}

/// Records an offer of Ron.
fn record(store: &PeerStore, number: u64, now: Timestamp) -> Result<IncomingOffer, PeerStoreError> {
    record_from(store, "Ron", number, now)
}

fn record_from(
    store: &PeerStore,
    sender: &str,
    number: u64,
    now: Timestamp,
) -> Result<IncomingOffer, PeerStoreError> {
    let (server, sender, offer) = (server(), name(sender), offer(number));
    let announced = AnnouncedOffer { server: &server, sender: &sender, key: KEY, offer: &offer };
    store.record_incoming(announced, now)
}

fn new_offer(number: u64, content: OfferedContent) -> NewOffer {
    NewOffer {
        id: offer_id(number),
        server: server(),
        recipient: name("Ron"),
        key: None,
        content,
        counts: OfferCounts { count: 1, files: 1, bytes: None },
        created: second(0),
    }
}

fn one_path() -> OfferedContent {
    let (path, name) = (PathBuf::from("/home/ben/a.txt"), FilePath::parse("a.txt").unwrap());
    OfferedContent::Paths(vec![OfferedPath { path, name }])
}
