//! Texts about other clients, for people: messages, events, contacts and paths. Pure, like [`human`](super).

use chrono::TimeZone;
use quiver_client::ClientError;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::{NotDirect, PeerPath, PeerStatus};
use quiver_client::peer_store::{Contact, ContactKey, IncomingOffer, IncomingState};
use quiver_protocol::text::{display_path, display_remark, display_safe};
use quiver_protocol::{ClientName, Fingerprint, units};

use super::offers::{offer_with_commands, outgoing_state};
use super::{fingerprint_row, time};
use crate::output::style::{self, NAME, WARNING, painted};
use crate::output::table;
use crate::ui_mode::UiMode;

/// `[Ron] hello`: the brackets tell a client's message from the server's, and from the prompt.
#[must_use]
pub fn message(from: &ClientName, text: &str) -> String {
    format!("{} {}", painted(NAME, format_args!("[{from}]")), display_safe(text))
}

/// `Ron  can be reached  key verified  relayed by the server`, as cells of a table.
#[must_use]
pub fn peer(
    name: &ClientName,
    is_reachable: bool,
    verified: Option<bool>,
    path: Option<&PeerPath>,
) -> Vec<String> {
    let reach = if is_reachable { "can be reached" } else { "cannot be reached" };
    let key = match verified {
        Some(true) => "key verified",
        Some(false) => "key known",
        None => "",
    };
    let path = path.map(self::path).unwrap_or_default();
    vec![painted(NAME, name), reach.to_owned(), key.to_owned(), path]
}

/// The text of an event; `None` if there is nothing to say. Messages are [separate](message).
#[must_use]
pub fn event(event: &PeerEvent, mode: UiMode) -> Option<String> {
    Some(match event {
        PeerEvent::Joined(client) if mode == UiMode::Prompt => {
            format!("{} has joined.", painted(NAME, &client.name))
        }
        PeerEvent::Left(client) if mode == UiMode::Prompt => {
            format!("{} has left.", painted(NAME, &client.name))
        }
        PeerEvent::Joined(_) | PeerEvent::Left(_) => return None,
        PeerEvent::ListenRefused(error) => unreachable(error)?,
        PeerEvent::Message { from, text, .. } => message(from, text),
        PeerEvent::OfferReceived(offer) => offer_with_commands(offer, mode),
        PeerEvent::OfferRefused { from, why } => {
            format!("Refused an offer from {from}: {}", display_remark(why))
        }
        PeerEvent::OfferSettled(offer) => settled(offer)?,
        PeerEvent::OfferPending { number, to } => {
            format!("Offer {number}: waiting for {to}'s answer.")
        }
        PeerEvent::OfferAccepted { number, to } => format!("Offer {number}: {to} has accepted."),
        PeerEvent::OfferWaiting { number, to, why } => {
            format!("Offer {number}: waiting for {to}: {why}")
        }
        PeerEvent::OfferEnded { number, to, state } => {
            format!("Offer {number} to {to}: {}.", outgoing_state(state))
        }
        PeerEvent::Compared { name, is_verified: true } => verified(name),
        PeerEvent::Compared { name, is_verified: false } => format!(
            "{} the digits differ: someone may be between you and {name}. \
             Send nothing confidential.",
            painted(WARNING, "WARNING:")
        ),
        PeerEvent::KeyRefused { name, presented, known } => key_refused(name, presented, known),
        PeerEvent::PathChanged { name, path } => {
            format!("The connection with {name} is now {}.", self::path(path))
        }
    })
}

/// That other clients cannot reach this one; `None` if there is nothing to say: a command between clients tells that the
/// server is too old, and after a lost connection the client listens again by itself.
#[must_use]
pub fn unreachable(error: &ClientError) -> Option<String> {
    let is_silent = error.is_unknown_command() || error.is_lost_connection();
    (!is_silent).then(|| style::note(error))
}

/// What became of an offer to this person elsewhere; `None` if its sender sees it only.
fn settled(offer: &IncomingOffer) -> Option<String> {
    let (number, sender) = (offer.number, &offer.sender);
    let result = match &offer.state {
        IncomingState::Withdrawn => "was withdrawn",
        IncomingState::Expired => "has expired",
        IncomingState::Failed(_) => "failed",
        // This process reports its own answers; those of others are not news for the person who gave them.
        IncomingState::Open
        | IncomingState::Accepted { .. }
        | IncomingState::Stored { .. }
        | IncomingState::Declined => return None,
    };
    Some(format!("Offer {number} from {sender} {result}."))
}

