use super::*;

const KEY: Holder = Holder::Key(Fingerprint([1; 32]));
const OTHER_KEY: Holder = Holder::Key(Fingerprint([2; 32]));

fn registry(max_clients: usize) -> (Registry, Arc<History>) {
    let history = Arc::new(History::new(100));
    (Registry::new(max_clients, history.clone()), history)
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

#[test]
fn a_full_server_is_busy_until_somebody_leaves() {
    let (registry, history) = registry(2);
    let ron = registry.enter(name("Ron"), Holder::Connection).unwrap();
    let _ben = registry.enter(name("Ben"), Holder::Connection).unwrap();
    let busy = registry.enter(name("Pete"), Holder::Connection).unwrap_err();
    assert_eq!(busy, EntryError::Busy { number: 3, max_clients: 2 });
    drop(ron);
    let pete = registry.enter(name("Pete"), Holder::Connection).unwrap();
    assert_eq!(pete.number(), 4, "a busy refusal uses a number up");
    let ended: Vec<_> =
        history.rows_after(0, 100).iter().map(|row| (row.number, row.end.is_some())).collect();
    assert_eq!(ended, [(1, true), (2, false), (4, false)]);
}

#[test]
fn names_are_unique_without_regard_to_case() {
    let (registry, _) = registry(5);
    let ron = registry.enter(name("Ron"), KEY).unwrap();
    for holder in [OTHER_KEY, Holder::Connection] {
        let taken = registry.enter(name("rON"), holder).unwrap_err();
        assert_eq!(taken, EntryError::NameTaken(name("Ron")));
    }
    drop(ron);
    assert_eq!(registry.enter(name("rON"), OTHER_KEY).unwrap().number(), 2);
}

#[test]
fn connections_of_one_key_are_one_client() {
    let (registry, history) = registry(1);
    let first = registry.enter(name("Ron"), KEY).unwrap();
    let second = registry.enter(name("ron"), KEY).unwrap();
    assert_eq!((second.number(), second.name().as_str(), second.joined()), (1, "Ron", true));
    drop(first);
    assert_eq!(registry.count(), 1);
    assert_eq!(history.rows_after(0, 100)[0].end, None);
    drop(second);
    assert_eq!(registry.count(), 0);
    assert_eq!(history.rows_after(0, 100).len(), 1);
    assert!(history.rows_after(0, 100)[0].end.is_some());
}

#[test]
fn without_a_key_each_connection_is_a_client() {
    let (registry, _) = registry(5);
    let _ron = registry.enter(name("Ron"), Holder::Connection).unwrap();
    let again = registry.enter(name("Ron"), Holder::Connection).unwrap_err();
    assert_eq!(again, EntryError::NameTaken(name("Ron")));
}

#[test]
fn one_client_has_at_most_eight_connections() {
    let (registry, _) = registry(1);
    let slots: Vec<_> = (0..8).map(|_| registry.enter(name("Ron"), KEY).unwrap()).collect();
    let ninth = registry.enter(name("Ron"), KEY).unwrap_err();
    assert_eq!(ninth, EntryError::TooManyConnections(name("Ron")));
    drop(slots);
    assert_eq!(registry.count(), 0);
}
