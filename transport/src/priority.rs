//! Writes a connection's control traffic before its content. QUIC's priorities order data that was
//! written, but not writes that wait because content has used up the send window. So writes of
//! content wait, for a bounded time, while writes of control traffic wait. If several streams carry
//! content, at least one of them always has data ready, and the send window is smaller.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use quinn::{Connection, SendStream};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout};

use crate::congestion::{self, AcknowledgedBytes};
use crate::role::{Role, SHORT_PATH};
use crate::send_meter::SendMeter;
use crate::stalled_pace::StalledPace;
use crate::windows::{ConnectionWindows, ContentReader, WindowPolicy};

/// How long control traffic may delay content: many round trips of a busy connection. Control
/// traffic that waits longer waits for an application that does not read: it must not stop other
/// streams.
const CONTENT_DELAY: Duration = Duration::from_millis(50);

/// The smallest send window in bytes that follows the congestion window.
const MIN_FOLLOWING_WINDOW: u64 = 64 * 1024;

/// Orders the writes of one connection's streams. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StreamPriority(Arc<PriorityState>);

#[derive(Debug, Default)]
struct PriorityState {
    /// Writes of control traffic that wait for the send window.
    waiting_control: AtomicUsize,
    /// Notified when `waiting_control` becomes 0.
    control_drained: Notify,
    /// Streams that carry content.
    content_streams: Mutex<usize>,
    /// The connection whose send window the streams share, and its role, which determines the size
    /// of that window.
    connection: Option<(Connection, Role)>,
    /// The windows that follow the path; `None` if they stay as they are.
    windows: Option<ConnectionWindows>,
    /// Writes of control traffic that have waited longer than `CONTENT_DELAY`.
    late_control: AtomicUsize,
    /// Counts what the other side has acknowledged.
    acknowledged: Option<Arc<AcknowledgedBytes>>,
}

/// Counts a stream that carries content, until dropped.
pub(crate) struct ContentStream {
    priority: StreamPriority,
    /// Whether it has bounded the send window by the congestion window.
    has_bounded_window: bool,
    /// Bytes that the connection had sent and received when this was last asked for.
    moved: u64,
    /// The pace of content that the other side does not read; `None` if windows stay as they are.
    pace: Option<StalledPace>,
}

/// Counts a write of control traffic that waits, until dropped.
struct WaitingControl<'a>(&'a PriorityState);

/// Counts a write of control traffic that waits longer than content may be delayed, until dropped.
struct LateControl<'a>(&'a PriorityState);

impl StreamPriority {
    /// Creates the priority of a connection in this role. It sets the connection's send window.
    #[must_use]
    pub fn new(connection: Connection, role: Role) -> Self {
        Self(Arc::new(PriorityState {
            acknowledged: congestion::acknowledged_bytes(&connection),
            connection: Some((connection, role)),
            ..PriorityState::default()
        }))
    }

    /// Creates the priority of a connection whose windows follow its path, as the policy allows. On
    /// loopback they stay as they are.
    #[must_use]
    pub fn with_windows(connection: Connection, role: Role, policy: &WindowPolicy) -> Self {
        if connection.remote_address().ip().to_canonical().is_loopback() {
            return Self::new(connection, role);
        }
        Self::on_network(connection, role, policy)
    }

    pub(crate) fn on_network(connection: Connection, role: Role, policy: &WindowPolicy) -> Self {
        let windows = ConnectionWindows::new(connection.clone(), role, policy.clone());
        Self(Arc::new(PriorityState {
            acknowledged: congestion::acknowledged_bytes(&connection),
            connection: Some((connection, role)),
            windows: Some(windows),
            ..PriorityState::default()
        }))
    }

    /// Counts one more stream on which content is received; `None` if windows stay as they are.
    pub(crate) fn add_content_reader(&self) -> Option<ContentReader> {
        self.0.windows.as_ref().map(ConnectionWindows::add_reader)
    }

    /// Starts to measure what holds back the connection's data.
    pub(crate) fn start_send_meter(&self) -> Option<SendMeter> {
        let (connection, _) = self.0.connection.as_ref()?;
        Some(SendMeter::start(connection.clone(), self.0.acknowledged.clone()?))
    }

