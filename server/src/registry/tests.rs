//! Slots, names and connections of the registry in memory.

use super::*;

const KEY: NameOwner = NameOwner::Key(Fingerprint([1; 32]));
const OTHER_KEY: NameOwner = NameOwner::Key(Fingerprint([2; 32]));

/// A registry whose slots are released only by [`ReleaseQueue::close`] and [`release_queued`].
fn registry(max_clients: usize) -> (Registry, ReleaseQueue, Arc<History>) {
    let history = Arc::new(History::new(100));
    let (registry, releases) = Registry::in_memory(max_clients, history.clone());
    (registry, releases, history)
}

/// Releases all queued slots.
fn release_queued(releases: &mut ReleaseQueue) {
    while let Ok(release) = releases.queue.try_recv() {
        releases.release(release);
    }
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

#[tokio::test]
async fn a_full_server_is_busy_until_a_client_disconnects() {
    let (registry, mut releases, history) = registry(2);
    let ron = registry.enter(name("Ron"), NameOwner::Connection, false).await.unwrap();
    let _ben = registry.enter(name("Ben"), NameOwner::Connection, false).await.unwrap();
    let busy = registry.enter(name("Pete"), NameOwner::Connection, false).await.unwrap_err();
    assert_eq!(busy, EntryError::Busy { number: 3, max_clients: 2 });
    drop(ron);
    release_queued(&mut releases);
    let pete = registry.enter(name("Pete"), NameOwner::Connection, false).await.unwrap();
    assert_eq!(pete.number(), 4, "a busy refusal uses a number up");
    let ended: Vec<_> =
        history.rows_after(0, 100).iter().map(|row| (row.number, row.end.is_some())).collect();
    assert_eq!(ended, [(1, true), (2, false), (4, false)]);
}

#[tokio::test]
async fn client_names_are_unique_without_regard_to_case() {
    let (registry, mut releases, _) = registry(5);
    let ron = registry.enter(name("Ron"), KEY, false).await.unwrap();
    for owner in [OTHER_KEY, NameOwner::Connection] {
        let taken = registry.enter(name("rON"), owner, false).await.unwrap_err();
        assert_eq!(taken, EntryError::NameTaken(name("Ron")));
    }
    drop(ron);
    release_queued(&mut releases);
    assert_eq!(registry.enter(name("rON"), OTHER_KEY, false).await.unwrap().number(), 2);
}

#[tokio::test]
async fn connections_of_one_key_are_one_client() {
    let (registry, mut releases, history) = registry(1);
    let first = registry.enter(name("Ron"), KEY, false).await.unwrap();
    let second = registry.enter(name("ron"), KEY, false).await.unwrap();
    assert_eq!((second.number(), second.name().as_str(), second.is_additional()), (1, "Ron", true));
    drop(first);
    release_queued(&mut releases);
    assert_eq!(registry.client_count(), 1);
    assert_eq!(history.rows_after(0, 100)[0].end, None);
    drop(second);
    release_queued(&mut releases);
    assert_eq!(registry.client_count(), 0);
    assert_eq!(history.rows_after(0, 100).len(), 1);
    assert!(history.rows_after(0, 100)[0].end.is_some());
}

#[tokio::test]
async fn each_connection_without_a_key_is_a_client_of_its_own() {
    let (registry, _releases, _) = registry(5);
    let _ron = registry.enter(name("Ron"), NameOwner::Connection, false).await.unwrap();
    let again = registry.enter(name("Ron"), NameOwner::Connection, false).await.unwrap_err();
    assert_eq!(again, EntryError::NameTaken(name("Ron")));
}

#[tokio::test]
async fn one_client_has_at_most_eight_connections() {
    let (registry, mut releases, _) = registry(1);
    let mut slots = Vec::new();
    for _ in 0..8 {
        slots.push(registry.enter(name("Ron"), KEY, false).await.unwrap());
    }
    let ninth = registry.enter(name("Ron"), KEY, false).await.unwrap_err();
    assert_eq!(ninth, EntryError::TooManyConnections(name("Ron")));
    drop(slots);
    release_queued(&mut releases);
    assert_eq!(registry.client_count(), 0);
}

#[tokio::test]
async fn a_released_slot_is_free_when_release_returns() {
    let (registry, mut releases, history) = registry(1);
    let ron = registry.enter(name("Ron"), KEY, false).await.unwrap();
    tokio::select! {
        released = ron.release() => released.unwrap(),
        () = releases.process() => {}
    }
    assert_eq!(registry.client_count(), 0);
    assert!(history.rows_after(0, 100)[0].end.is_some());
    assert_eq!(registry.enter(name("Ben"), KEY, false).await.unwrap().number(), 2);
}

#[tokio::test]
async fn a_dropped_slot_is_released_once_and_without_waiting() {
    let (registry, mut releases, _) = registry(1);
    let first = registry.enter(name("Ron"), KEY, false).await.unwrap();
    let _second = registry.enter(name("Ron"), KEY, false).await.unwrap();
    // Dropped after it was queued, the future does not queue the slot again.
    let mut release = Box::pin(first.release());
    tokio::select! {
        biased;
        _ = &mut release => panic!("the queue is not being processed"),
        () = async {} => {}
    }
    drop(release);
    assert_eq!(registry.client_count(), 1, "the release is only queued");
    release_queued(&mut releases);
    assert_eq!(registry.connections(&name("ron")).await.unwrap(), [ConnectionId(2)]);
}

#[tokio::test]
async fn a_revoked_slot_is_free_at_once_and_all_of_its_connections_are_notified() {
    let (registry, mut releases, history) = registry(1);
    let first = registry.enter(name("Ron"), KEY, false).await.unwrap();
    let second = registry.enter(name("Ron"), KEY, false).await.unwrap();
    assert!(!first.lost.is_cancelled());
    assert_eq!(registry.revoke(2).await, Ok(false));
    assert_eq!(registry.revoke(1).await, Ok(true));
    tokio::join!(first.lost(), second.lost());
    assert_eq!(registry.client_count(), 0);
    assert!(history.rows_after(0, 100)[0].end.is_some());
    let successor = registry.enter(name("Ron"), OTHER_KEY, false).await.unwrap();
    // Dropping the old slots must not release the successor's.
    drop((first, second));
    release_queued(&mut releases);
    assert_eq!(registry.connections(&name("Ron")).await.unwrap(), [successor.connection()]);
    assert!(!successor.lost.is_cancelled());
}

#[tokio::test]
async fn a_registry_whose_release_queue_is_closed_is_unavailable() {
    let (registry, mut releases, _) = registry(2);
    let ron = registry.enter(name("Ron"), KEY, false).await.unwrap();
    let ben = registry.enter(name("Ben"), OTHER_KEY, false).await.unwrap();
    drop(ron);
    releases.close();
    assert_eq!(registry.client_count(), 1, "a slot that was queued before is released");
    let refused = registry.enter(name("Pete"), NameOwner::Connection, false).await.unwrap_err();
    assert!(matches!(refused, EntryError::Unavailable(_)), "{refused}");
    assert!(ben.release().await.is_err());
}
