//! JSON objects about other clients: offers, contacts and paths.

use std::borrow::Cow;

use quiver_client::peer_path::{NotDirect, PeerPath, PeerStatus};
use quiver_client::peer_store::{
    Contact, IncomingOffer, IncomingState, OfferedContent, OutgoingOffer, OutgoingState,
};
use quiver_protocol::{ClientName, Fingerprint, OfferId, Timestamp};
use serde::Serialize;

/// An offer in the list of offers.
#[derive(Debug, Serialize)]
pub struct OfferRow<'a> {
    number: u64,
    /// `incoming` or `outgoing`.
    direction: &'static str,
    id: OfferId,
    server: String,
    /// The other client.
    name: &'a ClientName,
    key: Option<Fingerprint>,
    /// The first names.
    names: Vec<&'a str>,
    count: u64,
    files: u64,
    bytes: Option<u64>,
    since: Timestamp,
    state: &'static str,
    /// Where an accepted offer is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// Why an offer has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

impl<'a> OfferRow<'a> {
    /// For an offer to this person.
    #[must_use]
    pub fn incoming(offer: &'a IncomingOffer) -> Self {
        let (folder, why) = match &offer.state {
            IncomingState::Accepted { folder } => (Some(folder.display().to_string()), None),
            IncomingState::Failed(why) => (None, Some(why.as_str())),
            _ => (None, None),
        };
        Self {
            number: offer.number.0,
            direction: "incoming",
            id: offer.id,
            server: offer.server.address.to_string(),
            name: &offer.sender,
            key: Some(offer.key),
            names: offer.entries.iter().map(|entry| entry.name.as_str()).collect(),
            count: offer.counts.count,
            files: offer.counts.files,
            bytes: offer.counts.bytes,
            since: offer.received,
            state: incoming_state(&offer.state),
            folder,
            why,
        }
    }

    /// For an offer of this person.
    #[must_use]
    pub fn outgoing(offer: &'a OutgoingOffer) -> Self {
        let names = match &offer.content {
            OfferedContent::Spool(name) => vec![name.as_str()],
            OfferedContent::Paths(paths) => paths.iter().map(|path| path.name.as_str()).collect(),
        };
        let why = match &offer.state {
            OutgoingState::Failed(why) => Some(why.as_str()),
            _ => None,
        };
        Self {
            number: offer.number.0,
            direction: "outgoing",
            id: offer.id,
            server: offer.server.address.to_string(),
            name: &offer.recipient,
            key: offer.key,
            names,
            count: offer.counts.count,
            files: offer.counts.files,
            bytes: offer.counts.bytes,
            since: offer.created,
            state: outgoing_state(&offer.state),
            folder: None,
            why,
        }
    }
}

/// A contact.
#[derive(Debug, Serialize)]
pub struct ContactRow<'a> {
    server: Fingerprint,
    name: &'a ClientName,
    account: bool,
    accepted: bool,
    blocked: bool,
    /// The folder into which the page accepts its offers by itself.
    always_accept: Option<Cow<'a, str>>,
    keys: Vec<KeyRow>,
}

#[derive(Debug, Serialize)]
struct KeyRow {
    key: Fingerprint,
    first_seen: Timestamp,
    last_seen: Timestamp,
    verified: Option<Timestamp>,
}

impl<'a> ContactRow<'a> {
    /// For a contact.
    #[must_use]
    pub fn new(contact: &'a Contact) -> Self {
        let keys = contact.keys.iter().map(|key| KeyRow {
            key: key.key,
            first_seen: key.first_seen,
            last_seen: key.last_seen,
            verified: key.verified,
        });
        Self {
            server: contact.server,
            name: &contact.name,
            account: contact.is_account,
            accepted: contact.is_accepted,
            blocked: contact.is_blocked,
            always_accept: contact.always_accept.as_ref().map(|folder| folder.to_string_lossy()),
            keys: keys.collect(),
        }
    }
}

/// A changed contact.
#[derive(Debug, Serialize)]
pub struct ContactChange<'a> {
    /// Its name.
    pub name: &'a ClientName,
    /// `forgotten`, `blocked` or `unblocked`.
    pub result: &'a str,
}

/// A comparison of keys.
#[derive(Debug, Serialize)]
pub struct VerifiedLine<'a> {
    /// The other client.
    pub name: &'a ClientName,
    /// Whether both people have seen the same digits.
    pub verified: bool,
}

