//! What this process has told about incoming offers: to its interface, and to their senders. Other clients decide how
//! many offers there are, so settled ones are forgotten. Reads no records.

use std::collections::{HashMap, HashSet};

use quiver_protocol::IntroductionId;

use crate::peer_store::OfferNumber;

/// Numbers above which settled offers are looked for: twice as many as can be unsettled.
const MAX_REPORTED: usize = 128;

/// The incoming offers that the interface knows.
#[derive(Debug, Default)]
pub(super) struct ReportedOffers(HashSet<OfferNumber>);

/// The offers that this process fetches, and whether their senders know the outcome, or why there is none yet.
#[derive(Debug, Default)]
pub(super) struct AwaitedAnswers(HashMap<OfferNumber, bool>);

/// The newest conversation about each incoming offer on each link. A sender announces an offer on every path of a link:
/// one of these conversations is answered.
#[derive(Debug, Default)]
pub(super) struct NewestConversations {
    newest: HashMap<(OfferNumber, IntroductionId), u64>,
    count: u64,
}

/// A conversation about an incoming offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct OfferConversation {
    pub(super) offer: OfferNumber,
    link: IntroductionId,
    count: u64,
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

impl NewestConversations {
    /// Adds a conversation about an offer on the link of this introduction.
    pub(super) fn add(&mut self, offer: OfferNumber, link: IntroductionId) -> OfferConversation {
        self.count += 1;
        self.newest.insert((offer, link), self.count);
        OfferConversation { offer, link, count: self.count }
    }

    /// Whether no other conversation about the offer was added on the link since.
    pub(super) fn is_newest(&self, conversation: OfferConversation) -> bool {
        let OfferConversation { offer, link, count } = conversation;
        self.newest.get(&(offer, link)) == Some(&count)
    }

    /// Removes a conversation that has ended.
    pub(super) fn remove(&mut self, conversation: OfferConversation) {
        if self.is_newest(conversation) {
            self.newest.remove(&(conversation.offer, conversation.link));
        }
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
    fn one_conversation_about_an_offer_is_the_newest_of_a_link() {
        let mut conversations = NewestConversations::default();
        let (offer, link) = (OfferNumber(1), IntroductionId([1; 16]));
        let first = conversations.add(offer, link);
        let others = [(OfferNumber(2), link), (offer, IntroductionId([2; 16]))];
        let others = others.map(|(offer, link)| conversations.add(offer, link));
        assert!(conversations.is_newest(first));
        let second = conversations.add(offer, link);
        assert!(!conversations.is_newest(first) && conversations.is_newest(second));
        // The end of an earlier one changes nothing.
        conversations.remove(first);
        assert!(conversations.is_newest(second));
        conversations.remove(second);
        assert!(others.iter().all(|other| conversations.is_newest(*other)));
        for other in others {
            conversations.remove(other);
        }
        assert!(conversations.newest.is_empty());
    }
}
