//! Incoming offers: recorded once, answered once, bounded in number and in time.

use std::path::Path;

use super::*;

const FOLDER: &str = "/home/ben/downloads";

fn accept(store: &PeerStore, number: OfferNumber) -> Result<IncomingOffer, PeerStoreError> {
    store.accept_offer(number, Path::new(FOLDER), second(1))
}

/// The state that an operation found instead of one that it could change.
fn settled(result: Result<IncomingOffer, PeerStoreError>) -> IncomingState {
    match result {
        Err(PeerStoreError::IncomingSettled { state, .. }) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_announced_offer_is_recorded_as_it_was_received() {
    let (_folder, store) = new_store();
    let recorded = record(&store, 1, second(0)).unwrap();
    let expected = IncomingOffer {
        number: OfferNumber(1),
        id: offer_id(1),
        server: server(),
        sender: name("Ron"),
        key: KEY,
        entries: offer(1).entries,
        counts: OfferCounts { count: 2, files: 7, bytes: Some(u64::MAX) },
        received: second(0),
        last_announced: second(0),
        state: IncomingState::Open,
    };
    assert_eq!(recorded, expected);
    assert_eq!(store.incoming_offer(OfferNumber(1), second(1)).unwrap(), expected);
    assert_eq!(store.incoming_offers(second(1)).unwrap(), [expected]);
    assert_eq!(store.outgoing_offers(second(1)).unwrap(), []);
}

#[test]
fn an_offer_that_is_announced_again_keeps_its_number_entries_and_state() {
    let (_folder, store) = new_store();
    let first = record(&store, 1, second(0)).unwrap();
    accept(&store, first.number).unwrap();
    let (server, sender) = (server(), name("Ron"));
    let larger = Offer { files: 1_000_000, ..offer(1) };
    let announced = AnnouncedOffer { server: &server, sender: &sender, key: KEY, offer: &larger };
    let again = store.record_incoming(announced, second(5)).unwrap();
    let state = IncomingState::Accepted { folder: FOLDER.into() };
    let expected = IncomingOffer { last_announced: second(5), state, ..first };
    assert_eq!(again, expected);
    assert_eq!(store.incoming_offers(second(5)).unwrap(), [expected]);
}

#[test]
fn offers_with_one_id_and_other_keys_or_servers_are_different() {
    let (_folder, store) = new_store();
    let (here, sender, offer) = (server(), name("Ron"), offer(1));
    let there = ServerRef { fingerprint: OTHER_SERVER, certificate: None, ..server() };
    for (expected, server, key) in
        [(1, &here, KEY), (2, &here, OTHER_KEY), (3, &there, KEY), (2, &here, OTHER_KEY)]
    {
        let announced = AnnouncedOffer { server, sender: &sender, key, offer: &offer };
        let recorded = store.record_incoming(announced, second(0)).unwrap();
        assert_eq!(recorded.number, OfferNumber(expected));
        assert_eq!(&recorded.server, server);
    }
}

#[test]
fn an_offer_is_answered_once() {
    let (_folder, store) = new_store();
    let [one, two] = [1, 2].map(|number| record(&store, number, second(0)).unwrap().number);
    let accepted = IncomingState::Accepted { folder: FOLDER.into() };
    assert_eq!(accept(&store, one).unwrap().state, accepted);
    assert_eq!(settled(accept(&store, one)), accepted);
    assert_eq!(store.decline_offer(two, second(1)).unwrap().state, IncomingState::Declined);
    assert_eq!(settled(accept(&store, two)), IncomingState::Declined);
    assert_eq!(settled(store.mark_stored(two, 1, 1, second(2))), IncomingState::Declined);
    for number in [OfferNumber(0), OfferNumber(3), OfferNumber(u64::MAX)] {
        assert!(matches!(accept(&store, number), Err(PeerStoreError::UnknownOffer { .. })));
    }
    let relative = store.accept_offer(one, Path::new("here"), second(2));
    assert!(matches!(relative, Err(PeerStoreError::RelativePath { .. })));
}

#[test]
fn an_accepted_offer_can_be_opened_again_and_declined() {
    let (_folder, store) = new_store();
    let [one, two] = [1, 2].map(|number| record(&store, number, second(0)).unwrap().number);
    accept(&store, one).unwrap();
    assert_eq!(store.reopen_offer(one, second(2)).unwrap().state, IncomingState::Open);
    assert_eq!(store.unfinished_accepted(second(2)).unwrap(), []);
    let accepted = IncomingState::Accepted { folder: FOLDER.into() };
    assert_eq!(accept(&store, one).unwrap().state, accepted);
    store.mark_stored(one, 1, 1, second(2)).unwrap();
    assert!(settled(store.reopen_offer(one, second(3))).is_settled());
    accept(&store, two).unwrap();
    assert_eq!(store.decline_offer(two, second(2)).unwrap().state, IncomingState::Declined);
    assert_eq!(settled(store.reopen_offer(two, second(3))), IncomingState::Declined);
}

#[test]
fn concurrent_accepts_of_one_offer_succeed_once() {
    let (folder, store) = new_store();
    for round in 0..5 {
        let number = record(&store, round, second(0)).unwrap().number;
        let results = std::thread::scope(|scope| {
            let accept = || accept(&PeerStore::open(folder.path()).unwrap(), number);
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(accept)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 7));
        for result in lost {
            assert_eq!(settled(result), IncomingState::Accepted { folder: FOLDER.into() });
        }
    }
}

#[test]
fn an_accepted_offer_is_unfinished_until_it_is_stored() {
    let (folder, store) = new_store();
    let [one, two] = [1, 2].map(|number| record(&store, number, second(0)).unwrap().number);
    assert_eq!(store.unfinished_accepted(second(1)).unwrap(), []);
    let accepted = accept(&store, two).unwrap();
    drop(store);
    let store = PeerStore::open(folder.path()).unwrap();
    assert_eq!(store.unfinished_accepted(second(1)).unwrap(), [accepted]);
    assert_eq!(settled(store.mark_stored(one, 1, 1, second(2))), IncomingState::Open);
    let state = IncomingState::Stored { files: 7, bytes: u64::MAX, at: second(3) };
    assert_eq!(store.mark_stored(two, 7, u64::MAX, second(3)).unwrap().state, state);
    assert_eq!(store.unfinished_accepted(second(4)).unwrap(), []);
    // The sender may not know it: it offers again.
    assert_eq!(record(&store, 2, second(5)).unwrap().state, state);
    assert_eq!(settled(store.mark_failed(two, "late", second(6))), state);
}

#[test]
fn a_withdrawn_offer_cannot_be_accepted() {
    let (_folder, store) = new_store();
    let number = record(&store, 1, second(0)).unwrap().number;
    let withdraw = |key, id| store.withdraw_incoming(SERVER, key, offer_id(id), second(1)).unwrap();
    assert_eq!(withdraw(OTHER_KEY, 1), None);
    assert_eq!(withdraw(KEY, 2), None);
    assert_eq!(withdraw(KEY, 1).unwrap().state, IncomingState::Withdrawn);
    assert_eq!(settled(accept(&store, number)), IncomingState::Withdrawn);
    let declined = record(&store, 2, second(0)).unwrap().number;
    store.decline_offer(declined, second(1)).unwrap();
    assert_eq!(withdraw(KEY, 2).unwrap().state, IncomingState::Declined);
}

#[test]
fn a_contact_may_have_16_unsettled_offers_and_all_contacts_64() {
    let (_folder, store) = new_store();
    let limit = |result| match result {
        Err(PeerStoreError::TooManyOffers { limit }) => limit,
        other => panic!("{other:?}"),
    };
    for number in 0..16 {
        record(&store, number, second(0)).unwrap();
    }
    accept(&store, OfferNumber(1)).unwrap();
    assert_eq!(limit(record_from(&store, "RON", 16, second(0))), 16);
    // An offer that is known is no new one.
    record(&store, 15, second(0)).unwrap();
    store.mark_failed(OfferNumber(1), "the disk is broken", second(1)).unwrap();
    record(&store, 16, second(1)).unwrap();
    for number in 17..65 {
        let sender = format!("sender{}", number / 16);
        record_from(&store, &sender, number, second(1)).unwrap();
    }
    assert_eq!(limit(record_from(&store, "Pete", 65, second(1))), 64);
    // Those from the beginning have expired.
    record_from(&store, "Pete", 65, day(7)).unwrap();
}

#[test]
fn an_offer_expires_after_7_days() {
    let (_folder, store) = new_store();
    let [one, two] = [1, 2].map(|number| record(&store, number, second(0)).unwrap().number);
    accept(&store, two).unwrap();
    let (before, after) = (Timestamp(day(7).0 - TimeDelta::microseconds(1)), day(7));
    assert_eq!(store.incoming_offer(one, before).unwrap().state, IncomingState::Open);
    assert_eq!(store.unfinished_accepted(before).unwrap().len(), 1);
    for _ in 0..2 {
        assert_eq!(store.incoming_offer(one, after).unwrap().state, IncomingState::Expired);
        assert_eq!(store.unfinished_accepted(after).unwrap(), []);
        let accepted = store.accept_offer(one, Path::new(FOLDER), after);
        assert_eq!(settled(accepted), IncomingState::Expired);
        assert_eq!(settled(store.mark_stored(one, 1, 1, after)), IncomingState::Expired);
        store.cleanup(after).unwrap();
    }
    // The transfer began in time.
    let stored = store.mark_stored(two, 1, 2, day(8)).unwrap().state;
    assert_eq!(stored, IncomingState::Stored { files: 1, bytes: 2, at: day(8) });
}

#[test]
fn a_settled_offer_is_removed_after_30_days_and_its_number_is_not_used_again() {
    let (folder, store) = new_store();
    let number = record(&store, 1, second(0)).unwrap().number;
    drop(store.lock_offer(number).unwrap().unwrap());
    store.decline_offer(number, second(0)).unwrap();
    store.cleanup(Timestamp(day(30).0 - TimeDelta::microseconds(1))).unwrap();
    assert_eq!(store.incoming_offers(day(30)).unwrap().len(), 1);
    store.cleanup(day(30)).unwrap();
    assert_eq!(store.incoming_offers(day(30)).unwrap(), []);
    assert!(!folder.path().join("offers/1.lock").exists());
    assert_eq!(record(&store, 1, day(30)).unwrap().number, OfferNumber(2));
}

/// Adds copies of an offer with other ids, in one transaction, because each flushes the disk.
fn copy_offer(store: &PeerStore, number: OfferNumber, copies: u64) {
    let mut database = store.database.lock();
    let transaction = database.transaction().unwrap();
    let sql = "SELECT group_concat(name) FROM pragma_table_info('offers')
               WHERE name NOT IN ('number', 'id')";
    let columns: String = transaction.query_row(sql, [], |row| row.get(0)).unwrap();
    let sql = format!(
        "INSERT INTO offers (id, {columns})
         SELECT randomblob(16), {columns} FROM offers WHERE number = ?1"
    );
    for _ in 0..copies {
        transaction.execute(&sql, [number.0.cast_signed()]).unwrap();
    }
    transaction.commit().unwrap();
}

#[test]
fn the_last_1000_settled_offers_are_kept_and_withdrawn_ones_are_removed_first() {
    let (_folder, store) = new_store();
    let stored = record(&store, 0, second(0)).unwrap().number;
    accept(&store, stored).unwrap();
    store.mark_stored(stored, 1, 1, second(1)).unwrap();
    record(&store, 1, second(2)).unwrap();
    store.withdraw_incoming(SERVER, KEY, offer_id(1), second(2)).unwrap();
    copy_offer(&store, OfferNumber(2), 1000);
    store.cleanup(second(3)).unwrap();
    let left = store.incoming_offers(second(3)).unwrap();
    assert_eq!((left.len(), left[0].number, left[1].number), (1000, stored, OfferNumber(4)));
}

#[test]
fn a_person_may_agree_to_more_than_was_announced() {
    let (_folder, store) = new_store();
    let number = record(&store, 1, second(0)).unwrap().number;
    let counts = OfferCounts { count: 3, files: 8, bytes: None };
    store.set_incoming_counts(number, counts).unwrap();
    assert_eq!(store.incoming_offer(number, second(1)).unwrap().counts, counts);
    let unknown = store.set_outgoing_counts(number, counts);
    assert!(matches!(unknown, Err(PeerStoreError::UnknownOffer { .. })));
}