/// A connected client.
#[derive(Debug, Serialize)]
pub struct PeerRow<'a> {
    /// Its name.
    pub name: &'a ClientName,
    /// Whether it can be reached.
    pub reachable: bool,
    /// Whether a key of the contact is verified; `null` for a client that was never connected with.
    pub verified: Option<bool>,
    /// `relayed` or `direct`; `null` without a connection.
    pub path: Option<&'static str>,
}

/// The connection with another client.
#[derive(Debug, Serialize)]
pub struct PathRow<'a> {
    name: &'a ClientName,
    key: Fingerprint,
    path: &'static str,
    address: Option<String>,
    why_not_direct: Option<&'static str>,
    previous: Option<&'static str>,
    round_trip_seconds: Option<f64>,
    relayed_bytes: u64,
    direct_bytes: u64,
}

impl<'a> PathRow<'a> {
    /// For a connection.
    #[must_use]
    pub fn new(status: &'a PeerStatus) -> Self {
        let (address, why_not_direct) = match &status.path {
            PeerPath::Relayed { why } => (None, Some(not_direct(*why))),
            PeerPath::Direct { address } => (Some(address.to_string()), None),
            PeerPath::Closed => (None, None),
        };
        Self {
            name: &status.name,
            key: status.key,
            path: path_kind(&status.path),
            address,
            why_not_direct,
            previous: status.previous.as_ref().map(path_kind),
            round_trip_seconds: status.round_trip.map(|time| time.as_secs_f64()),
            relayed_bytes: status.relayed_bytes,
            direct_bytes: status.direct_bytes,
        }
    }
}

/// A path as one word.
#[must_use]
pub fn path_kind(path: &PeerPath) -> &'static str {
    match path {
        PeerPath::Relayed { .. } => "relayed",
        PeerPath::Direct { .. } => "direct",
        PeerPath::Closed => "closed",
    }
}

fn not_direct(why: NotDirect) -> &'static str {
    match why {
        NotDirect::NotAccepted => "not_accepted",
        NotDirect::NotAcceptedLocally => "not_accepted_locally",
        NotDirect::NotAcceptedRemotely => "not_accepted_remotely",
        NotDirect::Trying => "trying",
        NotDirect::RelayOnly => "relay_only",
        NotDirect::Declined => "declined",
        NotDirect::Unreachable => "unreachable",
        NotDirect::Lost => "lost",
    }
}

pub(super) fn incoming_state(state: &IncomingState) -> &'static str {
    match state {
        IncomingState::Open => "open",
        IncomingState::Accepted { .. } => "accepted",
        IncomingState::Stored { .. } => "stored",
        IncomingState::Declined => "declined",
        IncomingState::Withdrawn => "withdrawn",
        IncomingState::Failed(_) => "failed",
        IncomingState::Expired => "expired",
    }
}

pub(super) fn outgoing_state(state: &OutgoingState) -> &'static str {
    match state {
        OutgoingState::Open => "open",
        OutgoingState::Accepted => "accepted",
        OutgoingState::Delivered => "stored",
        OutgoingState::Declined => "declined",
        OutgoingState::Withdrawn => "withdrawn",
        OutgoingState::Failed(_) => "failed",
        OutgoingState::Expired => "expired",
    }
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;
    use crate::output::example;

    #[test]
    fn offers_of_both_directions_have_the_same_fields() {
        let (id, key) = ("07".repeat(16), "01".repeat(32));
        assert_eq!(
            line(&OfferRow::incoming(&example::incoming_offer())),
            format!(
                r#"{{"number":7,"direction":"incoming","id":"{id}","server":"localhost:4433","name":"Ben","key":"{key}","names":["a.txt","photos"],"count":2,"files":3,"bytes":1200000012,"since":"2024-10-19T17:45:47Z","state":"open"}}"#
            )
        );
        let id = "08".repeat(16);
        assert_eq!(
            line(&OfferRow::outgoing(&example::outgoing_offer())),
            format!(
                r#"{{"number":8,"direction":"outgoing","id":"{id}","server":"localhost:4433","name":"Ron","key":null,"names":["a.txt","photos"],"count":2,"files":3,"bytes":1200000012,"since":"2024-10-19T17:45:47Z","state":"open"}}"#
            )
        );
    }

    #[test]
    fn contacts_have_their_keys_with_the_time_of_the_comparison() {
        let text = line(&ContactRow::new(&example::contact()));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["name"], "Ron");
        assert_eq!(parsed["account"], true);
        assert_eq!(parsed["always_accept"], "/home/ben/from Ron");
        assert_eq!(parsed["keys"][0]["verified"], "2024-10-19T17:45:47Z");
        assert_eq!(parsed["keys"][1]["verified"], serde_json::Value::Null);
    }
}
