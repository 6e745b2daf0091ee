//! The conversations with the present server and its clients, as far as pages show them without asking: their ends, and
//! the messages that are not kept on the disk. Each of them is bounded.

use std::collections::{BTreeMap, VecDeque};

use quiver_protocol::{ClientName, Fingerprint, Timestamp};

use crate::peer_name::PeerName;
use crate::views::{ConversationView, MessageState, MessageView};

/// Messages of a conversation that are not kept. A further one removes the oldest.
const MAX_MESSAGES: usize = 1000;

/// Bytes of their texts, beside the last one. Further ones remove the oldest.
const MAX_BYTES: usize = 512 * 1024;

/// Conversations. A further one removes that with the oldest last message.
const MAX_CONVERSATIONS: usize = 100;

/// Messages of a page of a conversation.
pub(crate) const MAX_PAGE: usize = 500;

/// On which server, and under which name, this person has these conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConversationScope {
    /// The fingerprint of the server's key.
    pub(crate) server: Fingerprint,
    /// The name of this person.
    pub(crate) own_name: ClientName,
}

/// All conversations.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    scope: Option<ConversationScope>,
    logs: BTreeMap<String, ConversationLog>,
}

#[derive(Debug)]
struct ConversationLog {
    with: PeerName,
    last_number: u64,
    unread: u64,
    last: Option<MessageView>,
    /// In the order of their numbers.
    unkept: VecDeque<MessageView>,
}

impl Conversations {
    /// The server and name; `None` before the first sign-in.
    pub(crate) fn scope(&self) -> Option<&ConversationScope> {
        self.scope.as_ref()
    }

    /// Takes over the conversations that are kept. Forgets those of another server or name.
    pub(crate) fn load(&mut self, scope: ConversationScope, kept: Vec<ConversationView>) {
        if self.scope.as_ref() != Some(&scope) {
            self.logs.clear();
        }
        self.scope = Some(scope);
        for ConversationView { with, unread, last } in kept {
            let log = self.log(with);
            // Else it is known already, perhaps with later messages that are not kept.
            if let Some(last) = last.filter(|last| last.number > log.last_number) {
                log.last_number = last.number;
                (log.unread, log.last) = (unread, Some(last));
            }
        }
    }

    fn log(&mut self, with: PeerName) -> &mut ConversationLog {
        self.logs.entry(with.key()).or_insert_with(|| ConversationLog {
            with,
            last_number: 0,
            unread: 0,
            last: None,
            unkept: VecDeque::new(),
        })
    }

    /// Adds a message that is kept. Returns whether it is new: after a sign-in, some are both loaded and received.
    pub(crate) fn add_kept(&mut self, message: MessageView) -> bool {
        let log = self.log(message.with.clone());
        if message.number <= log.last_number {
            return false;
        }
        log.add(message);
        self.remove_oldest();
        true
    }

    /// Adds a message that is not kept. Returns it, with its number.
    pub(crate) fn add_unkept(
        &mut self,
        with: PeerName,
        text: String,
        at: Timestamp,
        state: Option<MessageState>,
    ) -> MessageView {
        let log = self.log(with);
        let message = MessageView {
            with: log.with.clone(),
            number: log.last_number + 1,
            mine: state.is_some(),
            text,
            at,
            state,
            answer: None,
            why: None,
        };
        log.add(message.clone());
        log.unkept.push_back(message.clone());
        log.remove_oldest();
        self.remove_oldest();
        message
    }

