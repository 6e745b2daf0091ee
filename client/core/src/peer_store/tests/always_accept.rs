//! Offers that are accepted without a question: of verified keys that are unchanged, and of no others.

use std::path::Path;

use super::*;

/// A contact with a verified key whose offers are accepted into a folder.
fn store_with_rule(is_account: bool) -> (TempDir, PeerStore) {
    let (folder, store) = new_store();
    store.check_and_remember_key(SERVER, &name("Ron"), KEY, is_account, second(0)).unwrap();
    assert!(store.mark_verified(SERVER, &name("Ron"), KEY, second(1)).unwrap());
    assert!(store.set_always_accept(SERVER, &name("ron"), Some(folder.path())).unwrap());
    (folder, store)
}

fn announce(store: &PeerStore, key: Fingerprint, number: u64) -> IncomingOffer {
    let (server, sender, offer) = (server(), name("Ron"), offer(number));
    let announced = AnnouncedOffer { server: &server, sender: &sender, key, offer: &offer };
    store.record_incoming(announced, second(2)).unwrap()
}

fn is_accepted(store: &PeerStore, key: Fingerprint, number: u64) -> bool {
    let offer = announce(store, key, number);
    let accepted = store.accept_by_rule(offer.number, second(3)).unwrap();
    let state = store.incoming_offer(offer.number, second(3)).unwrap().state;
    assert_eq!(
        accepted.map(|offer| offer.state),
        (state != IncomingState::Open).then_some(state.clone())
    );
    state != IncomingState::Open
}

fn rule(store: &PeerStore) -> Option<PathBuf> {
    store.contact(SERVER, &name("Ron")).unwrap().and_then(|contact| contact.always_accept)
}

#[test]
fn an_offer_of_a_verified_key_is_accepted_into_the_folder() {
    let (folder, store) = store_with_rule(false);
    let offer = announce(&store, KEY, 1);
    let accepted = store.accept_by_rule(offer.number, second(3)).unwrap().unwrap();
    assert_eq!(accepted.state, IncomingState::Accepted { folder: folder.path().to_owned() });
    // Once: after that it is a decision of this person like any other.
    assert_eq!(store.accept_by_rule(offer.number, second(4)).unwrap(), None);
    assert!(store.set_always_accept(SERVER, &name("Ron"), None).unwrap());
    assert!(!is_accepted(&store, KEY, 2));
}

#[test]
fn only_a_verified_contact_gets_a_rule() {
    let (folder, store) = new_store();
    let set = |folder: &Path| store.set_always_accept(SERVER, &name("Ron"), Some(folder));
    assert!(!set(folder.path()).unwrap());
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(0)).unwrap();
    store.accept_contact(SERVER, &name("Ron"), KEY).unwrap();
    assert!(!set(folder.path()).unwrap());
    store.mark_verified(SERVER, &name("Ron"), KEY, second(1)).unwrap();
    assert!(matches!(set(Path::new("a")).unwrap_err(), PeerStoreError::RelativePath { .. }));
    assert!(set(folder.path()).unwrap());
    assert_eq!(rule(&store).as_deref(), Some(folder.path()));
    assert!(store.set_always_accept(OTHER_SERVER, &name("Ron"), None).unwrap());
    store.block_contact(SERVER, &name("Ron"), second(2)).unwrap();
    assert!(!set(folder.path()).unwrap());
}

#[test]
fn a_changed_key_ends_the_rule_and_so_does_blocking_and_forgetting() {
    let (_folder, store) = store_with_rule(false);
    let check = store.check_and_remember_key(SERVER, &name("Ron"), OTHER_KEY, false, second(2));
    assert!(matches!(check.unwrap(), KeyCheck::Changed { .. }));
    assert_eq!(rule(&store), None);
    assert!(!is_accepted(&store, OTHER_KEY, 1) && !is_accepted(&store, KEY, 2));
    let (_folder, store) = store_with_rule(false);
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, false, second(2)).unwrap();
    assert_eq!(rule(&store), None);
    let (_folder, store) = store_with_rule(false);
    store.block_contact(SERVER, &name("Ron"), second(2)).unwrap();
    assert!(!is_accepted(&store, KEY, 1));
    store.unblock_contact(SERVER, &name("Ron")).unwrap();
    assert!(!is_accepted(&store, KEY, 2));
    let (_folder, store) = store_with_rule(false);
    store.forget_contact(SERVER, &name("Ron")).unwrap();
    store.remember_key(SERVER, &name("Ron"), KEY, false, second(3)).unwrap();
    store.mark_verified(SERVER, &name("Ron"), KEY, second(4)).unwrap();
    assert!(!is_accepted(&store, KEY, 1));
}

#[test]
fn another_machine_of_an_account_is_verified_by_itself() {
    let (_folder, store) = store_with_rule(true);
    store.remember_key(SERVER, &name("Ron"), OTHER_KEY, true, second(2)).unwrap();
    assert!(!is_accepted(&store, OTHER_KEY, 1));
    assert!(is_accepted(&store, KEY, 2));
}

#[test]
fn without_its_folder_an_offer_waits_for_a_person() {
    let (folder, store) = store_with_rule(false);
    let gone = folder.path().join("gone");
    store.set_always_accept(SERVER, &name("Ron"), Some(&gone)).unwrap();
    assert!(!is_accepted(&store, KEY, 1));
}
