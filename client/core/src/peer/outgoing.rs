//! The sender of `offer`: announces offers on every link with their recipient.
//!
//! 1. sender -> Offer
//! 2. receiver -> Pending, Accepted; meanwhile List and Get, on other streams
//! 3. receiver -> Eof {files, bytes}, once it has stored everything

use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{
    Offer, OfferEnd, OfferId, PeerReply, PeerRequest, Refusal, RefusalCode, Timestamp,
};
use quiver_transport::StreamError;
use tokio::time::sleep;
use tracing::debug;

use super::announcement::Announcement;
use super::conversation::{Conversation, PeerPart};
use super::offer_source::OfferSource;
use super::refusals::AnnouncementPauses;
use super::{PeerLink, Peers};
use crate::error::ClientError;
use crate::exchange::unexpected_reply;
use crate::peer_event::PeerEvent;
use crate::peer_store::{
    OfferCounts, OfferNumber, OutgoingOffer, OutgoingState, PeerStore, PeerStoreError,
};
use crate::transfers::ServedOffer;

/// How often the records are read while another process reads a pipe.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How the announcement of an offer on one link has ended.
#[derive(Debug)]
enum AnnouncementEnd {
    /// The recipient has stored this much.
    Stored(OfferEnd),
    /// The offer is settled otherwise.
    Settled(OutgoingState),
    /// The recipient cannot take it now.
    Refused(Refusal),
    /// The link was lost, or the recipient gave up.
    Lost(StreamError),
}

impl Peers {
    /// Adds the files of an offer, and announces it on the links with its recipient.
    pub(crate) fn add_source(&self, source: OfferSource) {
        self.0.state.lock().sources.insert(source.offer.id, source);
        self.0.changed.notify_waiters();
    }

    /// The offers that this process serves, by number.
    pub(crate) fn served_offers(&self) -> Vec<ServedOffer> {
        let sources: Vec<_> = self.0.state.lock().sources.values().cloned().collect();
        let mut offers: Vec<_> = sources.iter().map(OfferSource::status).collect();
        offers.sort_by_key(|offer| offer.number);
        offers
    }