    fn remove_oldest(&mut self) {
        if self.logs.len() > MAX_CONVERSATIONS {
            let last = |log: &ConversationLog| log.last.as_ref().map(|message| message.at);
            let oldest = self.logs.iter().min_by_key(|(_, log)| last(log));
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.logs.remove(&oldest);
            }
        }
    }

    /// Records what became of a message of this person. Returns whether it is known, unless it is kept.
    pub(crate) fn settle(&mut self, settled: &MessageView) -> bool {
        let Some(log) = self.logs.get_mut(&settled.with.key()) else { return false };
        let is_settled = |found: &&mut MessageView| {
            found.number == settled.number && found.mine && found.at == settled.at
        };
        if let Some(last) = log.last.as_mut().filter(is_settled) {
            *last = settled.clone();
        }
        match log.unkept.iter_mut().find(is_settled) {
            Some(found) => {
                *found = settled.clone();
                true
            }
            None => false,
        }
    }

    /// The messages before a number that are not kept, or the last of them, oldest first.
    pub(crate) fn unkept(
        &self,
        with: &PeerName,
        before: Option<u64>,
        limit: usize,
    ) -> Vec<MessageView> {
        let Some(log) = self.logs.get(&with.key()) else { return Vec::new() };
        let older = |message: &&MessageView| before.is_none_or(|before| message.number < before);
        let newest_first = log.unkept.iter().rev().filter(older);
        let mut page: Vec<_> = newest_first.take(limit).cloned().collect();
        page.reverse();
        page
    }

    /// The conversations with messages that are not kept, and the last number of each.
    pub(crate) fn with_unkept(&self) -> Vec<(PeerName, u64)> {
        let logs = self.logs.values().filter(|log| !log.unkept.is_empty());
        logs.map(|log| (log.with.clone(), log.last_number)).collect()
    }

    /// Marks a conversation as read. Returns its new state, if that has changed.
    pub(crate) fn mark_read(&mut self, with: &PeerName) -> Option<ConversationView> {
        let log = self.logs.get_mut(&with.key())?;
        if log.unread == 0 {
            return None;
        }
        log.unread = 0;
        Some(log.view())
    }

    /// Removes the messages of a conversation, or of all of them.
    pub(crate) fn clear(&mut self, with: Option<&PeerName>) {
        match with {
            Some(with) => drop(self.logs.remove(&with.key())),
            None => self.logs.clear(),
        }
    }

    /// The state of a conversation.
    pub(crate) fn view(&self, with: &PeerName) -> Option<ConversationView> {
        self.logs.get(&with.key()).map(ConversationLog::view)
    }

    /// The states of all conversations.
    pub(crate) fn views(&self) -> Vec<ConversationView> {
        self.logs.values().map(ConversationLog::view).collect()
    }
}

impl ConversationLog {
    fn view(&self) -> ConversationView {
        let last = self.last.clone();
        ConversationView { with: self.with.clone(), unread: self.unread, last }
    }

    fn add(&mut self, message: MessageView) {
        self.last_number = message.number;
        self.unread += u64::from(!message.mine);
        self.with = message.with.clone();
        self.last = Some(message);
    }

    fn remove_oldest(&mut self) {
        let messages = &mut self.unkept;
        let mut bytes: usize = messages.iter().map(bytes).sum();
        while messages.len() > 1 && (messages.len() > MAX_MESSAGES || bytes > MAX_BYTES) {
            bytes -= messages.pop_front().as_ref().map_or(0, self::bytes);
        }
    }
}