/// The warning about a key that was refused.
fn key_refused(name: &ClientName, presented: &Fingerprint, known: &[Fingerprint]) -> String {
    let known: Vec<_> = known.iter().map(|key| format!("  known:     {key}")).collect();
    format!(
        "{} the key of {name} has changed, and the connection was refused.\n  \
         presented: {presented}\n{}\n\
         Someone may pose as {name}. If the change is expected, type: quiver contacts forget {name}",
        painted(WARNING, "WARNING:"),
        known.join("\n")
    )
}

/// `The key of Ron is verified.`
#[must_use]
pub fn verified(name: &ClientName) -> String {
    format!("The key of {name} is verified.")
}

/// A path as part of a sentence.
#[must_use]
pub fn path(path: &PeerPath) -> String {
    match path {
        PeerPath::Relayed { .. } => "relayed by the server".to_owned(),
        PeerPath::Direct { address } => format!("direct, with {address}"),
        PeerPath::Closed => "closed".to_owned(),
    }
}

/// Why a connection is not direct.
fn not_direct(why: NotDirect, name: &ClientName) -> String {
    match why {
        NotDirect::NotAccepted => format!("you have not accepted {name} yet"),
        NotDirect::NotAcceptedLocally => {
            format!("{name} has accepted you, and you have not accepted {name} yet")
        }
        NotDirect::NotAcceptedRemotely => {
            format!("you have accepted {name}, and {name} has not accepted you yet")
        }
        NotDirect::Trying => "the clients are still trying".to_owned(),
        NotDirect::RelayOnly => "this client connects over the relay only".to_owned(),
        NotDirect::Declined => format!("{name} does not connect directly"),
        NotDirect::Unreachable => "the networks between you let no direct packets pass".to_owned(),
        NotDirect::Lost => "the direct connection was lost".to_owned(),
    }
}

/// The connection with another client, in several lines.
#[must_use]
pub fn path_report(status: &PeerStatus) -> String {
    let PeerStatus { name, key, path, previous, round_trip, relayed_bytes, direct_bytes } = status;
    let mut lines = vec![format!("The connection with {name} is {}.", self::path(path))];
    if let PeerPath::Relayed { why } = path {
        lines.push(format!("Not direct: {}.", not_direct(*why, name)));
    }
    if let Some(previous) = previous {
        lines.push(format!("Before, it was {}.", self::path(previous)));
    }
    if let Some(round_trip) = round_trip {
        lines.push(format!("Round trip: {:.1} ms", round_trip.as_secs_f64() * 1000.0));
    }
    let (relayed, direct) = (units::bytes(*relayed_bytes), units::bytes(*direct_bytes));
    lines.push(format!("Traffic: {relayed} relayed, {direct} direct"));
    lines.push(format!("Key: {key}"));
    lines.join("\n")
}

