//! Texts about offers, for people. Pure, like [`human`](super).

use chrono::TimeZone;
use quiver_client::peer_store::{
    IncomingOffer, IncomingState, OfferCounts, OfferNumber, OfferedContent, OutgoingOffer,
    OutgoingState,
};
use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::{display_path, display_remark, display_safe};
use quiver_protocol::{ClientName, OfferedEntry, units};

use super::time;
use crate::output::style::{NAME, painted};
use crate::ui_mode::UiMode;

/// Names of an offer that are shown; the others are counted.
const MAX_SHOWN_NAMES: usize = 16;

/// `3 files (1.2 GB)`
#[must_use]
pub fn counts(counts: &OfferCounts) -> String {
    let files = units::counted(counts.files, "file");
    match counts.bytes {
        Some(bytes) => format!("{files} ({})", units::bytes(bytes)),
        None => format!("{files} (size not known yet)"),
    }
}

/// `a.txt (12 B), photos/ (1.2 GB) and 4 more`
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
        Some(size) => format!("{name}{slash} ({})", units::bytes(size)),
        None => format!("{name}{slash}"),
    }
}

/// `Ron offers 3 files (1.2 GB): a.txt (12 B), photos/ (1.2 GB).`
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

/// What becomes of an open offer after `send` was interrupted.
#[must_use]
pub fn open_offer_hint(number: OfferNumber) -> String {
    format!(
        "offer {number} stays open for 7 days, and quiver or quiver receive continues it; \
         quiver send --cancel {number} withdraws it"
    )
}

/// What has become of an offer of standard input after `send` was interrupted.
#[must_use]
pub fn withdrawn_unread(number: OfferNumber) -> String {
    format!("Offer {number} is withdrawn: standard input was not read to its end.")
}

/// What becomes of an open offer when the person leaves the prompt.
#[must_use]
pub fn offer_stays_open(number: OfferNumber) -> String {
    format!(
        "Offer {number} stays open for 7 days, and the next prompt continues it. \
         quiver send --cancel {number} withdraws it."
    )
}

/// What becomes of an accepted offer whose sender cannot be reached.
#[must_use]
pub fn accepted_for_later(number: OfferNumber, sender: &ClientName) -> String {
    format!("Offer {number} is accepted. Its files are fetched once {sender} is connected.")
}

/// `Offer 3 from Ron  2 files (40 B)  not answered  received 2024-10-19 17:45:47  a.txt (12 B), b.txt (28 B)`, as cells of
/// a table.
#[must_use]
pub fn incoming_row<Z: TimeZone>(offer: &IncomingOffer, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let (number, sender) = (offer.number, &offer.sender);
    let (counts, names) = (counts(&offer.counts), entries(&offer.entries, offer.counts.count));
    let sender = painted(NAME, sender);
    let received = format!("received {}", time(&offer.received, zone));
    vec![
        format!("Offer {number} from {sender}"),
        counts,
        incoming_state(&offer.state),
        received,
        names,
    ]
}

/// `Offer 4 to Ron  2 files (40 B)  not answered  made 2024-10-19 17:45:47  a.txt, photos`, as cells of a table.
#[must_use]
pub fn outgoing_row<Z: TimeZone>(offer: &OutgoingOffer, zone: &Z) -> Vec<String>
where
    Z::Offset: std::fmt::Display,
{
    let (number, recipient) = (offer.number, &offer.recipient);
    let (counts, names) = (counts(&offer.counts), offered_names(offer));
    let recipient = painted(NAME, recipient);
    let created = format!("made {}", time(&offer.created, zone));
    vec![
        format!("Offer {number} to {recipient}"),
        counts,
        outgoing_state(&offer.state),
        created,
        names,
    ]
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

pub(super) fn outgoing_state(state: &OutgoingState) -> String {
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

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;
    use crate::output::{example, style};

    #[test]
    fn an_offer_names_its_files_and_folders_with_their_sizes() {
        let mut incoming = example::incoming_offer();
        let text = "Ben offers 3 files (1.2 GB): a.txt (12 B), photos/ (1.2 GB).";
        assert_eq!(offer(&incoming), text);
        assert_eq!(offer_question(&incoming), format!("{text} Accept? [y/N] "));
        assert_eq!(
            offer_with_commands(&incoming, UiMode::Prompt),
            format!("{text} /accept 7 or /decline 7")
        );
        assert_eq!(
            offer_with_commands(&incoming, UiMode::OneShot),
            format!("{text} quiver accept 7 or quiver decline 7")
        );
        incoming.counts = OfferCounts { count: 1, files: 1, bytes: None };
        incoming.entries.truncate(1);
        incoming.entries[0].size = None;
        assert_eq!(offer(&incoming), "Ben offers 1 file (size not known yet): a.txt.");
    }

    #[test]
    fn names_of_an_offer_are_escaped_and_at_most_sixteen() {
        let entry = |number: u32| OfferedEntry {
            name: quiver_protocol::FilePath::parse(&format!("a\u{202e}{number}")).unwrap(),
            kind: EntryKind::File,
            size: Some(1),
        };
        let many: Vec<_> = (0..20).map(entry).collect();
        let text = entries(&many, 1_000);
        assert!(text.starts_with("a\\u{202e}0 (1 B), a\\u{202e}1"), "{text}");
        assert!(text.ends_with("a\\u{202e}15 (1 B) and 984 more"), "{text}");
    }

    #[test]
    fn rows_of_offers_have_the_state_and_local_time() {
        let east = FixedOffset::east_opt(7200).unwrap();
        let shown = |cells: Vec<String>| style::plain(&cells.join("  ")).into_owned();
        let mut incoming = example::incoming_offer();
        assert_eq!(
            shown(incoming_row(&incoming, &east)),
            "Offer 7 from Ben  3 files (1.2 GB)  not answered  received 2024-10-19 19:45:47  \
             a.txt (12 B), photos/ (1.2 GB)"
        );
        incoming.state = IncomingState::Accepted { folder: "/tmp/in".into() };
        let cells = incoming_row(&incoming, &east);
        assert_eq!(cells[2], "accepted, to be stored in /tmp/in");
        let mut outgoing = example::outgoing_offer();
        assert_eq!(
            shown(outgoing_row(&outgoing, &east)),
            "Offer 8 to Ron  3 files (1.2 GB)  not answered  made 2024-10-19 19:45:47  a.txt, photos"
        );
        outgoing.state = OutgoingState::Failed("bad\u{1b}[2J".to_owned());
        assert_eq!(outgoing_row(&outgoing, &east)[2], "failed: bad\\u{1b}[2J");
        assert_eq!(offering(&outgoing), "Offering 3 files (1.2 GB) to Ron.");
    }
}
