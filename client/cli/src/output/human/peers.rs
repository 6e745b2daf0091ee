//! Texts about other clients, for people: offers, messages, contacts, paths and questions. Pure, like
//! [`human`](super).

use chrono::TimeZone;
use quiver_client::peer_event::PeerEvent;
use quiver_client::peer_path::{NotDirect, PeerPath, PeerStatus};
use quiver_client::peer_store::{
    Contact, ContactKey, IncomingOffer, IncomingState, OfferCounts, OfferNumber, OfferedContent,
    OutgoingOffer, OutgoingState,
};
use quiver_client::question::Question;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::{display_path, display_remark, display_safe};
use quiver_protocol::{ClientName, Fingerprint, OfferedEntry, Timestamp};

use super::byte_count;
use crate::ui_mode::UiMode;

/// Names of an offer that are shown; the others are counted.
const MAX_SHOWN_NAMES: usize = 16;

/// `[Ron] hello`: the brackets tell a client's message from the server's, and from the prompt.
#[must_use]
pub fn message(from: &ClientName, text: &str) -> String {
    format!("[{from}] {}", display_safe(text))
}

/// `3 files`
#[must_use]
pub fn counted_files(files: u64) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

/// `3 files (1.2 GB)`
#[must_use]
pub fn counts(counts: &OfferCounts) -> String {
    let files = counted_files(counts.files);
    match counts.bytes {
        Some(bytes) => format!("{files} ({})", byte_count(bytes)),
        None => format!("{files} (size not known yet)"),
    }
}

/// `a.txt (12 bytes), photos/ (1.2 GB) and 4 more`
#[must_use]
pub fn entries(entries: &[OfferedEntry], count: u64) -> String {
    let shown = entries.len().min(MAX_SHOWN_NAMES);
    let names: Vec<_> = entries.iter().take(shown).map(entry).collect();
    let more = match count.saturating_sub(shown as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &more
}

fn entry(entry: &OfferedEntry) -> String {
    let name = display_safe(entry.name.as_str());
    let slash = if entry.kind == EntryKind::Folder { "/" } else { "" };
    match entry.size {
        Some(size) => format!("{name}{slash} ({})", byte_count(size)),
        None => format!("{name}{slash}"),
    }
}

/// `Ron offers 3 files (1.2 GB): a.txt (12 bytes), photos/ (1.2 GB).`
#[must_use]
pub fn offer(offer: &IncomingOffer) -> String {
    let (sender, names) = (&offer.sender, entries(&offer.entries, offer.counts.count));
    format!("{sender} offers {}: {names}.", counts(&offer.counts))
}

/// The question whether to accept an offer.
#[must_use]
pub fn offer_question(incoming: &IncomingOffer) -> String {
    format!("{} Accept? [y/N] ", offer(incoming))
}

/// An offer, and what to type to answer it.
#[must_use]
pub fn offer_with_commands(incoming: &IncomingOffer, mode: UiMode) -> String {
    let command = match mode {
        UiMode::Prompt | UiMode::Batch => "/",
        UiMode::OneShot => "quiver ",
    };
    let (number, text) = (incoming.number, offer(incoming));
    format!("{text} {command}accept {number} or {command}decline {number}")
}

/// `Offering 3 files (1.2 GB) to Ron.`
#[must_use]
pub fn offering(offer: &OutgoingOffer) -> String {
    format!("Offering {} to {}.", counts(&offer.counts), offer.recipient)
}

/// What becomes of an open offer, and how to withdraw it.
#[must_use]
pub fn open_offer_hint(number: OfferNumber, mode: UiMode) -> String {
    let (command, again) = match mode {
        UiMode::Prompt | UiMode::Batch => ("/send", "the next prompt"),
        UiMode::OneShot => ("quiver send", "quiver, or quiver receive,"),
    };
    format!(
        "offer {number} stays open for 7 days, and {again} continues it; \
         {command} --cancel {number} withdraws it"
    )
}

/// `Ron: can be reached, key verified, relayed by the server`
#[must_use]
pub fn peer(
    name: &ClientName,
    is_reachable: bool,
    verified: Option<bool>,
    path: Option<&PeerPath>,
) -> String {
    let reach = if is_reachable { "can be reached" } else { "cannot be reached" };
    let key = match verified {
        Some(true) => ", key verified",
        Some(false) => ", key known",
        None => "",
    };
    let path = path.map_or_else(String::new, |path| format!(", {}", self::path(path)));
    format!("{name}: {reach}{key}{path}")
}

/// The text of an event; `None` if there is nothing to say. Messages are [separate](message).
#[must_use]
pub fn event(event: &PeerEvent, mode: UiMode) -> Option<String> {
    Some(match event {
        PeerEvent::Joined(client) if mode == UiMode::Prompt => {
            format!("{} has joined.", client.name)
        }
        PeerEvent::Left(client) if mode == UiMode::Prompt => format!("{} has left.", client.name),
        PeerEvent::Joined(_) | PeerEvent::Left(_) => return None,
        PeerEvent::Message { from, text } => message(from, text),
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
        PeerEvent::KeyRefused { name, presented, known } => key_refused(name, presented, known),
        PeerEvent::PathChanged { name, path } => {
            format!("The connection with {name} is now {}.", self::path(path))
        }
    })
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
        "WARNING: the key of {name} has changed, and the connection was refused.\n  \
         presented: {presented}\n{}\n\
         Someone may pose as {name}. If the change is expected, type: quiver contacts forget {name}",
        known.join("\n")
    )
}

