//! The conversations of this run, with the server and with other clients. In memory, each of them bounded.

use std::collections::{BTreeMap, VecDeque};

use quiver_protocol::Timestamp;

use crate::peer_name::PeerName;
use crate::views::{ConversationView, MessageState, MessageView};

/// Messages of a conversation. A further one removes the oldest.
const MAX_MESSAGES: usize = 1000;

/// Bytes of the texts of a conversation, beside the last one. Further ones remove the oldest.
const MAX_BYTES: usize = 512 * 1024;

/// Conversations. A further one removes that with the oldest last message.
const MAX_CONVERSATIONS: usize = 100;

/// Messages of a page of a conversation.
const MAX_PAGE: usize = 500;

/// All conversations.
#[derive(Debug, Default)]
pub(crate) struct Conversations(BTreeMap<String, ConversationLog>);

#[derive(Debug)]
struct ConversationLog {
    with: PeerName,
    messages: VecDeque<MessageView>,
    last_number: u64,
    unread: u64,
}

impl Conversations {
    /// Adds a message of this person, which is being sent.
    pub(crate) fn add_own(&mut self, with: PeerName, text: String, at: Timestamp) -> MessageView {
        self.add(with, text, at, true)
    }

    /// Adds a message of the other side, which is unread.
    pub(crate) fn add_received(&mut self, with: PeerName, text: String, at: Timestamp) {
        self.add(with, text, at, false);
    }

    fn add(&mut self, with: PeerName, text: String, at: Timestamp, mine: bool) -> MessageView {
        let log = self.0.entry(with.key()).or_insert_with(|| ConversationLog {
            with: with.clone(),
            messages: VecDeque::new(),
            last_number: 0,
            unread: 0,
        });
        log.last_number += 1;
        let message = MessageView {
            with: log.with.clone(),
            number: log.last_number,
            mine,
            text,
            at,
            state: mine.then_some(MessageState::Sending),
            answer: None,
            why: None,
        };
        log.unread = if mine { log.unread } else { log.unread + 1 };
        log.messages.push_back(message.clone());
        log.remove_oldest();
        if self.0.len() > MAX_CONVERSATIONS {
            let last = |log: &ConversationLog| log.messages.back().map(|message| message.at);
            let oldest = self.0.iter().min_by_key(|(_, log)| last(log));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.0.remove(&oldest);
            }
        }
        message
    }

    /// Records what became of a message of this person. Returns the changed message, unless it was removed.
    pub(crate) fn settle(
        &mut self,
        message: &MessageView,
        state: MessageState,
        answer: Option<String>,
        why: Option<String>,
    ) -> Option<MessageView> {
        let log = self.0.get_mut(&message.with.key())?;
        let found = log.messages.iter_mut().rev().find(|found| found.number == message.number)?;
        (found.state, found.answer, found.why) = (Some(state), answer, why);
        Some(found.clone())
    }

    /// The messages before a number, or the last ones, oldest first, and whether there are older ones.
    pub(crate) fn page(
        &self,
        with: &PeerName,
        before: Option<u64>,
        limit: usize,
    ) -> (Vec<MessageView>, bool) {
        let Some(log) = self.0.get(&with.key()) else { return (Vec::new(), false) };
        let older = |message: &&MessageView| before.is_none_or(|before| message.number < before);
        let mut newest_first = log.messages.iter().rev().filter(older);
        let limit = limit.min(MAX_PAGE);
        let mut page: Vec<_> = newest_first.by_ref().take(limit).cloned().collect();
        page.reverse();
        (page, newest_first.next().is_some())
    }

    /// Marks a conversation as read. Returns its new state, if that has changed.
    pub(crate) fn mark_read(&mut self, with: &PeerName) -> Option<ConversationView> {
        let log = self.0.get_mut(&with.key())?;
        if log.unread == 0 {
            return None;
        }
        log.unread = 0;
        Some(log.view())
    }

    /// Removes the messages of a conversation, or of all of them.
    pub(crate) fn clear(&mut self, with: Option<&PeerName>) {
        match with {
            // The log stays, so that no number is used twice.
            Some(with) => self.0.get_mut(&with.key()).into_iter().for_each(ConversationLog::clear),
            None => self.0.values_mut().for_each(ConversationLog::clear),
        }
    }

    /// The state of a conversation.
    pub(crate) fn view(&self, with: &PeerName) -> Option<ConversationView> {
        self.0.get(&with.key()).map(ConversationLog::view)
    }

    /// The states of all conversations.
    pub(crate) fn views(&self) -> Vec<ConversationView> {
        self.0.values().map(ConversationLog::view).collect()
    }
}

