//! Which streams of a connection are written first: control traffic before content. QUIC's priorities order what was
//! written, but not what cannot be written because content has used up the send window. So content waits while
//! control traffic waits, for a bounded time. Where several streams carry content, which keep each other busy, the
//! send window is smaller.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use quinn::Connection;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::timeout;

use crate::role::Role;

/// How long control traffic delays content: many round trips of a busy connection. Control traffic that waits longer
/// waits for an application that does not read, which must not stop the other streams.
const CONTENT_DELAY: Duration = Duration::from_millis(50);

/// The priority among the streams of a connection. Cheap to clone: clones belong to the same connection.
#[derive(Debug, Clone, Default)]
pub struct StreamPriority(Arc<PriorityState>);

#[derive(Debug, Default)]
struct PriorityState {
    /// Writes of control traffic that wait for the send window.
    waiting_control: AtomicUsize,
    /// Notified when that becomes 0.
    no_control_waits: Notify,
    /// Streams that carry content.
    content_streams: Mutex<usize>,
    /// The connection whose send window they share, and its role, which says how large that is.
    connection: Option<(Connection, Role)>,
}

/// Counts a stream that carries content, until dropped.
#[derive(Debug)]
pub(crate) struct ContentStream(StreamPriority);

/// Counts a write of control traffic that waits, until dropped.
struct WaitingControl<'a>(&'a PriorityState);

impl StreamPriority {
    /// On a connection in this role, whose send window is set here from now on.
    #[must_use]
    pub fn new(connection: Connection, role: Role) -> Self {
        Self(Arc::new(PriorityState {
            connection: Some((connection, role)),
            ..PriorityState::default()
        }))
    }

    /// Counts one more stream that carries content.
    pub(crate) fn add_content_stream(&self) -> ContentStream {
        self.change_content_streams(|streams| streams + 1);
        ContentStream(self.clone())
    }

    fn change_content_streams(&self, change: impl FnOnce(usize) -> usize) {
        let mut streams = self.0.content_streams.lock();
        let before = *streams;
        *streams = change(before);
        if let Some((connection, role)) = &self.0.connection
            && (before > 1) != (*streams > 1)
        {
            connection.set_send_window(role.send_window(*streams, connection.rtt()));
        }
    }

    /// Awaits a write of control traffic, which delays content where there is no room for it.
    pub(crate) async fn write_control<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        // Nearly always there is room.
        if let Poll::Ready(written) =
            poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
        {
            return written;
        }
        let waiting = WaitingControl::new(&self.0);
        match timeout(CONTENT_DELAY, write.as_mut()).await {
            Ok(written) => written,
            Err(_) => {
                drop(waiting);
                write.await
            }
        }
    }

    /// Awaits a write of content, once no control traffic waits.
    pub(crate) async fn write_content<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        let mut free: Option<Pin<Box<Notified<'_>>>> = None;
        poll_fn(|context| {
            loop {
                if let Some(free) = &mut free {
                    ready!(free.as_mut().poll(context));
                }
                free = None;
                if self.0.waiting_control.load(Ordering::SeqCst) == 0 {
                    return write.as_mut().poll(context);
                }
                // Registered before the second look, so that no notification is missed.
                let notified = Box::pin(self.0.no_control_waits.notified());
                if self.0.waiting_control.load(Ordering::SeqCst) > 0 {
                    free = Some(notified);
                }
            }
        })
        .await
    }
}

impl Drop for ContentStream {
    fn drop(&mut self) {
        self.0.change_content_streams(|streams| streams.saturating_sub(1));
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
            self.0.no_control_waits.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn content_waits_while_control_traffic_waits() {
        let priority = StreamPriority::default();
        let (room, wait) = oneshot::channel::<()>();
        let order = std::sync::Mutex::new(Vec::new());
        let control = async {
            priority.write_control(wait).await.unwrap();
            order.lock().unwrap().push("control");
        };
        let content = async {
            // Control traffic waits by now.
            tokio::task::yield_now().await;
            priority.write_content(async { order.lock().unwrap().push("content") }).await;
        };
        let later = async {
            tokio::time::sleep(CONTENT_DELAY / 2).await;
            assert!(order.lock().unwrap().is_empty());
            room.send(()).unwrap();
        };
        tokio::join!(control, content, later);
        assert_eq!(*order.lock().unwrap(), ["control", "content"]);
    }

    #[tokio::test(start_paused = true)]
    async fn control_traffic_delays_content_for_a_bounded_time() {
        let priority = StreamPriority::default();
        let (_room, wait) = oneshot::channel::<()>();
        let start = Instant::now();
        let control = priority.write_control(wait);
        let content = async {
            tokio::task::yield_now().await;
            priority.write_content(async { start.elapsed() }).await
        };
        tokio::select! {
            _ = control => panic!("there was no room"),
            waited = content => assert_eq!(waited, CONTENT_DELAY),
        }
    }

    #[tokio::test]
    async fn cancelled_control_traffic_does_not_delay_content() {
        let priority = StreamPriority::default();
        let (_room, wait) = oneshot::channel::<()>();
        drop(tokio::time::timeout(Duration::ZERO, priority.write_control(wait)).await);
        let content = priority.write_content(async { 7 });
        assert_eq!(timeout(Duration::from_secs(10), content).await, Ok(7));
    }
}
