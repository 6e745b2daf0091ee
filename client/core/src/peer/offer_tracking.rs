//! What this process has told about incoming offers: to its interface, and to their senders. Other clients decide how
//! many offers there are, so settled ones are forgotten. Reads no records.

use std::collections::{HashMap, HashSet};

use crate::peer_store::OfferNumber;

/// Numbers above which settled offers are looked for: twice as many as can be unsettled.
const MAX_REPORTED: usize = 128;

/// The incoming offers that the interface knows.
#[derive(Debug, Default)]
pub(super) struct ReportedOffers(HashSet<OfferNumber>);

/// The offers that this process fetches, and whether their senders know the outcome, or why there is none yet.
#[derive(Debug, Default)]
pub(super) struct AwaitedAnswers(HashMap<OfferNumber, bool>);

/// The conversations about incoming offers that run: a sender announces an offer on every path. What is to be told is
/// kept until all of them have ended.
#[derive(Debug, Default)]
pub(super) struct OfferConversations(HashMap<OfferNumber, RunningConversations>);

#[derive(Debug, Default)]
struct RunningConversations {
    count: usize,
    has_delivered: bool,
}

impl ReportedOffers {
    /// Adds an offer. Returns whether it is new.
    pub(super) fn insert(&mut self, number: OfferNumber) -> bool {
        self.0.insert(number)
    }

    pub(super) fn contains(&self, number: OfferNumber) -> bool {
        self.0.contains(&number)
    }

    pub(super) fn remove(&mut self, number: OfferNumber) {
        self.0.remove(&number);
    }

    /// Whether some of the offers are settled, for there are more than can be open.
    pub(super) fn has_settled(&self) -> bool {
        self.0.len() > MAX_REPORTED
    }

    /// Forgets all but these.
    pub(super) fn retain(&mut self, unsettled: &HashSet<OfferNumber>) {
        self.0.retain(|number| unsettled.contains(number));
    }
}

impl AwaitedAnswers {
    /// From now on, the outcome for this offer is awaited; an earlier one does not count.
    pub(super) fn expect(&mut self, number: OfferNumber) {
        self.0.insert(number, false);
    }

    /// Records that the sender of an offer knows the outcome, if that is awaited.
    pub(super) fn set_answered(&mut self, number: OfferNumber) {
        if let Some(is_answered) = self.0.get_mut(&number) {
            *is_answered = true;
        }
    }

    pub(super) fn is_answered(&self, number: OfferNumber) -> bool {
        self.0.get(&number).copied().unwrap_or(false)
    }

    /// The outcome is not awaited any more.
    pub(super) fn remove(&mut self, number: OfferNumber) {
        self.0.remove(&number);
    }
}

impl OfferConversations {
    /// Adds a conversation about an offer.
    pub(super) fn add(&mut self, offer: OfferNumber) {
        self.0.entry(offer).or_default().count += 1;
    }

    /// Ends a conversation, which has delivered its answer or not. Returns whether it was the last one, and one of them
    /// has delivered an answer.
    pub(super) fn end(&mut self, offer: OfferNumber, has_delivered: bool) -> bool {
        let Some(running) = self.0.get_mut(&offer) else { return has_delivered };
        running.count -= 1;
        running.has_delivered |= has_delivered;
        let is_answered = running.has_delivered;
        if running.count > 0 {
            return false;
        }
        self.0.remove(&offer);
        is_answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_offers_are_forgotten_before_they_are_many() {
        let mut reported = ReportedOffers::default();
        let unsettled = HashSet::from([OfferNumber(1), OfferNumber(2)]);
        for number in 1..10_000 {
            assert!(reported.insert(OfferNumber(number)));
            if reported.has_settled() {
                reported.retain(&unsettled);
            }
            assert!(reported.0.len() <= MAX_REPORTED, "{}", reported.0.len());
        }
        assert!(!reported.insert(OfferNumber(1)) && !reported.insert(OfferNumber(2)));
    }

    #[test]
    fn answers_count_only_while_they_are_awaited() {
        let mut awaited = AwaitedAnswers::default();
        for number in 1..10_000 {
            awaited.set_answered(OfferNumber(number));
        }
        assert!(awaited.0.is_empty() && !awaited.is_answered(OfferNumber(1)));
        awaited.expect(OfferNumber(1));
        assert!(!awaited.is_answered(OfferNumber(1)));
        awaited.set_answered(OfferNumber(1));
        assert!(awaited.is_answered(OfferNumber(1)));
        awaited.expect(OfferNumber(1));
        assert!(!awaited.is_answered(OfferNumber(1)));
        awaited.remove(OfferNumber(1));
        assert!(awaited.0.is_empty());
    }

    #[test]
    fn an_answer_is_kept_until_all_conversations_have_ended() {
        let (mut conversations, offer) = (OfferConversations::default(), OfferNumber(1));
        conversations.add(offer);
        assert!(!conversations.end(offer, false));
        for has_delivered in [[true, false], [false, true]] {
            conversations.add(offer);
            conversations.add(offer);
            conversations.add(OfferNumber(2));
            assert!(!conversations.end(offer, has_delivered[0]));
            assert!(conversations.end(offer, has_delivered[1]));
            assert!(conversations.end(OfferNumber(2), true));
        }
        assert!(conversations.0.is_empty());
    }
}