impl ConversationLog {
    fn view(&self) -> ConversationView {
        let last = self.messages.back().cloned();
        ConversationView { with: self.with.clone(), unread: self.unread, last }
    }

    fn remove_oldest(&mut self) {
        let mut bytes: usize = self.messages.iter().map(bytes).sum();
        while self.messages.len() > 1 && (self.messages.len() > MAX_MESSAGES || bytes > MAX_BYTES) {
            bytes -= self.messages.pop_front().as_ref().map_or(0, self::bytes);
        }
    }

    fn clear(&mut self) {
        self.messages.clear();
        self.unread = 0;
    }
}

fn bytes(message: &MessageView) -> usize {
    message.text.len() + message.answer.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(DateTime::from_timestamp(seconds, 0).unwrap())
    }

    fn peer(name: &str) -> PeerName {
        PeerName::try_from(name.to_owned()).unwrap()
    }

    #[test]
    fn messages_are_paged_backwards() {
        let mut all = Conversations::default();
        for number in 1..=5 {
            all.add_received(peer("Ann"), number.to_string(), at(number));
        }
        let numbers = |before, limit| {
            let (page, more) = all.page(&peer("ann"), before, limit);
            (page.iter().map(|message| message.number).collect::<Vec<_>>(), more)
        };
        assert_eq!(numbers(None, 2), (vec![4, 5], true));
        assert_eq!(numbers(Some(4), 2), (vec![2, 3], true));
        assert_eq!(numbers(Some(2), 2), (vec![1], false));
        assert_eq!(all.page(&peer("Bob"), None, 9), (vec![], false));
    }

    #[test]
    fn unread_messages_count_until_they_are_read() {
        let mut all = Conversations::default();
        all.add_received(peer("Ann"), "a".to_owned(), at(1));
        all.add_own(peer("Ann"), "b".to_owned(), at(2));
        all.add_received(peer("Ann"), "c".to_owned(), at(3));
        assert_eq!(all.view(&peer("Ann")).unwrap().unread, 2);
        assert_eq!(all.mark_read(&peer("Ann")).unwrap().unread, 0);
        assert_eq!(all.mark_read(&peer("Ann")), None);
    }

    #[test]
    fn a_cleared_conversation_uses_no_number_again() {
        let mut all = Conversations::default();
        let first = all.add_own(peer("server"), "a".to_owned(), at(1));
        all.clear(None);
        assert_eq!(all.settle(&first, MessageState::Delivered, None, None), None);
        assert_eq!(all.add_own(peer("server"), "b".to_owned(), at(2)).number, 2);
    }

    #[test]
    fn conversations_are_bounded() {
        let mut all = Conversations::default();
        for number in 0..=MAX_CONVERSATIONS {
            all.add_received(peer(&format!("c{number}")), "a".to_owned(), at(number as i64));
        }
        assert_eq!(all.views().len(), MAX_CONVERSATIONS);
        assert_eq!(all.view(&peer("c0")), None);
        for _ in 0..=MAX_MESSAGES {
            all.add_received(peer("c9"), "a".to_owned(), at(9));
        }
        assert_eq!(all.0["@c9"].messages.len(), MAX_MESSAGES);
        for _ in 0..5 {
            all.add_received(peer("c9"), "a".repeat(MAX_BYTES / 4), at(9));
        }
        assert_eq!(all.0["@c9"].messages.len(), 4);
        all.add_received(peer("c9"), "a".repeat(2 * MAX_BYTES), at(9));
        assert_eq!(all.0["@c9"].messages.len(), 1);
    }
}
