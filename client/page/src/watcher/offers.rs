//! The offers to and from this person on the present server, as the page shows them.

use std::collections::{BTreeMap, BTreeSet};

use quiver_client::Client;
use quiver_client::peer_store::{
    IncomingOffer, IncomingState, OfferCounts, OfferNumber, OfferedContent, OutgoingOffer,
    OutgoingState,
};
use quiver_protocol::OfferId;
use quiver_protocol::reply::EntryKind;

use crate::views::{IncomingOfferView, OfferState, OfferedName, OutgoingOfferView};
use quiver_control::Failure;

/// Names of an offer that are shown.
const MAX_NAMES: usize = 20;

/// Settled offers of each direction that are shown.
const MAX_SETTLED: usize = 50;

/// What a load has found, by number.
#[derive(Debug)]
pub(crate) struct LoadedOffers {
    incoming: Vec<IncomingOffer>,
    outgoing: Vec<(OutgoingOffer, Vec<OfferedName>)>,
    /// The offers of this person on all servers that are settled.
    pub(super) settled: BTreeSet<OfferNumber>,
}

/// The offers, as they were loaded last.
#[derive(Debug, Default)]
pub(super) struct OfferBook {
    incoming: Vec<IncomingOffer>,
    outgoing: Vec<(OutgoingOffer, Vec<OfferedName>)>,
    /// Why the recipients of these cannot be reached now.
    waiting: BTreeMap<OfferNumber, String>,
}

/// Loads the offers, on the client's runtime.
pub(super) async fn load(client: Client) -> Result<LoadedOffers, Failure> {
    let server = client.server_key()?;
    let (mut incoming, mut outgoing) = client.offers().await?;
    let settled = outgoing.iter().filter(|offer| offer.state.is_settled());
    let settled = settled.map(|offer| offer.number).collect();
    incoming.retain(|offer| offer.server.fingerprint == server);
    outgoing.retain(|offer| offer.server.fingerprint == server);
    keep_latest(&mut incoming, |offer| offer.state.is_settled());
    keep_latest(&mut outgoing, |offer| offer.state.is_settled());
    // Whether something is a folder is not recorded, and must not be looked up on the thread that drives QUIC.
    let named = quiver_transfer::blocking::run(move || {
        outgoing
            .into_iter()
            .map(|offer| (names(&offer.content), offer))
            .map(|(names, offer)| (offer, names))
            .collect()
    });
    let outgoing = named.await.map_err(|_| Failure::interrupted())?;
    Ok(LoadedOffers { incoming, outgoing, settled })
}

/// Drops the oldest settled offers.
fn keep_latest<T>(offers: &mut Vec<T>, is_settled: impl Fn(&T) -> bool) {
    let settled = offers.iter().filter(|offer| is_settled(offer)).count();
    let mut surplus = settled.saturating_sub(MAX_SETTLED);
    offers.retain(|offer| {
        let is_dropped = surplus > 0 && is_settled(offer);
        surplus -= usize::from(is_dropped);
        !is_dropped
    });
}

fn names(content: &OfferedContent) -> Vec<OfferedName> {
    match content {
        OfferedContent::Paths(paths) => {
            let named = paths.iter().take(MAX_NAMES).map(|offered| OfferedName {
                name: offered.name.to_string(),
                kind: if offered.path.is_dir() { EntryKind::Folder } else { EntryKind::File },
            });
            named.collect()
        }
        OfferedContent::Spool(name) => {
            vec![OfferedName { name: name.to_string(), kind: EntryKind::File }]
        }
    }
}

impl OfferBook {
    /// Takes over what was loaded.
    pub(super) fn set(&mut self, loaded: LoadedOffers) {
        (self.incoming, self.outgoing) = (loaded.incoming, loaded.outgoing);
    }

    /// Records that the recipient of an offer cannot be reached, or can be reached again.
    pub(super) fn set_waiting(&mut self, number: OfferNumber, why: Option<String>) {
        match why {
            Some(why) => self.waiting.insert(number, why),
            None => self.waiting.remove(&number),
        };
    }

    /// Whether files of an offer are being sent.
    pub(super) fn is_sending(&self) -> bool {
        self.outgoing.iter().any(|(offer, _)| offer.state == OutgoingState::Accepted)
    }