/// The question whether a key is another machine of an account.
#[must_use]
pub fn other_machine_question(
    name: &ClientName,
    presented: &Fingerprint,
    known: &[Fingerprint],
) -> String {
    let known: Vec<_> = known.iter().map(|key| format!("  {key}")).collect();
    format!(
        "{name} connects with a key that is not known yet:\n  {presented}\n\
         Known keys of {name}:\n{}\n\
         Ask {name}. Is it another machine of {name}? [y/N] ",
        known.join("\n")
    )
}

/// The note that a question waits for the end of the line that is being typed.
#[must_use]
pub fn question_note(question: &Question) -> String {
    let what = match question {
        Question::OtherMachine { name, .. } => {
            format!("{name} connects with a key that is not known yet.")
        }
        Question::CompareDigits { name, .. } => format!("{name} wants to compare keys."),
        Question::MoreThanOffered { from, .. } => format!("{from} sends more than it has offered."),
        Question::ConnectDirectly { name, .. } => format!("{name} wants to connect directly."),
        Question::Trust { .. }
        | Question::Name
        | Question::Password
        | Question::Replace { .. }
        | Question::Conflict { .. } => "There is a question.".to_owned(),
    };
    format!("{what} Press Enter to answer.")
}

/// The question whether both people see the same digits.
#[must_use]
pub fn digits_question(name: &ClientName, digits: &str) -> String {
    format!(
        "Compare these digits with {name}, by telephone or in person:\n  {digits}\n\
         Does {name} see the same digits? [y/N] "
    )
}

/// The question whether to take more than was offered.
#[must_use]
pub fn more_question(from: &ClientName, offered: u64, found: u64) -> String {
    let (offered, found) = (byte_count(offered), byte_count(found));
    format!("{from} has offered {offered}, and now sends {found}. Continue? [y/N] ")
}

/// The question whether a client may learn this one's address.
#[must_use]
pub fn connect_question(name: &ClientName, key: &Fingerprint) -> String {
    format!(
        "{name} wants to connect directly, and would learn your address. Its key is\n  {key}\n\
         Allow it? [y/N] "
    )
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
        NotDirect::NotAccepted => "neither of you has accepted the other yet".to_owned(),
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
    let (relayed, direct) = (byte_count(*relayed_bytes), byte_count(*direct_bytes));
    lines.push(format!("Traffic: {relayed} relayed, {direct} direct"));
    lines.push(format!("Key: {key}"));
    lines.join("\n")
}