    /// Counts one more stream that carries content.
    pub(crate) fn add_content_stream(&self) -> ContentStream {
        self.change_content_streams(|streams| streams + 1);
        if let Some(windows) = &self.0.windows {
            windows.add_writer();
        }
        ContentStream {
            priority: self.clone(),
            has_bounded_window: false,
            moved: 0,
            pace: self.0.windows.is_some().then(|| {
                let reports = self
                    .0
                    .connection
                    .as_ref()
                    .map(|(connection, _)| connection.stats().frame_tx.data_blocked);
                StalledPace::new(reports.unwrap_or_default())
            }),
        }
    }

    /// Keeps a stream that ends, until the other side has acknowledged it: what it has sent stays in memory as long.
    pub(crate) fn keep_until_acknowledged(&self, stream: SendStream) {
        if let Some(windows) = &self.0.windows {
            windows.keep_until_acknowledged(stream);
        }
    }

    fn change_content_streams(&self, change: impl FnOnce(usize) -> usize) {
        let mut streams = self.0.content_streams.lock();
        let before = *streams;
        *streams = change(before);
        if let Some((connection, role)) = &self.0.connection
            && (before > 1) != (*streams > 1)
        {
            connection.set_send_window(self.send_window(*role, *streams, connection.rtt()));
        }
    }

    fn send_window(&self, role: Role, content_streams: usize, round_trip: Duration) -> u64 {
        let window = role.send_window(content_streams, round_trip);
        if round_trip < SHORT_PATH {
            return window;
        }
        self.0.windows.as_ref().map_or(window, |windows| windows.send_window().max(window))
    }

    /// Sets the send window to that of the role, but to at most `limit`.
    fn set_send_window(&self, limit: impl FnOnce(&Connection) -> u64) {
        let Some((connection, role)) = &self.0.connection else { return };
        let streams = *self.0.content_streams.lock();
        let window = self.send_window(*role, streams, connection.rtt());
        connection.set_send_window(window.min(limit(connection)));
    }

    /// Awaits a write of control traffic. While it waits for the send window, content is delayed.
    pub(crate) async fn write_control<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        // Nearly always the send window has space.
        if let Poll::Ready(written) =
            poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
        {
            return written;
        }
        let waiting = WaitingControl::new(&self.0);
        // Content does not use it, because it waits as long.
        let reserve =
            self.0.windows.as_ref().and_then(|windows| {
                windows.open_send_reserve(|| self.set_send_window(|_| u64::MAX))
            });
        match timeout(CONTENT_DELAY, write.as_mut()).await {
            Ok(written) => written,
            Err(_) => {
                let _late = LateControl::new(&self.0);
                drop(reserve);
                drop(waiting);
                write.await
            }
        }
    }

    /// Awaits a write of content, once no control traffic waits.
    pub(crate) async fn write_content<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        let mut drained: Option<Pin<Box<Notified<'_>>>> = None;
        let mut has_yielded = false;
        poll_fn(|context| {
            // What has become available is offered to control traffic first, which was woken at the
            // same time.
            if self.0.late_control.load(Ordering::SeqCst) > 0 && !has_yielded {
                has_yielded = true;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            has_yielded = false;
            loop {
                if let Some(drained) = &mut drained {
                    ready!(drained.as_mut().poll(context));
                }
                drained = None;
                if self.0.waiting_control.load(Ordering::SeqCst) == 0 {
                    return write.as_mut().poll(context);
                }
                // Registered before the counter is read again, so that no notification is missed.
                let notified = Box::pin(self.0.control_drained.notified());
                if self.0.waiting_control.load(Ordering::SeqCst) > 0 {
                    drained = Some(notified);
                }
            }
        })
        .await
    }
}

impl ContentStream {
    /// Bounds the connection's send window by its congestion window, while this stream carries content. For content
    /// that must not wait in QUIC's buffer: a connection that is relayed inside a stream has priorities of its own,
    /// which data that is buffered below it cannot obey.
    pub(crate) fn follow_congestion_window(&mut self) {
        if !self.has_bounded_window {
            self.has_bounded_window = true;
            self.set_bounded(true);
        }
        self.priority.set_send_window(|connection| {
            connection.stats().path.cwnd.saturating_mul(2).max(MIN_FOLLOWING_WINDOW)
        });
    }

