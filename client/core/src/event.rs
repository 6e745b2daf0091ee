//! What happens, told to every interface at once: numbered events, and for each reader a queue with a bound.
//! Knows nothing of what the events are about.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::Event;
use quiver_protocol::reply::Welcome;
use tokio::sync::Notify;

use crate::error::ClientError;
use crate::notice::Notice;
use crate::question::{Question, QuestionId};
use crate::transfers::{TransferEvent, TransferId, TransferState, TransferStatus};

/// Events that wait for a reader, at most. One that falls behind further gets a [`Snapshot`] in place of what it
/// missed, or holds up what happens, as it has chosen.
pub const CAPACITY: usize = 256;

/// Something that happened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientEvent {
    /// Counts all events of a client from 1, the same for every reader. A [`Snapshot`] has the number of the last
    /// event that it includes.
    pub number: u64,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The state of everything: the reader has missed events.
    Snapshot(Arc<Snapshot>),
    /// The connection has another state.
    Connection(ConnectionState),
    /// The server is stopping: what runs may end within this time, and nothing new begins.
    ServerStopping(Duration),
    /// The server refused a name or a password, or a name was no name; the interface is asked again.
    SignInRefused(Arc<ClientError>),
    /// One of several transfers that were resumed failed, or an entry of the journal is none.
    Failed(Arc<ClientError>),
    /// Something worth knowing that is no error.
    Notice(Notice),
    /// A question waits for an answer.
    Question(QuestionId, Arc<Question>),
    /// A question needs no answer any more.
    QuestionSettled(QuestionId),
    /// Something became of a transfer.
    Transfer(TransferId, TransferEvent),
}

impl EventKind {
    /// What a server's event means; `None` where it is nothing to interfaces.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Stopping { grace_seconds } => {
                Some(Self::ServerStopping(Duration::from_secs(*grace_seconds)))
            }
            Event::StillThere | Event::Unknown => None,
        }
    }
}

/// The connection to the server.
#[derive(Debug, Clone)]
pub enum ConnectionState {
    /// There is none, and none is being made.
    Disconnected,
    /// The server is trusted and has answered; the sign-in follows.
    SigningIn,
    /// Signed in.
    Connected(Arc<Welcome>),
    /// Signed in again, after the connection was lost.
    Reconnected(Arc<Welcome>),
    /// It was lost, and why.
    Lost(String),
}

/// The state of everything at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The connection.
    pub connection: ConnectionState,
    /// All transfers of this process that are not forgotten, by number.
    pub transfers: Vec<TransferStatus>,
    /// Questions that wait for an answer.
    pub questions: Vec<(QuestionId, Arc<Question>)>,
}

/// What becomes of events that a reader does not take in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OverflowPolicy {
    /// They are dropped, and a snapshot takes their place.
    Snapshot,
    /// What happens next waits for the reader.
    Wait,
}

/// Where events are published. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventHub(Arc<HubShared>);

#[derive(Default)]
struct HubShared {
    state: Mutex<HubState>,
    /// Makes the snapshot for a reader that fell behind.
    snapshot: OnceLock<Box<dyn Fn() -> Snapshot + Send + Sync>>,
}

#[derive(Default)]
struct HubState {
    last: u64,
    queues: Vec<Weak<EventQueue>>,
    is_closed: bool,
}

#[derive(Debug)]
struct EventQueue {
    overflow: OverflowPolicy,
    state: Mutex<EventQueueState>,
    filled: Notify,
    taken: Notify,
}

#[derive(Debug, Default)]
struct EventQueueState {
    events: VecDeque<ClientEvent>,
    has_missed: bool,
    is_closed: bool,
}

/// A reader's end. Dropped, nothing is kept for it any more.
#[derive(Debug)]
pub struct EventReceiver {
    hub: EventHub,
    queue: Arc<EventQueue>,
}

impl EventHub {
    /// Says how a snapshot is made; once.
    pub(crate) fn snapshot_with(&self, make: impl Fn() -> Snapshot + Send + Sync + 'static) {
        // A second one is never given.
        let _ = self.0.snapshot.set(Box::new(make));
    }

    /// Events from now on, for a reader that may miss some and is told the state of everything then.
    pub(crate) fn subscribe(&self) -> EventReceiver {
        self.reader(OverflowPolicy::Snapshot)
    }

    /// All events from now on: what happens waits where the reader does not.
    pub(crate) fn subscribe_to_all(&self) -> EventReceiver {
        self.reader(OverflowPolicy::Wait)
    }

    fn reader(&self, overflow: OverflowPolicy) -> EventReceiver {
        let queue = Arc::new(EventQueue {
            overflow,
            state: Mutex::default(),
            filled: Notify::new(),
            taken: Notify::new(),
        });
        let mut state = self.0.state.lock();
        state.queues.push(Arc::downgrade(&queue));
        if state.is_closed {
            queue.close();
        }
        drop(state);
        EventReceiver { hub: self.clone(), queue }
    }

