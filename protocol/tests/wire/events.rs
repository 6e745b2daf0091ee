//! Golden files of the events that a server reports.

use quiver_protocol::Event;

use crate::payloads::check_payloads;

#[test]
fn events_are_encoded_as_pinned() {
    let table =
        [("stopping", Event::Stopping { grace_seconds: 8 }), ("still_there", Event::StillThere)];
    for (name, event) in &table {
        // A new event fails to compile here: add a row for it above.
        let kind = match event {
            Event::Stopping { .. } => "stopping",
            Event::StillThere => "still_there",
            Event::Unknown => panic!("a server never sends an unknown event"),
        };
        assert_eq!(*name, kind);
    }
    check_payloads("events", &table, Event::encode, |payload| Event::decode(payload).ok());
}

#[test]
fn an_event_from_a_newer_server_is_unknown() {
    for newer in [
        r#"{"event":"introduction","peer":"Ben","candidates":[{"address":"192.0.2.7:4433"}]}"#,
        r#"{"peer":"Ben","event":"introduction"}"#,
        r#"{"event":""}"#,
    ] {
        assert_eq!(Event::decode(newer.as_bytes()), Ok(Event::Unknown), "{newer}");
    }
}
