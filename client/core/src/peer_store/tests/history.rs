//! Conversations that are kept: numbers, unread messages, limits, and what is left after they are cleared.

use super::*;

fn conversation(with: Option<&str>) -> ConversationRef {
    ConversationRef { server: SERVER, own_name: name("Ben"), with: with.map(name) }
}

fn receive(store: &PeerStore, from: &str, id: u64, text: &str) -> u64 {
    store.check_and_remember_key(SERVER, &name(from), KEY, false, second(0)).unwrap();
    let (own_name, at) = (name("Ben"), second(i64::try_from(id).unwrap()));
    let kept = Some(ReceivedText { own_name: &own_name, text, at });
    match store.record_message(SERVER, &name(from), KEY, message_id(id), kept).unwrap() {
        MessageRecord::New { number: Some(number) } => number,
        other => panic!("{other:?}"),
    }
}

fn numbers(store: &PeerStore, with: Option<&str>, before: Option<u64>, limit: usize) -> Vec<u64> {
    let page = store.kept_messages(&conversation(with), before, limit).unwrap();
    page.iter().map(|message| message.number).collect()
}

#[test]
fn messages_are_kept_with_their_state_over_a_restart() {
    let (folder, store) = new_store();
    assert_eq!(receive(&store, "Ron", 1, "hello"), 1);
    let own = store.keep_own_message(&conversation(Some("ron")), "hi", second(2)).unwrap();
    let sent = SentOutcome { state: SentState::Delivered, answer: None, why: None };
    assert!(store.settle_own_message(&conversation(Some("Ron")), own, second(2), &sent).unwrap());
    let asked = store.keep_own_message(&conversation(None), "ping", second(3)).unwrap();
    let answered =
        SentOutcome { state: SentState::Acknowledged, answer: Some("ACK".into()), why: None };
    store.settle_own_message(&conversation(None), asked, second(3), &answered).unwrap();
    drop(store);
    let store = PeerStore::open(folder.path()).unwrap();
    let received = KeptMessage { number: 1, text: "hello".into(), at: second(1), sent: None };
    let mine = KeptMessage { number: 2, text: "hi".into(), at: second(2), sent: Some(sent) };
    let messages = store.kept_messages(&conversation(Some("Ron")), None, 10).unwrap();
    assert_eq!(messages, [received, mine.clone()]);
    let kept = store.kept_conversations(SERVER, &name("BEN")).unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!((&kept[0].with, kept[0].last.sent.clone()), (&None, Some(answered)));
    let ron = KeptConversation { with: Some(name("ron")), unread: 1, last: mine };
    assert_eq!(kept[1], ron);
    store.mark_conversation_read(&conversation(Some("Ron"))).unwrap();
    assert_eq!(store.kept_conversations(SERVER, &name("Ben")).unwrap()[1].unread, 0);
    assert_eq!(receive(&store, "Ron", 3, "again"), 3);
    // Another name or server is another conversation.
    assert_eq!(store.kept_conversations(SERVER, &name("Pete")).unwrap(), []);
    assert_eq!(store.kept_conversations(OTHER_SERVER, &name("Ben")).unwrap(), []);
}

#[test]
fn a_conversation_is_read_backwards_in_pages() {
    let (_folder, store) = new_store();
    for number in 1..=5 {
        assert_eq!(receive(&store, "Ron", number, "a"), number);
    }
    assert_eq!(numbers(&store, Some("Ron"), None, 2), [4, 5]);
    assert_eq!(numbers(&store, Some("Ron"), Some(4), 2), [2, 3]);
    assert_eq!(numbers(&store, Some("Ron"), Some(2), 9), [1]);
    assert_eq!(numbers(&store, Some("Ron"), Some(u64::MAX), 9).len(), 5);
    assert_eq!(numbers(&store, None, None, 9), [0; 0]);
}

#[test]
fn a_message_that_was_being_sent_when_a_process_ended_is_unknown() {
    let (_folder, store) = new_store();
    let ron = conversation(Some("Ron"));
    let first = store.keep_own_message(&ron, "a", second(1)).unwrap();
    store.end_unfinished_messages(SERVER, &name("Ben")).unwrap();
    let state = |store: &PeerStore| {
        store.kept_messages(&ron, None, 1).unwrap()[0].sent.as_ref().unwrap().state
    };
    assert_eq!(state(&store), SentState::Unknown);
    // The other process was alive.
    let sent = SentOutcome { state: SentState::Delivered, answer: None, why: None };
    assert!(store.settle_own_message(&ron, first, second(1), &sent).unwrap());
    assert_eq!(state(&store), SentState::Delivered);
}