/// A page of a conversation: the last messages of both kinds, oldest first, and whether there are older ones. Each kind is
/// in the order of its numbers, and has one more message than the page if there are more.
pub(crate) fn merge(
    kept: Vec<MessageView>,
    unkept: Vec<MessageView>,
    limit: usize,
) -> (Vec<MessageView>, bool) {
    let mut all = kept;
    all.extend(unkept);
    all.sort_by_key(|message| message.number);
    let surplus = all.len().saturating_sub(limit);
    all.drain(..surplus);
    (all, surplus > 0)
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

    fn receive(all: &mut Conversations, from: &str, text: &str) -> u64 {
        all.add_unkept(peer(from), text.to_owned(), at(1), None).number
    }

    fn kept(from: &str, number: u64) -> MessageView {
        let (text, with) = (number.to_string(), peer(from));
        let (state, answer, why) = (None, None, None);
        MessageView { with, number, mine: false, text, at: at(1), state, answer, why }
    }

    fn numbers(messages: &[MessageView]) -> Vec<u64> {
        messages.iter().map(|message| message.number).collect()
    }

    fn load(all: &mut Conversations, unread: u64, last: u64) {
        let own_name = ClientName::parse("Ben").unwrap();
        let scope = ConversationScope { server: Fingerprint([1; 32]), own_name };
        let view = ConversationView { with: peer("Ann"), unread, last: Some(kept("Ann", last)) };
        all.load(scope, vec![view]);
    }

    #[test]
    fn messages_that_are_not_kept_follow_those_that_are() {
        let mut all = Conversations::default();
        load(&mut all, 1, 3);
        assert_eq!((receive(&mut all, "ann", "a"), receive(&mut all, "Ann", "b")), (4, 5));
        let page = |before: Option<u64>, limit: usize| {
            let of_disk = [1, 2, 3].map(|number| kept("Ann", number)).to_vec();
            let older = of_disk.into_iter().filter(|kept| before.is_none_or(|at| kept.number < at));
            merge(older.collect(), all.unkept(&peer("ANN"), before, limit + 1), limit)
        };
        let read = |before, limit| {
            let (messages, more) = page(before, limit);
            (numbers(&messages), more)
        };
        assert_eq!(read(None, 3), (vec![3, 4, 5], true));
        assert_eq!(read(Some(5), 2), (vec![3, 4], true));
        assert_eq!(read(Some(3), 9), (vec![1, 2], false));
        assert_eq!(all.with_unkept(), [(peer("Ann"), 5)]);
        assert!(all.add_kept(kept("Ann", 6)));
        assert_eq!(all.view(&peer("Ann")).unwrap().unread, 4);
    }

    #[test]
    fn a_message_that_is_loaded_and_received_counts_once() {
        let mut all = Conversations::default();
        load(&mut all, 2, 3);
        assert!(!all.add_kept(kept("Ann", 3)));
        assert!(all.add_kept(kept("Ann", 4)));
        assert_eq!(all.view(&peer("Ann")).unwrap().unread, 3);
    }

    #[test]
    fn what_was_missed_is_loaded_again_and_nothing_is_lost_by_that() {
        let mut all = Conversations::default();
        load(&mut all, 0, 3);
        load(&mut all, 2, 5);
        assert_eq!(all.view(&peer("Ann")).unwrap().unread, 2);
        receive(&mut all, "Ann", "not kept");
        load(&mut all, 2, 5);
        let view = all.view(&peer("Ann")).unwrap();
        assert_eq!((view.unread, view.last.unwrap().number), (3, 6));
        let other = ClientName::parse("Other").unwrap();
        all.load(ConversationScope { server: Fingerprint([1; 32]), own_name: other }, Vec::new());
        assert_eq!(all.views(), []);
    }

    #[test]
    fn unread_messages_count_until_they_are_read() {
        let mut all = Conversations::default();
        receive(&mut all, "Ann", "a");
        all.add_unkept(peer("Ann"), "b".to_owned(), at(2), Some(MessageState::Sending));
        receive(&mut all, "Ann", "c");
        assert_eq!(all.view(&peer("Ann")).unwrap().unread, 2);
        assert_eq!(all.mark_read(&peer("Ann")).unwrap().unread, 0);
        assert_eq!(all.mark_read(&peer("Ann")), None);
    }

    #[test]
    fn a_message_is_settled_unless_it_was_cleared() {
        let mut all = Conversations::default();
        let sending = Some(MessageState::Sending);
        let first = all.add_unkept(peer("server"), "a".to_owned(), at(1), sending);
        let settled = MessageView { state: Some(MessageState::Delivered), ..first };
        assert!(all.settle(&settled));
        assert_eq!(all.view(&peer("server")).unwrap().last, Some(settled.clone()));
        all.clear(None);
        all.add_unkept(peer("server"), "b".to_owned(), at(2), sending);
        assert!(!all.settle(&settled));
        assert_eq!(all.view(&peer("server")).unwrap().last.unwrap().state, sending);
    }

    #[test]
    fn conversations_are_bounded() {
        let mut all = Conversations::default();
        for number in 0..=MAX_CONVERSATIONS {
            all.add_unkept(peer(&format!("c{number}")), "a".to_owned(), at(number as i64), None);
        }
        assert_eq!(all.views().len(), MAX_CONVERSATIONS);
        assert_eq!(all.view(&peer("c0")), None);
        for _ in 0..=MAX_MESSAGES {
            receive(&mut all, "c9", "a");
        }
        assert_eq!(all.logs["@c9"].unkept.len(), MAX_MESSAGES);
        for _ in 0..5 {
            receive(&mut all, "c9", &"a".repeat(MAX_BYTES / 4));
        }
        assert_eq!(all.logs["@c9"].unkept.len(), 4);
        receive(&mut all, "c9", &"a".repeat(2 * MAX_BYTES));
        assert_eq!(all.logs["@c9"].unkept.len(), 1);
    }
}
