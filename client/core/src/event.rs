//! Numbered events for all interfaces, through a bounded queue for each reader. Independent of what the events mean.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::Event;
use quiver_protocol::reply::Welcome;
use tokio::sync::Notify;

use crate::error::ClientError;
use crate::notice::Notice;
use crate::peer_event::PeerEvent;
use crate::question::{Question, QuestionId};
use crate::transfers::{TransferEvent, TransferId, TransferState, TransferStatus};

/// Capacity of a reader's queue. A reader that falls further behind gets a [`Snapshot`] in place of the events that
/// it missed, or makes the client wait, depending on how it has subscribed.
pub const CAPACITY: usize = 256;

/// An event. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientEvent {
    /// The event's number, from 1, the same for all readers of a client. A [`Snapshot`] has the number of the last
    /// event that it includes.
    pub number: u64,
    /// The content of the event.
    pub kind: EventKind,
}

/// The content of an event.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The state of the client, in place of events that the reader has missed.
    Snapshot(Arc<Snapshot>),
    /// The state of the connection has changed.
    Connection(ConnectionState),
    /// The server is stopping: running commands have this much time to finish, and no new ones start.
    ServerStopping(Duration),
    /// The server refused a name or password, or the name was invalid. The client asks again.
    SignInRefused(Arc<ClientError>),
    /// One of several resumed transfers failed, or an entry of the journal is invalid.
    Failed(Arc<ClientError>),
    /// Information that is not an error.
    Notice(Notice),
    /// A question waits for an answer.
    Question(QuestionId, Arc<Question>),
    /// A question was answered or withdrawn.
    QuestionSettled(QuestionId),
    /// An event of a transfer.
    Transfer(TransferId, TransferEvent),
    /// An event about other clients.
    Peer(PeerEvent),
}

impl EventKind {
    /// The event for interfaces that a server's event causes; `None` if it causes none.
    pub(crate) fn from_server(event: &Event) -> Option<Self> {
        match event {
            Event::Stopping { grace_seconds } => {
                Some(Self::ServerStopping(Duration::from_secs(*grace_seconds)))
            }
            Event::StillThere | Event::Unknown => None,
        }
    }
}

/// The state of the connection to the server.
#[derive(Debug, Clone)]
pub enum ConnectionState {
    /// The client has not connected yet.
    Disconnected,
    /// Connected to the trusted server; the sign-in follows.
    SigningIn,
    /// Signed in.
    Connected(Arc<Welcome>),
    /// Signed in again after a loss of the connection.
    Reconnected(Arc<Welcome>),
    /// The connection was lost; the reason.
    Lost(String),
}

/// The state of a client at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The state of the connection.
    pub connection: ConnectionState,
    /// The transfers of this process, by number, without those that the client has forgotten.
    pub transfers: Vec<TransferStatus>,
    /// The open questions.
    pub questions: Vec<(QuestionId, Arc<Question>)>,
}

/// What happens when a reader's queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OverflowPolicy {
    /// The queued events are dropped, and a snapshot replaces them.
    Snapshot,
    /// Publishers wait for the reader.
    Wait,
}

/// Publishes events to all readers. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventHub(Arc<HubShared>);

#[derive(Default)]
struct HubShared {
    state: Mutex<HubState>,
    /// Creates the snapshot for a reader that fell behind.
    snapshot: OnceLock<Box<dyn Fn() -> Snapshot + Send + Sync>>,
}

#[derive(Default)]
struct HubState {
    last_number: u64,
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

/// The reader's end of a queue. Dropping it closes the queue.
#[derive(Debug)]
pub struct EventReceiver {
    hub: EventHub,
    queue: Arc<EventQueue>,
}

impl EventHub {
    /// Sets the function that creates snapshots. May be called once.
    pub(crate) fn set_snapshot_source(&self, make: impl Fn() -> Snapshot + Send + Sync + 'static) {
        // Fails only at a second call.
        let _ = self.0.snapshot.set(Box::new(make));
    }

    /// Subscribes to events from now on. A reader that falls behind gets a snapshot.
    pub(crate) fn subscribe(&self) -> EventReceiver {
        self.add_reader(OverflowPolicy::Snapshot)
    }

    /// Subscribes to all events from now on. Publishers wait for a reader that falls behind.
    pub(crate) fn subscribe_to_all(&self) -> EventReceiver {
        self.add_reader(OverflowPolicy::Wait)
    }

    fn add_reader(&self, overflow: OverflowPolicy) -> EventReceiver {
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

    /// Publishes an event to all readers. Never waits: the queue of a reader of all events may exceed its capacity by
    /// a few events.
    pub(crate) fn publish(&self, kind: EventKind) {
        let mut state = self.0.state.lock();
        state.last_number += 1;
        let event = ClientEvent { number: state.last_number, kind };
        // Within the lock, so that every reader gets the events in the order of their numbers.
        state.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(event.clone());
                true
            }
            None => false,
        });
    }

    /// Publishes a new state of a transfer. Never waits.
    pub(crate) fn publish_state(&self, id: TransferId, state: TransferState) {
        self.publish(EventKind::Transfer(id, TransferEvent::State(state)));
    }

    /// Publishes an event after [waiting for capacity](Self::wait_for_capacity).
    pub(crate) async fn wait_and_publish(&self, kind: EventKind) {
        self.wait_for_capacity().await;
        self.publish(kind);
    }

    /// Waits until the queues of all readers of all events have capacity. An event about a change must follow that
    /// change without waiting in between, so callers wait here first, then change, then publish.
    pub(crate) async fn wait_for_capacity(&self) {
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

    /// Closes all queues: readers get the queued events, and then the end.
    pub(crate) fn close(&self) {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        for queue in state.queues.iter().filter_map(Weak::upgrade) {
            queue.close();
        }
    }

    fn snapshot(&self) -> Option<ClientEvent> {
        let make = self.0.snapshot.get()?;
        // Read before the state: a reader may get a later event again, but never misses one.
        let number = self.0.state.lock().last_number;
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
        // A pending snapshot will include this event.
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
    /// The next event; `None` once the client has shut down. Cancel-safe.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        loop {
            let filled = self.queue.filled.notified();
            match self.take() {
                QueueItem::Event(event) => return Some(event),
                QueueItem::Missed => {
                    if let Some(snapshot) = self.hub.snapshot() {
                        return Some(snapshot);
                    }
                }
                QueueItem::Empty => filled.await,
                QueueItem::End => return None,
            }
        }
    }

    /// The next event if one is queued.
    pub fn try_next(&mut self) -> Option<ClientEvent> {
        match self.take() {
            QueueItem::Event(event) => Some(event),
            QueueItem::Missed => self.hub.snapshot(),
            QueueItem::Empty | QueueItem::End => None,
        }
    }

    fn take(&self) -> QueueItem {
        let mut state = self.queue.state.lock();
        if std::mem::take(&mut state.has_missed) {
            return QueueItem::Missed;
        }
        let taken = match state.events.pop_front() {
            Some(event) => QueueItem::Event(event),
            None if state.is_closed => QueueItem::End,
            None => QueueItem::Empty,
        };
        drop(state);
        self.queue.taken.notify_waiters();
        taken
    }
}

enum QueueItem {
    Event(ClientEvent),
    /// The queue has dropped events.
    Missed,
    Empty,
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
        f.debug_struct("EventHub")
            .field("last_number", &state.last_number)
            .field("readers", &state.queues.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
