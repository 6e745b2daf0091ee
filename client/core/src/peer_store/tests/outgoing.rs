//! Outgoing offers: stored with their paths, settled once, served by one process.

use std::fs;

use super::*;

/// The state of a settled offer that could not be changed.
fn settled(result: Result<OutgoingOffer, PeerStoreError>) -> OutgoingState {
    match result {
        Err(PeerStoreError::OutgoingSettled { state, .. }) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_offer_is_read_as_it_was_added() {
    use std::os::unix::ffi::OsStringExt as _;
    let (folder, store) = new_store();
    let not_utf8 = PathBuf::from(std::ffi::OsString::from_vec(b"/home/ben/\xff".to_vec()));
    let paths = [(not_utf8, "b"), (PathBuf::from("/home/ben/photos"), "a \"b\"")];
    let paths = paths.map(|(path, name)| {
        let name = FilePath::parse(name).unwrap();
        OfferedPath { path, name }
    });
    let counts = OfferCounts { count: 2, files: u64::MAX, bytes: Some(u64::MAX) };
    let content = OfferedContent::Paths(paths.to_vec());
    let new = NewOffer { key: Some(KEY), counts, ..new_offer(1, content.clone()) };
    let added = store.add_outgoing(new).unwrap();
    let expected = OutgoingOffer {
        number: OfferNumber(1),
        id: offer_id(1),
        server: server(),
        recipient: name("Ron"),
        key: Some(KEY),
        content,
        counts,
        created: second(0),
        state: OutgoingState::Open,
    };
    assert_eq!(added, expected);
    let store = PeerStore::open(folder.path()).unwrap();
    assert_eq!(store.outgoing_offer(OfferNumber(1), second(1)).unwrap(), expected);
    assert_eq!(store.find_outgoing(offer_id(1), second(1)).unwrap(), Some(expected));
    assert_eq!(store.find_outgoing(offer_id(2), second(1)).unwrap(), None);
    assert_eq!(store.incoming_offers(second(1)).unwrap(), []);
}

#[test]
fn both_directions_share_their_numbers() {
    let (_folder, store) = new_store();
    let numbers = [
        store.add_outgoing(new_offer(1, one_path())).unwrap().number,
        // Another client may use any id.
        record(&store, 1, second(0)).unwrap().number,
        store.add_outgoing(new_offer(2, one_path())).unwrap().number,
    ];
    assert_eq!(numbers, [OfferNumber(1), OfferNumber(2), OfferNumber(3)]);
    let outgoing = store.accept_offer(OfferNumber(1), "/x".as_ref(), second(0));
    assert!(matches!(outgoing, Err(PeerStoreError::UnknownOffer { .. })), "{outgoing:?}");
    let incoming = store.set_outgoing_state(OfferNumber(2), OutgoingState::Withdrawn, second(0));
    assert!(matches!(incoming, Err(PeerStoreError::UnknownOffer { .. })), "{incoming:?}");
    let incoming = store.set_recipient_key(OfferNumber(2), KEY);
    assert!(matches!(incoming, Err(PeerStoreError::UnknownOffer { .. })), "{incoming:?}");
}

#[test]
fn a_settled_offer_stays_as_it_is() {
    let (_folder, store) = new_store();
    let failed = OutgoingState::Failed("the file is gone".to_owned());
    for (id, last) in [
        (1, OutgoingState::Delivered),
        (2, OutgoingState::Declined),
        (3, OutgoingState::Withdrawn),
        (4, failed.clone()),
        (5, OutgoingState::Expired),
    ] {
        let number = store.add_outgoing(new_offer(id, one_path())).unwrap().number;
        let set = |state| store.set_outgoing_state(number, state, second(1));
        for state in [OutgoingState::Accepted, OutgoingState::Accepted, last.clone()] {
            let open = store.unsettled_outgoing(SERVER, second(1)).unwrap();
            assert_eq!(open.iter().map(|offer| offer.number).collect::<Vec<_>>(), [number]);
            assert_eq!(set(state.clone()).unwrap().state, state);
        }
        assert_eq!(settled(set(OutgoingState::Accepted)), last);
        assert_eq!(store.outgoing_offer(number, day(8)).unwrap().state, last);
        assert_eq!(store.unsettled_outgoing(SERVER, second(1)).unwrap(), []);
    }
    assert_eq!(store.outgoing_offers(second(1)).unwrap().len(), 5);
}

#[test]
fn only_unsettled_offers_to_one_server_are_announced_there() {
    let (_folder, store) = new_store();
    let here = store.add_outgoing(new_offer(1, one_path())).unwrap();
    let there = ServerRef { fingerprint: OTHER_SERVER, ..server() };
    store.add_outgoing(NewOffer { server: there, ..new_offer(2, one_path()) }).unwrap();
    assert_eq!(store.unsettled_outgoing(SERVER, second(1)).unwrap(), [here]);
    assert_eq!(store.unsettled_outgoing(SERVER, day(7)).unwrap(), []);
}

#[test]
fn an_expired_offer_can_still_be_delivered() {
    let (_folder, store) = new_store();
    let number = store.add_outgoing(new_offer(1, one_path())).unwrap().number;
    store.set_outgoing_state(number, OutgoingState::Accepted, second(1)).unwrap();
    store.cleanup(day(7)).unwrap();
    let set = |state| store.set_outgoing_state(number, state, day(7));
    assert_eq!(settled(set(OutgoingState::Accepted)), OutgoingState::Expired);
    assert_eq!(set(OutgoingState::Delivered).unwrap().state, OutgoingState::Delivered);
}

#[test]
fn the_first_key_of_the_recipient_is_kept() {
    let (_folder, store) = new_store();
    let number = store.add_outgoing(new_offer(1, one_path())).unwrap().number;
    assert_eq!(store.set_recipient_key(number, KEY).unwrap(), KEY);
    assert_eq!(store.set_recipient_key(number, OTHER_KEY).unwrap(), KEY);
    assert_eq!(store.outgoing_offer(number, second(1)).unwrap().key, Some(KEY));
}

#[test]
fn spooled_content_is_removed_when_its_offer_is_settled() {
    let (folder, store) = new_store();
    let content = OfferedContent::Spool(FilePath::parse("x.tar").unwrap());
    for (id, state) in [(1, Some(OutgoingState::Withdrawn)), (2, None)] {
        let offer = store.add_outgoing(new_offer(id, content.clone())).unwrap();
        let spool = store.spool_path(offer.number);
        fs::write(&spool, "content").unwrap();
        let counts = OfferCounts { bytes: Some(7), ..offer.counts };
        store.set_outgoing_counts(offer.number, counts).unwrap();
        let expected = OutgoingOffer { counts, ..offer };
        assert_eq!(store.outgoing_offer(expected.number, second(1)).unwrap(), expected);
        match state {
            Some(state) => drop(store.set_outgoing_state(expected.number, state, day(1)).unwrap()),
            None => store.cleanup(day(7)).unwrap(),
        }
        assert!(!spool.exists());
    }
    assert_eq!(fs::read_dir(folder.path().join("offers")).unwrap().count(), 0);
}

#[test]
fn an_offer_of_a_relative_path_is_refused() {
    let (_folder, store) = new_store();
    let name = FilePath::parse("a").unwrap();
    let content = OfferedContent::Paths(vec![OfferedPath { path: "a".into(), name }]);
    let relative = store.add_outgoing(new_offer(1, content));
    assert!(matches!(relative, Err(PeerStoreError::RelativePath { .. })), "{relative:?}");
    assert_eq!(store.outgoing_offers(second(0)).unwrap(), []);
}

#[test]
fn one_lock_of_an_offer_exists_at_a_time() {
    let (folder, store) = new_store();
    let other = PeerStore::open(folder.path()).unwrap();
    let [one, two] = [OfferNumber(1), OfferNumber(2)];
    assert!(!store.is_locked(one));
    let lock = store.lock_offer(one).unwrap().unwrap();
    assert!(store.is_locked(one) && other.is_locked(one) && !other.is_locked(two));
    assert!(store.lock_offer(one).unwrap().is_none());
    assert!(other.lock_offer(one).unwrap().is_none());
    let _other_offer = other.lock_offer(two).unwrap().unwrap();
    drop(lock);
    assert!(!other.is_locked(one));
    drop(other.lock_offer(one).unwrap().unwrap());
}

#[test]
fn a_spool_is_growing_until_its_size_is_recorded_and_lost_if_its_process_ends_before() {
    let (folder, store) = new_store();
    let other = PeerStore::open(folder.path()).unwrap();
    let content = OfferedContent::Spool(FilePath::parse("x.tar").unwrap());
    let state = |number| other.spool_state(number, second(1)).unwrap();
    let [(whole, whole_lock), (half, half_lock)] =
        [1, 2].map(|id| store.add_spooled(new_offer(id, content.clone())).unwrap());
    for number in [whole.number, half.number] {
        fs::write(store.spool_path(number), "content").unwrap();
        assert_eq!(state(number), SpoolState::Growing);
    }
    drop(half_lock);
    assert_eq!(state(half.number), SpoolState::Lost);
    let counts = OfferCounts { bytes: Some(7), ..whole.counts };
    store.set_outgoing_counts(whole.number, counts).unwrap();
    assert_eq!(state(whole.number), SpoolState::Complete(7));
    drop(whole_lock);
    assert_eq!(state(whole.number), SpoolState::Complete(7));
    fs::write(store.spool_path(whole.number), "conten").unwrap();
    assert_eq!(state(whole.number), SpoolState::Lost);
    fs::remove_file(store.spool_path(whole.number)).unwrap();
    assert_eq!(state(whole.number), SpoolState::Lost);
}

#[test]
fn an_offer_is_delivered_if_all_of_its_files_are_stored() {
    let (_folder, store) = new_store();
    let counts = OfferCounts { count: 1, files: 3, bytes: Some(30) };
    let [whole, part] = [1, 2].map(|id| {
        store.add_outgoing(NewOffer { counts, ..new_offer(id, one_path()) }).unwrap().number
    });
    let offer = store.record_stored(whole, 3, 20, second(1)).unwrap();
    assert_eq!(offer.state, OutgoingState::Delivered);
    assert_eq!(offer.counts, OfferCounts { bytes: Some(20), ..counts });
    assert_eq!(store.outgoing_offer(whole, second(1)).unwrap(), offer);
    let offer = store.record_stored(part, 2, 30, second(1)).unwrap();
    let why = "Ron has stored 2 of 3 files".to_owned();
    assert_eq!(offer.state, OutgoingState::Failed(why));
    assert_eq!(offer.counts, counts);
    assert_eq!(store.outgoing_offer(part, second(1)).unwrap(), offer);
}