#[test]
fn cleared_messages_are_not_in_the_file_any_more() {
    let (folder, store) = new_store();
    let file = folder.path().join("peers.db");
    let contains = |text: &str| {
        let content = std::fs::read(&file).unwrap();
        content.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let own = store.keep_own_message(&conversation(None), "ordinary words", second(1)).unwrap();
    receive(&store, "Ron", 1, &"confidential words ".repeat(5000));
    receive(&store, "Pete", 1, "other words");
    assert!(contains("confidential words") && contains("ordinary words"));
    let size = std::fs::metadata(&file).unwrap().len();
    store.clear_history(Some(&conversation(Some("ron")))).unwrap();
    assert!(!contains("confidential words") && contains("ordinary words"));
    assert!(std::fs::metadata(&file).unwrap().len() < size);
    assert_eq!(numbers(&store, Some("Ron"), None, 9), [0; 0]);
    store.clear_history(None).unwrap();
    assert!(!contains("words"));
    assert_eq!(store.kept_conversations(SERVER, &name("Ben")).unwrap(), []);
    // A message that is settled late does not change another one of its number.
    let again = store.keep_own_message(&conversation(None), "new", second(2)).unwrap();
    assert_eq!(again, own);
    let sent = SentOutcome { state: SentState::Unknown, answer: None, why: None };
    assert!(!store.settle_own_message(&conversation(None), own, second(1), &sent).unwrap());
    // The contact is still known.
    assert!(store.contact(SERVER, &name("Ron")).unwrap().is_some());
}

#[test]
fn a_conversation_is_bounded() {
    let (_folder, store) = new_store();
    let ron = conversation(Some("Ron"));
    store.keep_own_message(&ron, "first", second(1)).unwrap();
    let set = |change: &str| store.database.lock().execute_batch(change).unwrap();
    set("UPDATE conversations SET messages = 10000");
    store.keep_own_message(&ron, "second", second(2)).unwrap();
    assert_eq!(numbers(&store, Some("Ron"), None, 9), [2]);
    set("UPDATE conversations SET messages = 1, bytes = 16000000");
    store.keep_own_message(&ron, "third", second(3)).unwrap();
    assert_eq!(numbers(&store, Some("Ron"), None, 9), [3]);
    // The last one stays, whatever its size.
    store.keep_own_message(&ron, &"a".repeat(16_000_001), second(4)).unwrap();
    assert_eq!(numbers(&store, Some("Ron"), None, 9), [4]);
    // All together are bounded, too.
    store.keep_own_message(&conversation(None), "small", second(5)).unwrap();
    set("UPDATE conversations SET bytes = 300000000 WHERE peer_key = 'ron'");
    store.keep_own_message(&conversation(None), "small", second(6)).unwrap();
    assert_eq!(numbers(&store, Some("Ron"), None, 9), [0; 0]);
    assert_eq!(numbers(&store, None, None, 9), [1, 2]);
}

#[test]
fn names_that_a_server_makes_up_do_not_push_out_those_that_were_written_to() {
    let (_folder, store) = new_store();
    store.keep_own_message(&conversation(Some("Friend")), "hi", second(1)).unwrap();
    for number in 0..=100 {
        receive(&store, &format!("c{number}"), number + 2, "spam");
    }
    let kept = store.kept_conversations(SERVER, &name("Ben")).unwrap();
    assert_eq!(kept.len(), 100);
    assert_eq!(kept.last().unwrap().with, Some(name("Friend")));
    assert!(kept.iter().all(|kept| kept.with != Some(name("c0"))));
}

#[test]
fn numbers_of_messages_that_are_not_kept_are_not_used() {
    let (_folder, store) = new_store();
    let ron = conversation(Some("Ron"));
    store.skip_message_numbers(&ron, 7, second(1)).unwrap();
    assert_eq!(store.kept_conversations(SERVER, &name("Ben")).unwrap(), []);
    assert_eq!(store.keep_own_message(&ron, "a", second(2)).unwrap(), 8);
    store.skip_message_numbers(&ron, 3, second(3)).unwrap();
    assert_eq!(store.keep_own_message(&ron, "b", second(4)).unwrap(), 9);
}

#[test]
fn processes_that_write_at_the_same_time_use_each_number_once() {
    let (folder, _store) = new_store();
    let mut numbers = std::thread::scope(|scope| {
        let write = || {
            let store = PeerStore::open(folder.path()).unwrap();
            (0..5)
                .map(|_| store.keep_own_message(&conversation(None), "a", second(1)).unwrap())
                .collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
}