    /// Waits until this process serves an offer.
    pub(crate) async fn wait_for_served_offer(&self) {
        loop {
            let changed = self.changed();
            if !self.0.state.lock().sources.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Forgets the files of an offer that has ended.
    pub(super) fn remove_source(&self, id: OfferId) {
        let source = self.0.state.lock().sources.remove(&id);
        if let Some(source) = source {
            source.end();
        }
    }

    /// Forgets the files of an offer if it has ended: it may have been withdrawn while they were opened.
    async fn remove_settled_source(&self, number: OfferNumber, id: OfferId) {
        let now = Timestamp(Utc::now());
        let offer = self.with_store(move |store| store.outgoing_offer(number, now)).await;
        if offer.is_ok_and(|offer| offer.state.is_settled()) {
            self.remove_source(id);
        }
    }

    /// Bytes of an offer that this process has sent.
    pub(crate) fn sent_bytes(&self, id: OfferId) -> u64 {
        self.0.state.lock().sources.get(&id).map_or(0, OfferSource::sent)
    }

    /// The refusal of the recipient, if it could not take the offer.
    pub(crate) fn take_refusal(&self, number: OfferNumber) -> Option<Refusal> {
        self.0.state.lock().refusals.remove(&number)
    }

    /// Withdraws an offer, and tells the recipient if it is connected.
    pub(crate) async fn withdraw_outgoing(&self, number: OfferNumber) -> Result<(), ClientError> {
        let _telling = self.0.withdrawals.read().await;
        let now = Timestamp(Utc::now());
        let changed = self.with_store(move |store| {
            store.set_outgoing_state(number, OutgoingState::Withdrawn, now)
        });
        let offer = changed.await?;
        self.remove_source(offer.id);
        self.0.changed.notify_waiters();
        let mut links = self.links();
        let is_for_key = |link: &PeerLink| offer.key.is_none_or(|key| link.key() == key);
        links.retain(|link| link.is_with(&offer.recipient) && is_for_key(link));
        if links.is_empty() && offer.key.is_some() {
            // Another process has announced it. Fails if the recipient is not connected.
            links.extend(self.connect_to(&offer.recipient, offer.key).await);
        }
        for link in links {
            self.tell_withdrawn(&link, offer.id).await;
        }
        Ok(())
    }

    /// Waits until the recipients of offers that this process withdraws know so, or cannot be told.
    pub(crate) async fn wait_for_withdrawals(&self) {
        drop(self.0.withdrawals.write().await);
    }

    /// Tells the recipient that an offer is withdrawn. Without success it learns so when it asks for the files.
    pub(crate) async fn tell_withdrawn(&self, link: &PeerLink, offer: OfferId) {
        let request = PeerRequest::Withdraw { offer };
        let told = async {
            let channel = link.channel()?;
            let mut conversation = Conversation::start(&channel, &request, self.0.timeout).await?;
            conversation.stream.writer.finish();
            conversation.next::<quiver_protocol::PlainEnd>().await.map(drop)
        };
        if let Err(error) = told.await {
            debug!(%error, "the recipient does not know that the offer is withdrawn");
        }
    }

    /// Announces the offers of this person on a link with their recipient, now and later ones, until the link ends.
    pub(super) async fn announce_offers(self, link: PeerLink) {
        let mut announced = std::collections::HashSet::new();
        loop {
            let changed = self.0.changed.notified();
            let mut is_growing = false;
            match self.offers_for(&link, &mut is_growing).await {
                Ok(offers) => {
                    for source in offers {
                        if announced.insert(source.offer.id) {
                            let (peers, link) = (self.clone(), link.clone());
                            // A task of its own outlives the link: the recipient may end right after its last
                            // answer, which must be recorded.
                            self.spawn(async move {
                                let (number, id) = (source.offer.number, source.offer.id);
                                peers.announce(&link, source).await;
                                peers.remove_settled_source(number, id).await;
                            });
                        }
                    }
                }
                Err(error) => debug!(%error, "cannot read the offers"),
            }
            tokio::select! {
                () = changed => {}
                () = sleep(POLL_INTERVAL), if is_growing => {}
                _ = link.closed() => return,
            }
        }
    }

    /// The offers for the client of a link that are not settled, with their files. Leaves out an offer whose pipe another
    /// process still reads, and sets `is_growing` then.
    async fn offers_for(
        &self,
        link: &PeerLink,
        is_growing: &mut bool,
    ) -> Result<Vec<OfferSource>, ClientError> {
        let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
        let offers = self.with_store(move |store| store.unsettled_outgoing(server, now)).await?;
        let mut sources = Vec::new();
        for offer in offers {
            let is_for_key = offer.key.is_none_or(|key| key == link.key());
            if !link.is_with(&offer.recipient) || !is_for_key {
                continue;
            }
            match self.source_of(offer).await {
                Ok(Some(source)) => sources.push(source),
                Ok(None) => *is_growing = true,
                Err(error) => debug!(%error, "an offer cannot be announced"),
            }
        }
        Ok(sources)
    }

    /// The files of an offer: those of this process, or opened by their paths for an offer of an earlier process. `None`
    /// while another process reads its pipe.
    pub(super) async fn source_of(
        &self,
        offer: OutgoingOffer,
    ) -> Result<Option<OfferSource>, ClientError> {
        if let Some(source) = self.0.state.lock().sources.get(&offer.id) {
            return Ok(Some(source.clone()));
        }
        let server = self.session()?;
        let number = offer.number;
        let Some(source) = self.with_files(offer).await? else { return Ok(None) };
        debug!(%number, server = %server.server_ref().address, "opened an offer");
        self.0.state.lock().sources.insert(source.offer.id, source.clone());
        Ok(Some(source))
    }

    /// Announces an offer on a link until it is settled or the link ends.
    async fn announce(&self, link: &PeerLink, source: OfferSource) {
        let (number, key) = (source.offer.number, link.key());
        let recorded = self.with_store(move |store| store.set_recipient_key(number, key)).await;
        if !matches!(recorded, Ok(recorded) if recorded == key) {
            return;
        }
        let to = link.name().clone();
        let mut pauses = AnnouncementPauses::default();
        let mut is_accepted = false;
        loop {
            match self.run_announcement(link, &source, &mut is_accepted).await {
                // Only its path has ended: the recipient expects the offer on another one.
                AnnouncementEnd::Lost(error @ StreamError::Lost(_)) if link.is_open() => {
                    debug!(%to, %error, "announcing an offer again");
                }
                AnnouncementEnd::Refused(refusal) => {
                    if !self.pause_announcement(link, number, refusal, &mut pauses).await {
                        return;
                    }
                }
                AnnouncementEnd::Lost(error) => {
                    debug!(%to, %error, "an announcement has ended");
                    break;
                }
                AnnouncementEnd::Stored(OfferEnd { files, bytes }) => {
                    let record = move |store: &PeerStore, now| {
                        store.record_stored(number, files, bytes, now)
                    };
                    self.settle(&source, record).await;
                    break;
                }
                AnnouncementEnd::Settled(state) => {
                    let record =
                        move |store: &PeerStore, now| store.set_outgoing_state(number, state, now);
                    self.settle(&source, record).await;
                    break;
                }
            }
        }
        self.0.changed.notify_waiters();
    }

    /// Records the end of an offer, and reports it.
    async fn settle(
        &self,
        source: &OfferSource,
        record: impl FnOnce(&PeerStore, Timestamp) -> Result<OutgoingOffer, PeerStoreError>
        + Send
        + 'static,
    ) {
        let now = Timestamp(Utc::now());
        match self.with_store(move |store| record(store, now)).await {
            Ok(OutgoingOffer { number, recipient: to, state, .. }) => {
                self.publish(PeerEvent::OfferEnded { number, to, state }).await;
            }
            Err(error) => debug!(%error, "an offer was settled before"),
        }
        self.remove_source(source.offer.id);
    }

    /// Announces an offer on the best path, and once it is accepted on better ones too. Sets `is_accepted`.
    async fn run_announcement(
        &self,
        link: &PeerLink,
        source: &OfferSource,
        is_accepted: &mut bool,
    ) -> AnnouncementEnd {
        let OutgoingOffer { number, id, counts, .. } = &source.offer;
        let OfferCounts { count, files, bytes } = *counts;
        let offer = Offer { offer: *id, entries: source.entries().to_vec(), count, files, bytes };
        let request = PeerRequest::Offer(offer);
        let mut announcement = match Announcement::start(link, request, self.0.timeout) {
            Ok(announcement) => announcement,
            Err(error) => return AnnouncementEnd::Lost(error),
        };
        loop {
            let (number, to) = (*number, link.name().clone());
            match announcement.next(*is_accepted).await {
                Ok(PeerPart::Reply(PeerReply::Pending)) => {
                    let now = Timestamp(Utc::now());
                    let offer = self.with_store(move |store| store.outgoing_offer(number, now));
                    // Withdrawn before the recipient knew of it: the announcement was on its way.
                    if offer.await.is_ok_and(|offer| offer.state == OutgoingState::Withdrawn) {
                        self.tell_withdrawn(link, *id).await;
                        continue;
                    }
                    self.publish(PeerEvent::OfferPending { number, to }).await;
                }
                Ok(PeerPart::Reply(PeerReply::Accepted)) => {
                    link.set_accepted();
                    source.set_accepted();
                    if std::mem::replace(is_accepted, true) {
                        continue;
                    }
                    let (state, now) = (OutgoingState::Accepted, Timestamp(Utc::now()));
                    let recorded = self
                        .with_store(move |store| store.set_outgoing_state(number, state, now))
                        .await;
                    if let Err(error) = recorded {
                        debug!(%error, "an offer was settled before");
                    }
                    self.publish(PeerEvent::OfferAccepted { number, to }).await;
                }
                Ok(PeerPart::Reply(_)) => {
                    return AnnouncementEnd::Lost(unexpected_reply("expected accepted"));
                }
                Ok(PeerPart::End(end)) => return AnnouncementEnd::Stored(end),
                Err(StreamError::Refused(refusal)) => {
                    return match refusal.code {
                        RefusalCode::Declined => AnnouncementEnd::Settled(OutgoingState::Declined),
                        RefusalCode::BadPath => {
                            let why = format!("{to} cannot store the files: {refusal}");
                            AnnouncementEnd::Settled(OutgoingState::Failed(why))
                        }
                        _ => AnnouncementEnd::Refused(refusal),
                    };
                }
                Err(error) => return AnnouncementEnd::Lost(error),
            }
        }
    }
}
