//! Each event has an example in docs/json.md, which is its real output.

use std::path::Path;
use std::sync::Arc;

use quiver_client::ClientError;
use quiver_client::error::PeerError;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::PeerPath;
use quiver_client::peer_store::{IncomingOffer, IncomingState, OfferNumber, OutgoingState};
use quiver_protocol::{ClientName, Fingerprint, Refusal, RefusalCode};

use super::super::line;
use super::EventLine;
use crate::output::example;

const DOCUMENT: &str = include_str!("../../../../../../docs/json.md");

fn event_line(event: &PeerEvent) -> String {
    line(&EventLine::of(event).unwrap())
}

fn ben() -> ClientName {
    example::name("Ben")
}

fn ron() -> ClientName {
    example::name("Ron")
}

/// The lines of events of the client library.
fn reported_lines() -> Vec<String> {
    let (offer, number) = (example::incoming_offer(), OfferNumber(8));
    let settled = IncomingOffer { state: IncomingState::Withdrawn, ..offer.clone() };
    let refusal = Refusal::new(RefusalCode::Forbidden, "this account may not be reached");
    let why = Arc::new(ClientError::refused("other clients cannot reach you", refusal));
    let unreachable = PeerError::NoPath { name: ron(), why: "it is not connected".to_owned() };
    let (presented, known) = (Fingerprint([2; 32]), vec![Fingerprint([1; 32])]);
    let text = "the report is there".to_owned();
    let refused = "two files have one name".to_owned();
    let address = ([192, 0, 2, 7], 50_000).into();
    let events = [
        PeerEvent::OfferReceived(Arc::new(offer)),
        PeerEvent::OfferRefused { from: ben(), why: refused },
        PeerEvent::OfferSettled(Arc::new(settled)),
        PeerEvent::OfferPending { number, to: ron() },
        PeerEvent::OfferAccepted { number, to: ron() },
        PeerEvent::OfferWaiting { number, to: ron(), why: Arc::new(unreachable.into()) },
        PeerEvent::OfferEnded { number, to: ron(), state: OutgoingState::Expired },
        PeerEvent::ListenRefused(why),
        PeerEvent::Message { from: ben(), text, at: example::timestamp(), number: None },
        PeerEvent::KeyRefused { name: ben(), presented, known },
        PeerEvent::Compared { name: ben(), is_verified: true },
        PeerEvent::PathChanged { name: ben(), path: PeerPath::Direct { address } },
    ];
    events.iter().map(event_line).collect()
}

/// The lines of what commands do.
fn command_lines() -> Vec<String> {
    let (incoming, outgoing) = (example::incoming_offer(), example::outgoing_offer());
    let (ben, ron) = (ben(), ron());
    let error = ClientError::from(PeerError::Withdrawn(OfferNumber(7)));
    let events = [
        EventLine::Listening,
        EventLine::offering(&outgoing),
        EventLine::accepting(&incoming, Path::new("inbox")),
        EventLine::Stored { number: 8, to: Some(&ron), from: None, files: 3, bytes: Some(12) },
        EventLine::Stored { number: 7, to: None, from: Some(&ben), files: 3, bytes: Some(12) },
        EventLine::Failed { number: 7, from: &ben, error: error.code(), why: error.to_string() },
        EventLine::Declined { number: 7, from: &ben },
        EventLine::Withdrawn { number: 8 },
        EventLine::Told { to: &ron, outcome: "delivered", why: None },
        EventLine::ConnectionLost { why: "timed out" },
        EventLine::Reconnected,
    ];
    events.iter().map(line).collect()
}

#[test]
fn the_document_has_the_line_of_each_event() {
    let lines = reported_lines().into_iter().chain(command_lines());
    let missing: Vec<_> = lines.filter(|line| !DOCUMENT.contains(&format!("\n{line}\n"))).collect();
    assert!(missing.is_empty(), "docs/json.md has no example\n{}", missing.join("\n"));
}

#[test]
fn messages_are_escaped_for_terminals_and_parse_to_the_same_text() {
    let (from, text) = (ron(), "a\u{1b}[2J\u{202e}".to_owned());
    let (at, number) = (example::timestamp(), None);
    let printed = event_line(&PeerEvent::Message { from, text: text.clone(), at, number });
    assert_eq!(printed, r#"{"event":"message","from":"Ron","text":"a\u001b[2J\u202e"}"#);
    let parsed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(parsed["text"], text);
}
