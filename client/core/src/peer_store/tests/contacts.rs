//! Contacts: key checks, and what a person decides about a name.

use super::*;

const ACCOUNT: bool = true;
const NO_ACCOUNT: bool = false;

fn known() -> KeyCheck {
    KeyCheck::Known { verified: None, is_accepted: false }
}

fn key(key: Fingerprint, first: i64, last: i64) -> ContactKey {
    ContactKey { key, first_seen: second(first), last_seen: second(last), verified: None }
}

/// A store that knows Ron by one key.
fn store_with_ron(is_account: bool) -> (TempDir, PeerStore) {
    let (folder, store) = new_store();
    store.remember_key(SERVER, &name("Ron"), KEY, is_account, second(0)).unwrap();
    (folder, store)
}

#[test]
fn keys_are_compared_to_those_that_the_name_had_before() {
    let ron = || vec![key(KEY, 0, 0)];
    for (was_account, shown, is_account, expected) in [
        (NO_ACCOUNT, KEY, NO_ACCOUNT, known()),
        (NO_ACCOUNT, OTHER_KEY, NO_ACCOUNT, KeyCheck::Changed { known: ron() }),
        (ACCOUNT, KEY, ACCOUNT, known()),
        (ACCOUNT, OTHER_KEY, ACCOUNT, KeyCheck::OtherMachine { known: ron() }),
        // A server must not turn a changed key into another machine, nor an account into a guest.
        (NO_ACCOUNT, KEY, ACCOUNT, KeyCheck::Changed { known: ron() }),
        (NO_ACCOUNT, OTHER_KEY, ACCOUNT, KeyCheck::Changed { known: ron() }),
        (ACCOUNT, KEY, NO_ACCOUNT, KeyCheck::Changed { known: ron() }),
        (ACCOUNT, OTHER_KEY, NO_ACCOUNT, KeyCheck::Changed { known: ron() }),
    ] {
        let (_folder, store) = store_with_ron(was_account);
        let case = format!("was account: {was_account}, {shown}, is account: {is_account}");
        for written in ["Ron", "rON"] {
            let check = store.check_key(SERVER, &name(written), shown, is_account).unwrap();
            assert_eq!(check, expected, "{written}, {case}");
        }
        // A check that is no match remembers nothing.
        let now = second(1);
        let check = store.check_and_remember_key(SERVER, &name("Ron"), shown, is_account, now);
        assert_eq!(check.unwrap(), expected, "{case}");
        let keys = store.contact(SERVER, &name("Ron")).unwrap().unwrap().keys;
        let last = if expected == known() { 1 } else { 0 };
        assert_eq!(keys, [key(KEY, 0, last)], "{case}");
    }
}

#[test]
fn the_first_key_of_a_name_is_new_once() {
    let (_folder, store) = new_store();
    let check = |name: &ClientName, server, key, now| {
        store.check_and_remember_key(server, name, key, NO_ACCOUNT, now).unwrap()
    };
    assert_eq!(store.check_key(SERVER, &name("Ron"), KEY, NO_ACCOUNT).unwrap(), KeyCheck::New);
    assert_eq!(store.contacts(None).unwrap(), []);
    assert_eq!(check(&name("Ron"), SERVER, KEY, second(0)), KeyCheck::New);
    assert_eq!(check(&name("RON"), SERVER, KEY, second(5)), known());
    assert_eq!(check(&name("Ron"), OTHER_SERVER, OTHER_KEY, second(6)), KeyCheck::New);
    assert_eq!(check(&name("Ron2"), SERVER, OTHER_KEY, second(7)), KeyCheck::New);
    let ron = Contact {
        server: SERVER,
        name: name("RON"),
        is_account: false,
        is_accepted: false,
        is_blocked: false,
        always_accept: None,
        keys: vec![key(KEY, 0, 5)],
    };
    assert_eq!(store.contact(SERVER, &name("ron")).unwrap(), Some(ron.clone()));
    let there = Contact {
        server: OTHER_SERVER,
        name: name("Ron"),
        keys: vec![key(OTHER_KEY, 6, 6)],
        ..ron.clone()
    };
    let second_name =
        Contact { name: name("Ron2"), keys: vec![key(OTHER_KEY, 7, 7)], ..ron.clone() };
    assert_eq!(store.contacts(Some(SERVER)).unwrap(), [ron.clone(), second_name.clone()]);
    assert_eq!(store.contacts(None).unwrap(), [ron, second_name, there]);
}

