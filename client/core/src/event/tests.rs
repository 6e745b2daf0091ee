//! Readers of events: the same numbers for all, snapshots for slow ones, and readers that publishers wait for.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

fn hub_with_snapshots() -> EventHub {
    let hub = EventHub::default();
    hub.set_snapshot_source(|| Snapshot {
        connection: ConnectionState::Disconnected,
        transfers: Vec::new(),
        questions: Vec::new(),
    });
    hub
}

fn publish_events(hub: &EventHub, count: usize) {
    for _ in 0..count {
        hub.publish(EventKind::ServerStopping(DEADLINE));
    }
}

#[tokio::test]
async fn all_readers_get_each_event_with_the_same_number() {
    let hub = hub_with_snapshots();
    let (mut one, mut two) = (hub.subscribe(), hub.subscribe_to_all());
    publish_events(&hub, 3);
    for number in 1..=3 {
        assert_eq!(one.next().await.unwrap().number, number);
        assert_eq!(two.next().await.unwrap().number, number);
    }
    hub.close();
    assert!(one.next().await.is_none() && two.next().await.is_none());
}

#[tokio::test]
async fn a_slow_reader_gets_a_snapshot_and_then_the_next_events() {
    let hub = hub_with_snapshots();
    let mut slow = hub.subscribe();
    publish_events(&hub, CAPACITY + 7);
    let event = slow.next().await.unwrap();
    assert!(matches!(event.kind, EventKind::Snapshot(_)));
    assert_eq!(event.number, CAPACITY as u64 + 7);
    publish_events(&hub, 1);
    assert_eq!(slow.next().await.unwrap().number, CAPACITY as u64 + 8);
    assert!(slow.try_next().is_none());
}

#[tokio::test]
async fn publishers_wait_for_a_reader_of_all_events() {
    let hub = hub_with_snapshots();
    let mut all = hub.subscribe_to_all();
    publish_events(&hub, CAPACITY);
    let next = hub.wait_and_publish(EventKind::ServerStopping(DEADLINE));
    tokio::pin!(next);
    assert!(timeout(Duration::ZERO, next.as_mut()).await.is_err());
    assert_eq!(all.next().await.unwrap().number, 1);
    timeout(DEADLINE, next).await.unwrap();
    for number in 2..=CAPACITY as u64 + 1 {
        assert_eq!(all.next().await.unwrap().number, number);
    }
    drop(all);
    timeout(DEADLINE, hub.wait_and_publish(EventKind::ServerStopping(DEADLINE))).await.unwrap();
}