    /// Tells all readers. Never waits: a reader that must miss nothing may get a few more events than its bound.
    pub(crate) fn publish(&self, kind: EventKind) {
        let mut state = self.0.state.lock();
        state.last += 1;
        let event = ClientEvent { number: state.last, kind };
        // Within the lock, so that every reader has the events in the order of their numbers.
        state.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(event.clone());
                true
            }
            None => false,
        });
    }

    /// A transfer has another state.
    pub(crate) fn tell_state(&self, id: TransferId, state: TransferState) {
        self.publish(EventKind::Transfer(id, TransferEvent::State(state)));
    }

    /// The same, once there is [room](Self::room).
    pub(crate) async fn publish_in_turn(&self, kind: EventKind) {
        self.room().await;
        self.publish(kind);
    }

    /// Waits until there is room with all readers that must miss nothing. What is published with a change is
    /// published right after that change, without waiting: so this comes before both.
    pub(crate) async fn room(&self) {
        while let Some(queue) = self.full_queue() {
            let taken = queue.taken.notified();
            if queue.is_full() {
                taken.await;
            }
        }
    }

    fn full_queue(&self) -> Option<Arc<EventQueue>> {
        let state = self.0.state.lock();
        state.queues.iter().filter_map(Weak::upgrade).find(|queue| queue.is_full())
    }

    /// Nothing follows: readers come to their end once they have taken what waits.
    pub(crate) fn close(&self) {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        for queue in state.queues.iter().filter_map(Weak::upgrade) {
            queue.close();
        }
    }

    fn snapshot(&self) -> Option<ClientEvent> {
        let make = self.0.snapshot.get()?;
        // Before the state is looked at: what happens meanwhile is told again, which is no harm.
        let number = self.0.state.lock().last;
        Some(ClientEvent { number, kind: EventKind::Snapshot(Arc::new(make())) })
    }
}

impl EventQueue {
    fn push(&self, event: ClientEvent) {
        let mut state = self.state.lock();
        if state.is_closed {
            return;
        }
        if self.overflow == OverflowPolicy::Snapshot && state.events.len() >= CAPACITY {
            state.events.clear();
            state.has_missed = true;
        }
        // What comes before the snapshot is taken is in it.
        if !state.has_missed {
            state.events.push_back(event);
        }
        drop(state);
        self.filled.notify_one();
    }

    fn is_full(&self) -> bool {
        let state = self.state.lock();
        self.overflow == OverflowPolicy::Wait && !state.is_closed && state.events.len() >= CAPACITY
    }

    fn close(&self) {
        self.state.lock().is_closed = true;
        self.filled.notify_one();
        self.taken.notify_waiters();
    }
}

impl EventReceiver {
    /// The next event; `None` once the client is gone. Waiting may be given up and taken up again.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        loop {
            let filled = self.queue.filled.notified();
            match self.take() {
                TakenEvents::Event(event) => return Some(event),
                TakenEvents::Missed => {
                    if let Some(snapshot) = self.hub.snapshot() {
                        return Some(snapshot);
                    }
                }
                TakenEvents::Nothing => filled.await,
                TakenEvents::End => return None,
            }
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        match self.take() {
            TakenEvents::Event(event) => Some(event),
            TakenEvents::Missed => self.hub.snapshot(),
            TakenEvents::Nothing | TakenEvents::End => None,
        }
    }

    fn take(&self) -> TakenEvents {
        let mut state = self.queue.state.lock();
        if std::mem::take(&mut state.has_missed) {
            return TakenEvents::Missed;
        }
        let taken = match state.events.pop_front() {
            Some(event) => TakenEvents::Event(event),
            None if state.is_closed => TakenEvents::End,
            None => TakenEvents::Nothing,
        };
        drop(state);
        self.queue.taken.notify_waiters();
        taken
    }
}

enum TakenEvents {
    Event(ClientEvent),
    /// Events were dropped.
    Missed,
    Nothing,
    End,
}

impl Drop for EventReceiver {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl std::fmt::Debug for HubShared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Hub")
            .field("last", &state.last)
            .field("readers", &state.queues.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn hub() -> EventHub {
        let hub = EventHub::default();
        hub.snapshot_with(|| Snapshot {
            connection: ConnectionState::Disconnected,
            transfers: Vec::new(),
            questions: Vec::new(),
        });
        hub
    }

    fn happens(hub: &EventHub, times: usize) {
        for _ in 0..times {
            hub.publish(EventKind::ServerStopping(DEADLINE));
        }
    }

    #[tokio::test]
    async fn every_reader_has_every_event_with_the_same_number() {
        let hub = hub();
        let (mut one, mut two) = (hub.subscribe(), hub.subscribe_to_all());
        happens(&hub, 3);
        for number in 1..=3 {
            assert_eq!(one.next().await.unwrap().number, number);
            assert_eq!(two.next().await.unwrap().number, number);
        }
        hub.close();
        assert!(one.next().await.is_none() && two.next().await.is_none());
    }

    #[tokio::test]
    async fn a_slow_reader_gets_a_snapshot_and_then_what_follows() {
        let hub = hub();
        let mut slow = hub.subscribe();
        happens(&hub, CAPACITY + 7);
        let event = slow.next().await.unwrap();
        assert!(matches!(event.kind, EventKind::Snapshot(_)));
        assert_eq!(event.number, CAPACITY as u64 + 7);
        happens(&hub, 1);
        assert_eq!(slow.next().await.unwrap().number, CAPACITY as u64 + 8);
        assert!(slow.try_next().is_none());
    }

    #[tokio::test]
    async fn what_happens_waits_for_a_reader_that_must_miss_nothing() {
        let hub = hub();
        let mut all = hub.subscribe_to_all();
        happens(&hub, CAPACITY);
        let next = hub.publish_in_turn(EventKind::ServerStopping(DEADLINE));
        tokio::pin!(next);
        assert!(timeout(Duration::ZERO, next.as_mut()).await.is_err());
        assert_eq!(all.next().await.unwrap().number, 1);
        timeout(DEADLINE, next).await.unwrap();
        for number in 2..=CAPACITY as u64 + 1 {
            assert_eq!(all.next().await.unwrap().number, number);
        }
        drop(all);
        timeout(DEADLINE, hub.publish_in_turn(EventKind::ServerStopping(DEADLINE))).await.unwrap();
    }
}
