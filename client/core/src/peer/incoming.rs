//! The receiver of `offer`: records offers, waits for this person's answer, and tells the sender. The files are
//! fetched elsewhere.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::text::display_remark;
use quiver_protocol::{
    Fingerprint, Offer, OfferEnd, OfferId, PeerReply, Refusal, RefusalCode, Timestamp,
};
use tokio::time::sleep;
use tracing::debug;

use super::conversation::Conversation;
use super::requests::RequestError;
use super::{PeerLink, Peers, offered_paths};
use crate::error::{ClientError, PeerError};
use crate::peer_event::PeerEvent;
use crate::peer_store::{
    AnnouncedOffer, IncomingOffer, IncomingState, OfferNumber, PeerStoreError,
};

/// How often the records are read for answers that other processes have given.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long the sender may take to receive the last answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The sender of an offer will know the outcome of an attempt to fetch it. Dropped when that does not matter any more.
#[derive(Debug)]
pub(crate) struct ExpectedAnswer {
    peers: Peers,
    number: OfferNumber,
}

impl ExpectedAnswer {
    /// Waits until the sender knows the outcome, or is not connected any more: then it asks again later.
    pub(crate) async fn wait(&self, sender: Fingerprint) {
        let shared = &self.peers.0;
        loop {
            let changed = shared.changed.notified();
            let links = self.peers.links();
            let has_link = links.iter().any(|link| link.key() == sender && link.is_open());
            if !has_link || shared.state.lock().awaited_answers.is_answered(self.number) {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for ExpectedAnswer {
    fn drop(&mut self) {
        self.peers.0.state.lock().awaited_answers.remove(self.number);
    }
}

impl Peers {
    /// Receives an offer, and answers it to its end.
    pub(super) async fn receive_offer(
        &self,
        link: &PeerLink,
        offer: Offer,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let mut number = None;
        let answered = match self.answer_offer(link, offer, &mut number, conversation).await {
            Err(RequestError::Refused(refusal)) => conversation.stream.refuse(&refusal).await,
            Err(RequestError::Stream(error)) => Err(error),
            Ok(end) => conversation.end(&end).await,
        };
        // Without the answer, the sender announces the offer again on another path or link.
        let is_delivered =
            answered.is_ok() && conversation.stream.writer.delivered(ANSWER_TIMEOUT).await;
        if let Some(number) = number {
            let mut state = self.0.state.lock();
            if answered.is_ok() {
                state.reported.remove(number);
            }
            if state.offer_conversations.end(number, is_delivered) {
                state.failures.remove(&number);
            }
            if is_delivered {
                state.awaited_answers.set_answered(number);
            }
        }
        self.0.changed.notify_waiters();
        Ok(answered?)
    }

    /// Whether a sender has announced this offer to this process, and waits for the answer.
    pub(crate) fn is_announced(&self, number: OfferNumber) -> bool {
        self.0.state.lock().reported.contains(number)
    }

    /// Starts an attempt of which the sender of an offer will know the outcome. An earlier one does not count.
    pub(crate) fn expect_answer(&self, number: OfferNumber) -> ExpectedAnswer {
        let mut state = self.0.state.lock();
        state.failures.remove(&number);
        state.awaited_answers.expect(number);
        drop(state);
        ExpectedAnswer { peers: self.clone(), number }
    }

    /// Records an offer, waits until it is settled, and returns the end of the response. Sets its number.
    async fn answer_offer(
        &self,
        link: &PeerLink,
        offer: Offer,
        recorded: &mut Option<OfferNumber>,
        conversation: &mut Conversation,
    ) -> Result<OfferEnd, RequestError> {
        for entry in &offer.entries {
            if let Err(why) = offered_paths::offered_name(entry.name.as_str()) {
                let refusal = Refusal::new(RefusalCode::BadPath, why);
                self.report_offer_refusal(link, &refusal).await;
                return Err(RequestError::Refused(refusal));
            }
        }
        let mut incoming = self.record(link, &offer).await?;
        let number = incoming.number;
        self.0.state.lock().offer_conversations.add(number);
        *recorded = Some(number);
        self.remove_old_failure(number);
        if incoming.state == IncomingState::Open {
            if self.0.state.lock().reported.insert(number) {
                self.forget_settled_offers().await?;
                if self.policy().accepts_by_rule()
                    && let Some(accepted) = self.accept_by_rule(number).await?
                {
                    incoming = accepted;
                }
                self.publish(PeerEvent::OfferReceived(Arc::new(incoming.clone()))).await;
            }
            conversation.reply(&PeerReply::Pending).await?;
        }
        let mut is_accepted = false;
        loop {
            let changed = self.0.changed.notified();
            match &incoming.state {
                IncomingState::Open => {}
                IncomingState::Accepted { .. } => {
                    if !std::mem::replace(&mut is_accepted, true) {
                        link.set_accepted();
                        conversation.reply(&PeerReply::Accepted).await?;
                    }
                    // Kept until it is delivered: the sender may move to another path meanwhile.
                    let failure = self.0.state.lock().failures.get(&number).cloned();
                    if let Some((_, refusal)) = failure {
                        return Err(RequestError::Refused(refusal));
                    }
                    // Fails if the queue is full; the next round tries again.
                    let _ = self.0.accepted.try_send(number);
                }
                IncomingState::Stored { files, bytes, .. } => {
                    let (files, bytes) = (*files, *bytes);
                    return Ok(OfferEnd { files, bytes });
                }
                IncomingState::Declined => {
                    let message = "the other person declined";
                    return Err(RequestError::refused(RefusalCode::Declined, message));
                }
                IncomingState::Withdrawn | IncomingState::Expired => {
                    let message = "this offer has ended";
                    return Err(RequestError::refused(RefusalCode::Declined, message));
                }
                IncomingState::Failed(why) => {
                    return Err(RequestError::refused(RefusalCode::BadPath, why.clone()));
                }
            }
            let (reader, stopped) =
                (&mut conversation.stream.reader, conversation.stream.writer.stopped());
            tokio::select! {
                biased;
                // The sender gave up, or the link is lost.
                error = reader.interrupted() => return Err(error.into()),
                // It announces the offer on another path.
                error = stopped => return Err(error.into()),
                () = changed => {}
                () = sleep(POLL_INTERVAL) => {}
            }
            let (was_open, now) = (incoming.state == IncomingState::Open, Timestamp(Utc::now()));
            incoming = self.with_store(move |store| store.incoming_offer(number, now)).await?;
            if was_open && incoming.state != IncomingState::Open {
                self.publish(PeerEvent::OfferSettled(Arc::new(incoming.clone()))).await;
            }
        }
    }

    /// Accepts an offer if this person always accepts those of its sender.
    async fn accept_by_rule(
        &self,
        number: OfferNumber,
    ) -> Result<Option<IncomingOffer>, ClientError> {
        let now = Timestamp(Utc::now());
        self.with_store(move |store| store.accept_by_rule(number, now)).await
    }

    /// Bounds the numbers that are kept of offers whose streams were reset, and which other processes have settled.
    async fn forget_settled_offers(&self) -> Result<(), ClientError> {
        if !self.0.state.lock().reported.has_settled() {
            return Ok(());
        }
        let now = Timestamp(Utc::now());
        let mut offers = self.with_store(move |store| store.incoming_offers(now)).await?;
        offers.retain(|offer| !offer.state.is_settled());
        let unsettled = offers.iter().map(|offer| offer.number).collect();
        self.0.state.lock().reported.retain(&unsettled);
        Ok(())
    }

    async fn record(&self, link: &PeerLink, offer: &Offer) -> Result<IncomingOffer, RequestError> {
        let (server, offer) = (self.session()?.server_ref().clone(), offer.clone());
        let (sender, key) = (link.name().clone(), link.key());
        let now = Timestamp(Utc::now());
        let recorded = self.with_store(move |store| {
            let (server, sender, offer) = (&server, &sender, &offer);
            store.record_incoming(AnnouncedOffer { server, sender, key, offer }, now)
        });
        recorded.await.map_err(|error| match error {
            ClientError::Peer(PeerError::Store(PeerStoreError::TooManyOffers { limit })) => {
                let message = format!("there are {limit} open offers already");
                RequestError::refused(RefusalCode::RateLimited, message)
            }
            error => error.into(),
        })
    }

    /// Forgets an offer that its sender has withdrawn.
    pub(super) async fn withdraw_incoming(
        &self,
        link: &PeerLink,
        id: OfferId,
    ) -> Result<(), RequestError> {
        let (key, now) = (link.key(), Timestamp(Utc::now()));
        let server = self.server_key()?;
        let withdrawn =
            self.with_store(move |store| store.withdraw_incoming(server, key, id, now)).await?;
        self.0.changed.notify_waiters();
        if let Some(offer) = withdrawn {
            self.publish(PeerEvent::OfferSettled(Arc::new(offer))).await;
        }
        Ok(())
    }

    /// Tells the sender of an accepted offer why it cannot be stored now. A sender that has not announced it on its link
    /// yet is told when it does.
    pub(crate) fn set_failure(&self, offer: &IncomingOffer, refusal: Refusal) {
        let number = offer.number;
        if let Some(link) = self.link_with(&offer.sender, Some(offer.key)) {
            self.0.state.lock().failures.insert(number, (link.id(), refusal));
        }
        self.0.changed.notify_waiters();
    }

    /// Forgets why an earlier attempt failed, whose sender has gone.
    fn remove_old_failure(&self, number: OfferNumber) {
        let mut state = self.0.state.lock();
        let link = state.failures.get(&number).map(|(link, _)| *link);
        if link.is_some_and(|link| !state.links.contains_key(&link)) {
            state.failures.remove(&number);
        }
    }

    /// Reports an offer that breaks a rule.
    pub(super) async fn report_refused_offer(
        &self,
        link: &PeerLink,
        payload: &[u8],
        refusal: &Refusal,
    ) {
        // The text of an invalid request is not parsed further.
        let is_offer = payload.windows(7).any(|window| window == b"\"offer\"");
        if is_offer && refusal.code != RefusalCode::UnknownCommand {
            self.report_offer_refusal(link, refusal).await;
        }
    }

    async fn report_offer_refusal(&self, link: &PeerLink, refusal: &Refusal) {
        debug!(from = %link.name(), %refusal, "refused an offer");
        let why = display_remark(&refusal.message).into_owned();
        self.publish(PeerEvent::OfferRefused { from: link.name().clone(), why }).await;
    }
}