#[test]
fn of_threads_that_see_a_first_key_one_remembers_it() {
    let (folder, store) = new_store();
    let checks = std::thread::scope(|scope| {
        let check = |number: u8| {
            let store = PeerStore::open(folder.path()).unwrap();
            let key = Fingerprint([number; 32]);
            store.check_and_remember_key(SERVER, &name("Ron"), key, NO_ACCOUNT, second(0)).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || check(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(checks.iter().filter(|check| **check == KeyCheck::New).count(), 1);
    let ron = store.contact(SERVER, &name("Ron")).unwrap().unwrap();
    assert_eq!(ron.keys.len(), 1);
    let changed = |check: &&KeyCheck| **check == KeyCheck::Changed { known: ron.keys.clone() };
    assert_eq!(checks.iter().filter(changed).count(), 7);
}

#[test]
fn another_machine_is_added_to_the_keys_of_an_account() {
    let (_folder, store) = store_with_ron(ACCOUNT);
    store.accept_contact(SERVER, &name("Ron"), KEY).unwrap();
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, ACCOUNT, second(1)).unwrap();
    let ron = store.contact(SERVER, &name("Ron")).unwrap().unwrap();
    assert_eq!(ron.keys, [key(KEY, 0, 0), key(OTHER_KEY, 1, 1)]);
    for key in [KEY, OTHER_KEY] {
        let check = store.check_key(SERVER, &name("Ron"), key, ACCOUNT).unwrap();
        assert_eq!(check, KeyCheck::Known { verified: None, is_accepted: true });
    }
}

#[test]
fn a_changed_key_replaces_the_others_and_ends_the_acceptance() {
    let (_folder, store) = store_with_ron(NO_ACCOUNT);
    assert!(store.mark_verified(SERVER, &name("Ron"), KEY, second(1)).unwrap());
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, NO_ACCOUNT, second(2)).unwrap();
    let ron = store.contact(SERVER, &name("Ron")).unwrap().unwrap();
    assert_eq!((ron.keys, ron.is_accepted), (vec![key(OTHER_KEY, 2, 2)], false));
    // The name became an account: its key is the same one as before.
    store.mark_verified(SERVER, &name("Ron"), OTHER_KEY, second(3)).unwrap();
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, ACCOUNT, second(4)).unwrap();
    let check = store.check_key(SERVER, &name("Ron"), OTHER_KEY, ACCOUNT).unwrap();
    assert_eq!(check, KeyCheck::Known { verified: Some(second(3)), is_accepted: false });
}

#[test]
fn a_verified_key_belongs_to_an_accepted_contact() {
    let (_folder, store) = store_with_ron(NO_ACCOUNT);
    assert!(!store.mark_verified(SERVER, &name("Ron"), OTHER_KEY, second(1)).unwrap());
    assert!(!store.mark_verified(SERVER, &name("Pete"), KEY, second(1)).unwrap());
    assert_eq!(store.check_key(SERVER, &name("Ron"), KEY, NO_ACCOUNT).unwrap(), known());
    assert!(store.mark_verified(SERVER, &name("RON"), KEY, second(1)).unwrap());
    let check = store.check_and_remember_key(SERVER, &name("Ron"), KEY, NO_ACCOUNT, second(2));
    let expected = KeyCheck::Known { verified: Some(second(1)), is_accepted: true };
    assert_eq!(check.unwrap(), expected);
    assert_eq!(store.check_key(SERVER, &name("Ron"), KEY, NO_ACCOUNT).unwrap(), expected);
}

#[test]
fn a_blocked_name_stays_blocked_whatever_key_it_has() {
    let (_folder, store) = store_with_ron(ACCOUNT);
    let check = |text, key, is_account| {
        store.check_and_remember_key(SERVER, &name(text), key, is_account, second(2)).unwrap()
    };
    for (blocked, shown) in [("Ron", "rON"), ("Pete", "Pete")] {
        store.block_contact(SERVER, &name(blocked), second(1)).unwrap();
        for (key, is_account) in [(KEY, ACCOUNT), (OTHER_KEY, ACCOUNT), (KEY, NO_ACCOUNT)] {
            assert_eq!(check(shown, key, is_account), KeyCheck::Blocked);
        }
    }
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, NO_ACCOUNT, second(3)).unwrap();
    assert_eq!(check("Ron", OTHER_KEY, NO_ACCOUNT), KeyCheck::Blocked);
    assert!(store.forget_contact(SERVER, &name("RON")).unwrap());
    assert_eq!(check("Ron", KEY, ACCOUNT), KeyCheck::Blocked);
    assert_eq!(store.contact(SERVER, &name("Ron")).unwrap().unwrap().keys, []);
    assert!(store.unblock_contact(SERVER, &name("rON")).unwrap());
    assert_eq!(check("Ron", KEY, ACCOUNT), KeyCheck::New);
    assert!(!store.unblock_contact(SERVER, &name("Unknown")).unwrap());
}