/// `Ron (account), blocked`, and two lines for each key.
#[must_use]
pub fn contact<Z: TimeZone>(contact: &Contact, width: Option<usize>, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let account = if contact.is_account { " (account)" } else { "" };
    let blocked = if contact.is_blocked { ", blocked" } else { "" };
    let accepted = contact.always_accept.as_ref().map_or_else(String::new, |folder| {
        format!(", the page accepts its files into {}", display_path(folder))
    });
    let mut text = format!("{}{account}{blocked}{accepted}", painted(NAME, &contact.name));
    for ContactKey { key, last_seen, verified, .. } in &contact.keys {
        let verified = match verified {
            Some(at) => format!("verified {}", time(at, zone)),
            None => "not verified".to_owned(),
        };
        let key = fingerprint_row(key);
        let seen = format!("last seen {}", time(last_seen, zone));
        let lines = table::aligned(&[vec![format!("    {verified}"), seen]], width).join("\n");
        text += &format!("\n{key}\n{lines}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use chrono::FixedOffset;
    use quiver_protocol::ClientRef;

    use super::*;
    use crate::output::example;

    /// The text of an event without its colours.
    fn event(event: &PeerEvent, mode: UiMode) -> Option<String> {
        super::event(event, mode).map(|text| style::plain(&text).into_owned())
    }

    #[test]
    fn a_message_of_a_client_differs_from_one_of_the_server_and_is_escaped() {
        let from = example::name("Ron");
        let message = |text| style::plain(&message(&from, text)).into_owned();
        assert_eq!(message("hello"), "[Ron] hello");
        assert_eq!(message("a\nServer: \u{1b}[2J"), "[Ron] a\\nServer: \\u{1b}[2J");
    }

    #[test]
    fn clients_that_connect_are_announced_at_the_prompt_only() {
        let joined = PeerEvent::Joined(ClientRef { client: 3, name: example::name("Pete") });
        assert_eq!(event(&joined, UiMode::Prompt).unwrap(), "Pete has joined.");
        assert_eq!(event(&joined, UiMode::OneShot), None);
        let left = PeerEvent::Left(ClientRef { client: 3, name: example::name("Pete") });
        assert_eq!(event(&left, UiMode::Prompt).unwrap(), "Pete has left.");
    }

    #[test]
    fn a_refused_key_is_shown_with_all_fingerprints_and_what_to_do() {
        let refused = PeerEvent::KeyRefused {
            name: example::name("Ron"),
            presented: Fingerprint([1; 32]),
            known: vec![Fingerprint([2; 32]), Fingerprint([3; 32])],
        };
        let text = event(&refused, UiMode::Prompt).unwrap();
        assert!(text.starts_with("WARNING: the key of Ron has changed"), "{text}");
        for key in ["01", "02", "03"] {
            assert!(text.contains(&key.repeat(32)), "{text}");
        }
        assert!(text.ends_with("quiver contacts forget Ron"), "{text}");
    }

    #[test]
    fn only_what_others_do_with_an_offer_is_reported() {
        let mut offer = example::incoming_offer();
        offer.state = IncomingState::Withdrawn;
        let withdrawn = PeerEvent::OfferSettled(Arc::new(offer.clone()));
        assert_eq!(event(&withdrawn, UiMode::Prompt).unwrap(), "Offer 7 from Ben was withdrawn.");
        offer.state = IncomingState::Declined;
        assert_eq!(event(&PeerEvent::OfferSettled(Arc::new(offer)), UiMode::Prompt), None);
    }

    #[test]
    fn a_path_is_reported_with_the_reason_why_it_is_not_direct() {
        let status = PeerStatus {
            name: example::name("Ron"),
            key: Fingerprint([1; 32]),
            path: PeerPath::Relayed { why: NotDirect::Unreachable },
            previous: Some(PeerPath::Direct { address: "192.0.2.1:4433".parse().unwrap() }),
            round_trip: Some(Duration::from_micros(41_250)),
            relayed_bytes: 1_200_000,
            direct_bytes: 12,
        };
        let text = format!(
            "The connection with Ron is relayed by the server.\n\
             Not direct: the networks between you let no direct packets pass.\n\
             Before, it was direct, with 192.0.2.1:4433.\n\
             Round trip: 41.2 ms\n\
             Traffic: 1.2 MB relayed, 12 B direct\n\
             Key: {}",
            status.key
        );
        assert_eq!(path_report(&status), text);
    }

    #[test]
    fn a_relayed_path_names_the_side_that_has_not_accepted() {
        let name = example::name("Ron");
        for (why, expected) in [
            (NotDirect::NotAccepted, "you have not accepted Ron yet"),
            (
                NotDirect::NotAcceptedLocally,
                "Ron has accepted you, and you have not accepted Ron yet",
            ),
            (
                NotDirect::NotAcceptedRemotely,
                "you have accepted Ron, and Ron has not accepted you yet",
            ),
        ] {
            assert_eq!(not_direct(why, &name), expected);
        }
    }

    #[test]
    fn contacts_have_two_lines_for_each_key() {
        let east = FixedOffset::east_opt(7200).unwrap();
        let mut known = example::contact();
        let keys = ["01", "02"].map(|digits| digits.repeat(32));
        assert_eq!(
            style::plain(&contact(&known, None, &east)),
            format!(
                "Ron (account), the page accepts its files into /home/ben/from Ron\n  \
                 {}\n    verified 2024-10-19 19:45:47  last seen 2024-10-19 19:45:47\n  \
                 {}\n    not verified  last seen 2024-10-19 19:45:47",
                keys[0], keys[1]
            )
        );
        (known.is_blocked, known.always_accept) = (true, None);
        known.keys.clear();
        assert_eq!(style::plain(&contact(&known, None, &east)), "Ron (account), blocked");
    }
}