    fn set_bounded(&self, is_bounded: bool) {
        if let Some(windows) = &self.priority.0.windows {
            windows.set_bounded(is_bounded);
        }
    }

    /// The bytes that the next write may take, of `length`. Waits if the other side does not read.
    pub(crate) async fn next_length(&mut self, length: usize) -> usize {
        let Some(pace) = &mut self.pace else { return length };
        if let Some(windows) = &self.priority.0.windows {
            windows.note_content();
        }
        pace.next_length(length).await
    }

    /// Tells the pace how much a write took that began at `start`.
    pub(crate) fn note_write(&mut self, start: Instant, written: usize) {
        if let Some(windows) = &self.priority.0.windows {
            windows.note_written(written);
        }
        let Some((pace, (connection, _))) =
            self.pace.as_mut().zip(self.priority.0.connection.as_ref())
        else {
            return;
        };
        if pace.needs_reports(start.elapsed()) {
            pace.note_write(start.elapsed(), written, connection.stats().frame_tx.data_blocked);
        }
    }

    /// Whether the connection has moved at least half as much as `own` bytes for others since the last call. `own` is
    /// what this stream has sent meanwhile; datagrams have headers, and acknowledgements return.
    pub(crate) fn has_moved_for_others(&mut self, own: usize) -> bool {
        let Some((connection, _)) = &self.priority.0.connection else { return false };
        let stats = connection.stats();
        let moved = stats.udp_tx.bytes + stats.udp_rx.bytes;
        let before = std::mem::replace(&mut self.moved, moved);
        moved - before > own as u64 * 3 / 2
    }
}

impl Drop for ContentStream {
    fn drop(&mut self) {
        self.priority.change_content_streams(|streams| streams.saturating_sub(1));
        if let Some(windows) = &self.priority.0.windows {
            windows.remove_writer();
        }
        if self.has_bounded_window {
            self.set_bounded(false);
            self.priority.set_send_window(|_| u64::MAX);
        }
    }
}

impl<'a> WaitingControl<'a> {
    fn new(state: &'a PriorityState) -> Self {
        state.waiting_control.fetch_add(1, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for WaitingControl<'_> {
    fn drop(&mut self) {
        if self.0.waiting_control.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.control_drained.notify_waiters();
        }
    }
}

impl<'a> LateControl<'a> {
    fn new(state: &'a PriorityState) -> Self {
        state.late_control.fetch_add(1, Ordering::SeqCst);
        Self(state)
    }
}

impl Drop for LateControl<'_> {
    fn drop(&mut self) {
        self.0.late_control.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for ContentStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentStream").field("moved", &self.moved).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn content_waits_while_control_traffic_waits() {
        let priority = StreamPriority::default();
        let (grant, space) = oneshot::channel::<()>();
        let order = std::sync::Mutex::new(Vec::new());
        let control = async {
            priority.write_control(space).await.unwrap();
            order.lock().unwrap().push("control");
        };
        let content = async {
            // By now the write of control traffic waits.
            tokio::task::yield_now().await;
            priority.write_content(async { order.lock().unwrap().push("content") }).await;
        };
        let later = async {
            tokio::time::sleep(CONTENT_DELAY / 2).await;
            assert!(order.lock().unwrap().is_empty());
            grant.send(()).unwrap();
        };
        tokio::join!(control, content, later);
        assert_eq!(*order.lock().unwrap(), ["control", "content"]);
    }

    #[tokio::test(start_paused = true)]
    async fn control_traffic_delays_content_for_a_bounded_time() {
        let priority = StreamPriority::default();
        let (_grant, space) = oneshot::channel::<()>();
        let start = Instant::now();
        let control = priority.write_control(space);
        let content = async {
            tokio::task::yield_now().await;
            priority.write_content(async { start.elapsed() }).await
        };
        tokio::select! {
            _ = control => panic!("the send window had no space"),
            delay = content => assert_eq!(delay, CONTENT_DELAY),
        }
    }

    #[tokio::test]
    async fn cancelled_control_traffic_does_not_delay_content() {
        let priority = StreamPriority::default();
        let (_grant, space) = oneshot::channel::<()>();
        drop(tokio::time::timeout(Duration::ZERO, priority.write_control(space)).await);
        let content = priority.write_content(async { 7 });
        assert_eq!(timeout(Duration::from_secs(10), content).await, Ok(7));
    }
}