/// Whether the id of a message is new.
fn is_new(store: &PeerStore) -> bool {
    let recorded = store.record_message(SERVER, &name("Ron"), KEY, message_id(1), None).unwrap();
    recorded != MessageRecord::Known
}

#[test]
fn a_forgotten_contact_is_new_again() {
    let (_folder, store) = store_with_ron(ACCOUNT);
    assert!(store.accept_contact(SERVER, &name("ron"), KEY).unwrap());
    assert!(!store.accept_contact(OTHER_SERVER, &name("ron"), KEY).unwrap());
    assert!(is_new(&store));
    assert!(!store.forget_contact(OTHER_SERVER, &name("Ron")).unwrap());
    assert!(store.forget_contact(SERVER, &name("rOn")).unwrap());
    assert!(!store.forget_contact(SERVER, &name("Ron")).unwrap());
    assert_eq!(store.contacts(None).unwrap(), []);
    let check = store.check_key(SERVER, &name("Ron"), OTHER_KEY, NO_ACCOUNT).unwrap();
    assert_eq!(check, KeyCheck::New);
    store.remember_key(SERVER, &name("Ron"), KEY, NO_ACCOUNT, second(2)).unwrap();
    assert!(is_new(&store));
}

#[test]
fn only_a_key_that_the_contact_has_is_accepted_or_verified() {
    let (_folder, store) = store_with_ron(ACCOUNT);
    let ron = || store.contact(SERVER, &name("Ron")).unwrap().unwrap();
    let is_changed = |key| {
        let accepted = store.accept_contact(SERVER, &name("Ron"), key).unwrap();
        let verified = store.mark_verified(SERVER, &name("Ron"), key, second(1)).unwrap();
        let admitted = store.admitted_contact(SERVER, &name("Ron"), key).unwrap().is_some();
        assert!(accepted == verified && verified == admitted);
        accepted
    };
    assert!(!is_changed(OTHER_KEY));
    store.block_contact(SERVER, &name("Ron"), second(1)).unwrap();
    assert!(!is_changed(KEY));
    assert!(!ron().is_accepted && ron().keys == [key(KEY, 0, 0)]);
    store.unblock_contact(SERVER, &name("Ron")).unwrap();
    assert!(is_changed(KEY) && ron().is_accepted && ron().keys[0].verified == Some(second(1)));
    // A blocked name whose keys are forgotten has none that could be accepted.
    store.block_contact(SERVER, &name("Ron"), second(2)).unwrap();
    store.forget_contact(SERVER, &name("Ron")).unwrap();
    store.unblock_contact(SERVER, &name("Ron")).unwrap();
    assert!(!is_changed(KEY) && !ron().is_accepted);
}

/// Adds contacts that were seen at `second(number)`, in one transaction, because each flushes the disk.
fn add_contacts(store: &PeerStore, count: i64, is_accepted: bool) {
    let mut database = store.database.lock();
    let transaction = database.transaction().unwrap();
    for number in 0..count {
        let values = (SERVER.0, format!("n{number}"), is_accepted, columns::micros(second(number)));
        let sql = "INSERT INTO contacts
                   (server, name_key, name, is_account, is_accepted, is_blocked, seen)
                   VALUES (?1, ?2, ?2, 0, ?3, 0, ?4)";
        transaction.execute(sql, values).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn the_least_recently_seen_contact_makes_room_for_a_new_one() {
    let (_folder, store) = new_store();
    add_contacts(&store, 10_000, false);
    let sql = "UPDATE contacts SET is_accepted = 1 WHERE name_key = 'n0'";
    store.database.lock().execute(sql, []).unwrap();
    store.block_contact(SERVER, &name("n1"), second(1)).unwrap();
    store.remember_key(SERVER, &name("new"), KEY, NO_ACCOUNT, second(10_001)).unwrap();
    assert_eq!(store.contacts(None).unwrap().len(), 10_000);
    for (text, is_known) in [("n0", true), ("n1", true), ("n2", false), ("n3", true)] {
        let found = store.contact(SERVER, &name(text)).unwrap();
        assert_eq!(found.is_some(), is_known, "{text}");
    }
}

#[test]
fn accepted_contacts_are_never_removed_for_a_new_one() {
    let (_folder, store) = new_store();
    add_contacts(&store, 10_000, true);
    let check = store.check_and_remember_key(SERVER, &name("new"), KEY, NO_ACCOUNT, second(0));
    assert!(matches!(check, Err(PeerStoreError::TooManyContacts { limit: 10_000 })), "{check:?}");
    assert_eq!(store.contacts(None).unwrap().len(), 10_000);
}
