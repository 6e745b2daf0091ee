//! Ids of received messages: each is new once.

use super::*;

/// Whether an id that is recorded for a message without its text is new.
fn is_new(recorded: Result<MessageRecord, PeerStoreError>) -> bool {
    match recorded.unwrap() {
        MessageRecord::Known => false,
        MessageRecord::New { number: None } => true,
        kept @ MessageRecord::New { .. } => panic!("{kept:?}"),
    }
}

#[test]
fn an_id_is_new_once_for_each_contact() {
    let (folder, store) = new_store();
    for (server, text) in [(SERVER, "Ron"), (SERVER, "Pete"), (OTHER_SERVER, "Ron")] {
        store.remember_key(server, &name(text), KEY, false, second(0)).unwrap();
    }
    let record = |store: &PeerStore, server, text, id| {
        is_new(store.record_message(server, &name(text), KEY, message_id(id), None))
    };
    assert!(record(&store, SERVER, "Ron", 1));
    assert!(!record(&store, SERVER, "rON", 1));
    assert!(record(&store, SERVER, "Ron", 2));
    assert!(record(&store, SERVER, "Pete", 1));
    assert!(record(&store, OTHER_SERVER, "Ron", 1));
    assert!(!record(&PeerStore::open(folder.path()).unwrap(), SERVER, "Ron", 2));
}

#[test]
fn the_1001st_id_of_a_contact_forgets_the_oldest() {
    let (_folder, store) = new_store();
    for text in ["Ron", "Pete"] {
        store.remember_key(SERVER, &name(text), KEY, false, second(0)).unwrap();
    }
    let record =
        |text, id| is_new(store.record_message(SERVER, &name(text), KEY, message_id(id), None));
    assert!(record("Pete", 1));
    assert!(record("Ron", 1));
    add_messages(&store, "ron", 2..=999);
    assert!(record("Ron", 1000));
    assert!(!record("Ron", 1));
    assert!(record("Ron", 1001));
    assert!(!record("Ron", 2));
    assert!(record("Ron", 1));
    assert!(record("Ron", 2));
    assert!(!record("Ron", 4));
    assert!(!record("Pete", 1));
}

/// Adds ids to a contact in one transaction, because each flushes the disk.
fn add_messages(store: &PeerStore, name_key: &str, ids: std::ops::RangeInclusive<u64>) {
    let mut database = store.database.lock();
    let transaction = database.transaction().unwrap();
    for id in ids {
        let sql =
            "INSERT INTO messages (contact, id) SELECT id, ?1 FROM contacts WHERE name_key = ?2";
        transaction.execute(sql, (message_id(id).0, name_key)).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn of_threads_that_receive_a_message_one_shows_it() {
    let (folder, store) = new_store();
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(0)).unwrap();
    for id in 0..5 {
        let results = std::thread::scope(|scope| {
            let record = || {
                let store = PeerStore::open(folder.path()).unwrap();
                is_new(store.record_message(SERVER, &name("Ron"), KEY, message_id(id), None))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(record)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(results.iter().filter(|is_new| **is_new).count(), 1);
    }
}

#[test]
fn messages_are_recorded_of_contacts_that_have_the_key_and_are_not_blocked() {
    let (_folder, store) = new_store();
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(0)).unwrap();
    let is_refused = |server, text, key| {
        let recorded = store.record_message(server, &name(text), key, message_id(1), None);
        matches!(recorded, Err(PeerStoreError::NotAdmitted { .. }))
    };
    assert!(is_refused(OTHER_SERVER, "Ron", KEY) && is_refused(SERVER, "Ron", OTHER_KEY));
    assert!(is_refused(SERVER, "Pete", KEY));
    store.block_contact(SERVER, &name("ron"), second(1)).unwrap();
    assert!(is_refused(SERVER, "Ron", KEY));
    store.unblock_contact(SERVER, &name("ron")).unwrap();
    assert!(is_new(store.record_message(SERVER, &name("Ron"), KEY, message_id(1), None)));
    store.forget_contact(SERVER, &name("ron")).unwrap();
    assert!(is_refused(SERVER, "Ron", KEY));
    assert_eq!(store.contacts(None).unwrap(), [], "a message made a contact");
}