/// `Offer 3 from Ron: 2 files (40 bytes): a.txt (12 bytes), b.txt (28 bytes) - open, received 2024-10-19 17:45:47`
#[must_use]
pub fn incoming_row<Z: TimeZone>(offer: &IncomingOffer, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let (number, sender) = (offer.number, &offer.sender);
    let (counts, names) = (counts(&offer.counts), entries(&offer.entries, offer.counts.count));
    let state = incoming_state(&offer.state);
    let received = time(&offer.received, zone);
    format!("Offer {number} from {sender}: {counts}: {names} - {state}, received {received}")
}

/// `Offer 4 to Ron: 2 files (40 bytes): a.txt, photos - waiting, made 2024-10-19 17:45:47`
#[must_use]
pub fn outgoing_row<Z: TimeZone>(offer: &OutgoingOffer, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let (number, recipient) = (offer.number, &offer.recipient);
    let (counts, names) = (counts(&offer.counts), offered_names(offer));
    let state = outgoing_state(&offer.state);
    let created = time(&offer.created, zone);
    format!("Offer {number} to {recipient}: {counts}: {names} - {state}, made {created}")
}

fn offered_names(offer: &OutgoingOffer) -> String {
    match &offer.content {
        OfferedContent::Spool(name) => display_safe(name.as_str()).into_owned(),
        OfferedContent::Paths(paths) => {
            let shown = paths.iter().take(MAX_SHOWN_NAMES);
            let names: Vec<_> = shown.map(|path| display_safe(path.name.as_str())).collect();
            match paths.len().saturating_sub(MAX_SHOWN_NAMES) {
                0 => names.join(", "),
                more => format!("{} and {more} more", names.join(", ")),
            }
        }
    }
}

fn incoming_state(state: &IncomingState) -> String {
    match state {
        IncomingState::Open => "not answered".to_owned(),
        IncomingState::Accepted { folder } => {
            format!("accepted, to be stored in {}", display_path(folder))
        }
        IncomingState::Stored { .. } => "stored".to_owned(),
        IncomingState::Declined => "declined".to_owned(),
        IncomingState::Withdrawn => "withdrawn".to_owned(),
        IncomingState::Failed(why) => format!("failed: {}", display_remark(why)),
        IncomingState::Expired => "expired".to_owned(),
    }
}

fn outgoing_state(state: &OutgoingState) -> String {
    match state {
        OutgoingState::Open => "not answered".to_owned(),
        OutgoingState::Accepted => "accepted, not stored yet".to_owned(),
        OutgoingState::Delivered => "stored".to_owned(),
        OutgoingState::Declined => "declined".to_owned(),
        OutgoingState::Withdrawn => "withdrawn".to_owned(),
        OutgoingState::Failed(why) => format!("failed: {}", display_remark(why)),
        OutgoingState::Expired => "expired".to_owned(),
    }
}

/// `Ron (account), blocked`, and a line for each key.
#[must_use]
pub fn contact<Z: TimeZone>(contact: &Contact, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let account = if contact.is_account { " (account)" } else { "" };
    let blocked = if contact.is_blocked { ", blocked" } else { "" };
    let mut text = format!("{}{account}{blocked}", contact.name);
    for ContactKey { key, last_seen, verified, .. } in &contact.keys {
        let verified = match verified {
            Some(at) => format!("verified {}", time(at, zone)),
            None => "not verified".to_owned(),
        };
        text += &format!("\n  {key}: {verified}, last seen {}", time(last_seen, zone));
    }
    text
}

fn time<Z: TimeZone>(moment: &Timestamp, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    moment.0.with_timezone(zone).format("%Y-%m-%d %H:%M:%S").to_string()
}
