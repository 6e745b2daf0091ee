//! Who writes first on a connection: talk before content. QUIC's priorities order what was written; what
//! cannot be written, because content has used up all that may be on its way, they do not help. So content
//! waits while talk waits, for a moment at most. And where several streams carry content, which keep each
//! other busy, less of it may be on its way.

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

/// How long talk holds up content: many round trips of a busy connection. Talk that waits longer waits for
/// a reader who does not read, and that is no reason to stop everything else.
const MOMENT: Duration = Duration::from_millis(50);

/// What the streams of a connection know of each other. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Precedence(Arc<Talk>);

#[derive(Debug, Default)]
struct Talk {
    waiting: AtomicUsize,
    none_waits: Notify,
    /// Streams that carry content.
    content: Mutex<usize>,
    /// The connection whose send window they share, and its role, which says how large that is.
    connection: Option<(Connection, Role)>,
}

/// A stream that carries content. Over when dropped.
#[derive(Debug)]
pub(crate) struct Carries(Precedence);

/// Talk that waits.
struct Waits<'a>(&'a Talk);

impl Precedence {
    /// On a connection in this role, whose send window is set here from now on.
    #[must_use]
    pub fn on(connection: Connection, role: Role) -> Self {
        Self(Arc::new(Talk { connection: Some((connection, role)), ..Talk::default() }))
    }

    /// One more stream carries content.
    pub(crate) fn carry(&self) -> Carries {
        self.count(|streams| streams + 1);
        Carries(self.clone())
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut streams = self.0.content.lock();
        let before = *streams;
        *streams = change(before);
        if let Some((connection, role)) = &self.0.connection
            && (before > 1) != (*streams > 1)
        {
            connection.set_send_window(role.send_window(*streams, connection.rtt()));
        }
    }

    /// Writes talk.
    pub(crate) async fn first<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        // Nearly always there is room.
        if let Poll::Ready(written) =
            poll_fn(|context| Poll::Ready(write.as_mut().poll(context))).await
        {
            return written;
        }
        let waits = Waits::new(&self.0);
        match timeout(MOMENT, write.as_mut()).await {
            Ok(written) => written,
            Err(_) => {
                drop(waits);
                write.await
            }
        }
    }

    /// Writes content.
    pub(crate) async fn last<F: Future>(&self, write: F) -> F::Output {
        let mut write = pin!(write);
        let mut free: Option<Pin<Box<Notified<'_>>>> = None;
        poll_fn(|context| {
            loop {
                if let Some(free) = &mut free {
                    ready!(free.as_mut().poll(context));
                }
                free = None;
                if self.0.waiting.load(Ordering::SeqCst) == 0 {
                    return write.as_mut().poll(context);
                }
                // It hears of what happens from here on.
                let hears = Box::pin(self.0.none_waits.notified());
                if self.0.waiting.load(Ordering::SeqCst) > 0 {
                    free = Some(hears);
                }
            }
        })
        .await
    }
}

impl Drop for Carries {
    fn drop(&mut self) {
        self.0.count(|streams| streams.saturating_sub(1));
    }
}

impl<'a> Waits<'a> {
    fn new(talk: &'a Talk) -> Self {
        talk.waiting.fetch_add(1, Ordering::SeqCst);
        Self(talk)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_waits.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn content_waits_while_talk_waits() {
        let precedence = Precedence::default();
        let (room, wait) = oneshot::channel::<()>();
        let order = std::sync::Mutex::new(Vec::new());
        let talk = async {
            precedence.first(wait).await.unwrap();
            order.lock().unwrap().push("talk");
        };
        let content = async {
            // Talk has begun to wait.
            tokio::task::yield_now().await;
            precedence.last(async { order.lock().unwrap().push("content") }).await;
        };
        let later = async {
            tokio::time::sleep(MOMENT / 2).await;
            assert!(order.lock().unwrap().is_empty());
            room.send(()).unwrap();
        };
        tokio::join!(talk, content, later);
        assert_eq!(*order.lock().unwrap(), ["talk", "content"]);
    }

    #[tokio::test(start_paused = true)]
    async fn but_not_for_long() {
        let precedence = Precedence::default();
        let (_room, wait) = oneshot::channel::<()>();
        let start = Instant::now();
        let talk = precedence.first(wait);
        let content = async {
            tokio::task::yield_now().await;
            precedence.last(async { start.elapsed() }).await
        };
        tokio::select! {
            _ = talk => panic!("there was no room"),
            waited = content => assert_eq!(waited, MOMENT),
        }
    }

    #[tokio::test]
    async fn who_gives_up_holds_nobody_up() {
        let precedence = Precedence::default();
        let (_room, wait) = oneshot::channel::<()>();
        drop(tokio::time::timeout(Duration::ZERO, precedence.first(wait)).await);
        let content = precedence.last(async { 7 });
        assert_eq!(timeout(Duration::from_secs(10), content).await, Ok(7));
    }
}