    /// The offers as the page shows them.
    pub(super) fn views(
        &self,
        is_verified: impl Fn(&IncomingOffer) -> bool,
        transfer_of: impl Fn(u64) -> Option<String>,
        sent: impl Fn(OfferId) -> u64,
    ) -> (Vec<IncomingOfferView>, Vec<OutgoingOfferView>) {
        let incoming = self
            .incoming
            .iter()
            .map(|offer| incoming_view(offer, is_verified(offer), transfer_of(offer.number.0)));
        let outgoing = self.outgoing.iter().map(|(offer, names)| {
            let waiting = self.waiting.get(&offer.number);
            outgoing_view(offer, names, waiting, sent(offer.id))
        });
        (incoming.collect(), outgoing.collect())
    }
}

fn incoming_view(
    offer: &IncomingOffer,
    verified: bool,
    transfer: Option<String>,
) -> IncomingOfferView {
    let (state, why, folder) = match &offer.state {
        IncomingState::Open => (OfferState::Open, None, None),
        IncomingState::Accepted { folder } => (OfferState::Accepted, None, Some(folder)),
        IncomingState::Stored { .. } => (OfferState::Stored, None, None),
        IncomingState::Declined => (OfferState::Declined, None, None),
        IncomingState::Withdrawn => (OfferState::Withdrawn, None, None),
        IncomingState::Failed(why) => (OfferState::Failed, Some(why.clone()), None),
        IncomingState::Expired => (OfferState::Expired, None, None),
    };
    let entries = offer.entries.iter().take(MAX_NAMES);
    let names: Vec<_> = entries
        .map(|entry| OfferedName { name: entry.name.to_string(), kind: entry.kind })
        .collect();
    let (more_names, folders) = (more(&offer.counts, &names), folders(&offer.counts, &names));
    IncomingOfferView {
        number: offer.number.0,
        from: offer.sender.clone(),
        verified,
        names,
        more_names,
        files: Some(offer.counts.files),
        folders,
        bytes: offer.counts.bytes,
        at: offer.received,
        state,
        why,
        folder: folder.map(|folder| folder.display().to_string()),
        transfer,
    }
}

fn outgoing_view(
    offer: &OutgoingOffer,
    names: &[OfferedName],
    waiting: Option<&String>,
    sent: u64,
) -> OutgoingOfferView {
    let (state, why) = match (&offer.state, waiting) {
        (OutgoingState::Open, None) => (OfferState::Open, None),
        (OutgoingState::Accepted, None) => (OfferState::Accepted, None),
        (OutgoingState::Open | OutgoingState::Accepted, Some(why)) => {
            (OfferState::Waiting, Some(why.clone()))
        }
        (OutgoingState::Delivered, _) => (OfferState::Delivered, None),
        (OutgoingState::Declined, _) => (OfferState::Declined, None),
        (OutgoingState::Withdrawn, _) => (OfferState::Withdrawn, None),
        (OutgoingState::Failed(why), _) => (OfferState::Failed, Some(why.clone())),
        (OutgoingState::Expired, _) => (OfferState::Expired, None),
    };
    OutgoingOfferView {
        number: offer.number.0,
        to: offer.recipient.clone(),
        names: names.to_vec(),
        more_names: more(&offer.counts, names),
        files: Some(offer.counts.files),
        folders: folders(&offer.counts, names),
        bytes: offer.counts.bytes,
        sent,
        at: offer.created,
        state,
        why,
    }
}

fn more(counts: &OfferCounts, names: &[OfferedName]) -> u64 {
    counts.count.saturating_sub(names.len() as u64)
}

/// The number of folders at the top, if all names are shown.
fn folders(counts: &OfferCounts, names: &[OfferedName]) -> Option<u64> {
    let folders = names.iter().filter(|name| name.kind == EntryKind::Folder).count() as u64;
    (more(counts, names) == 0).then_some(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_oldest_settled_offers_are_left_out() {
        let mut offers: Vec<(usize, bool)> =
            (0..MAX_SETTLED + 3).map(|number| (number, number != 1)).collect();
        keep_latest(&mut offers, |(_, is_settled)| *is_settled);
        let numbers: Vec<_> = offers.iter().take(3).map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 3, 4]);
        assert_eq!(offers.len(), MAX_SETTLED + 1);
    }
}
