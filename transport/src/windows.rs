//! Windows that follow the path. On a network, the receive and the send window of a connection grow
//! while content moves, with memory from one budget for all connections of a process. How far they
//! grow is decided in `growth`; the windows of an idle connection are in `role`.
//!
//! One stream may use all of the connection's receive window, so content that the application does
//! not read could stop control traffic. Therefore:
//! - the receive window grows only with content that is read;
//! - if the sender reports that it is blocked while content is not read, the receiver grants small
//!   steps from a reserve;
//! - the sender leaves most of such a step to control traffic
//!   ([`StreamPriority`](crate::StreamPriority)).

mod content_reader;
mod growth;
mod policy;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use quinn::{Connection, SendStream, VarInt};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) use self::content_reader::ContentReader;
pub(crate) use self::growth::RESERVE_STEP;
use self::growth::{Bounds, Growth, PathSample, WindowSizes};
pub use self::policy::WindowPolicy;
use crate::buffer_budget::BufferReservation;
use crate::role::Role;

/// How often the windows are adjusted while content moves: a fraction of the round trip on a long
/// path.
const INTERVAL: Duration = Duration::from_millis(25);

/// How often a connection whose content does not move is looked at.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long windows stay as they are when no content moves: longer than the pause between two
/// files.
const IDLE_TIME: Duration = Duration::from_secs(3);

/// By how much the send window is larger while control traffic waits for it: by a part of it, because content that was
/// written before the window became smaller may still be in it, and by the messages of a round trip.
const SEND_RESERVE_PART: u64 = 4;
const LEAST_SEND_RESERVE: u64 = 64 * 1024;

/// The windows of one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionWindows(Arc<WindowsState>);

struct WindowsState {
    connection: Connection,
    policy: WindowPolicy,
    role: Role,
    /// The send window above which no bytes are taken from the application.
    send_window: AtomicU64,
    /// Streams whose owner sets a smaller send window itself.
    bounding_streams: AtomicUsize,
    /// Writes of control traffic for which the send window is larger.
    send_reserves: AtomicUsize,
    content_read: AtomicU64,
    content_written: AtomicU64,
    /// Whether the budget holds memory of the send window.
    has_send_reservation: AtomicBool,
    /// Whether a loss of too many packets has made the windows of later connections smaller.
    has_reduced: AtomicBool,
    readers: Mutex<Readers>,
    writers: AtomicUsize,
    /// Streams that have ended, until the other side has acknowledged them.
    draining: Mutex<JoinSet<()>>,
    sizes: Mutex<AdjustedSizes>,
    /// Runs while content moves, or the connection has more than its base windows.
    adjuster: Mutex<Adjuster>,
    is_slow: AtomicBool,
    content_moves: Notify,
}

#[derive(Debug, Default)]
struct Adjuster {
    task: JoinSet<()>,
    is_running: bool,
}

/// The streams on which content is received.
#[derive(Debug, Default)]
struct Readers {
    count: usize,
    /// Those that do not know how much content follows.
    without_size: usize,
    /// The bytes that follow on all others.
    remaining: u64,
}

#[derive(Debug)]
struct AdjustedSizes {
    sizes: WindowSizes,
    reservation: BufferReservation,
    /// When content last moved, and the bytes of both directions then.
    moved_at: Instant,
    moved_bytes: (u64, u64),
}

/// A larger send window for a write of control traffic, until dropped.
pub(crate) struct SendReserve<'a, F: Fn()> {
    state: &'a WindowsState,
    update: F,
}

/// How soon the windows of a connection are adjusted again.
enum NextStep {
    Soon,
    Later,
    Never,
}

impl ConnectionWindows {
    /// The windows of a connection over a network, which has the base windows of its role.
    pub(crate) fn new(connection: Connection, role: Role, policy: WindowPolicy) -> Self {
        let limits = role.limits(false);
        let bounds = Bounds {
            base_receive: limits.receive_window.into(),
            base_send: limits.send_window,
            largest: policy.largest_window().into(),
        };
        let sizes = AdjustedSizes {
            sizes: WindowSizes::new(bounds),
            reservation: policy.reserve_nothing(),
            moved_at: Instant::now(),
            moved_bytes: (0, 0),
        };
        Self(Arc::new(WindowsState {
            connection,
            policy,
            role,
            send_window: AtomicU64::new(limits.send_window),
            bounding_streams: AtomicUsize::new(0),
            send_reserves: AtomicUsize::new(0),
            content_read: AtomicU64::new(0),
            content_written: AtomicU64::new(0),
            has_send_reservation: AtomicBool::new(false),
            has_reduced: AtomicBool::new(false),
            readers: Mutex::default(),
            writers: AtomicUsize::new(0),
            draining: Mutex::default(),
            sizes: Mutex::new(sizes),
            adjuster: Mutex::default(),
            is_slow: AtomicBool::new(false),
            content_moves: Notify::new(),
        }))
    }

    /// The send window that the path asks for, with the reserve if control traffic waits.
    pub(crate) fn send_window(&self) -> u64 {
        self.0.send_window_with_reserve()
    }

    /// Enlarges the send window until the reserve is dropped; `None` if a stream bounds it. `update` sets the window.
    ///
    /// What is acknowledged behind a lost packet stays in the window until that packet has arrived, so that content which
    /// fills the window would delay control traffic for more than a round trip.
    pub(crate) fn open_send_reserve<F: Fn()>(&self, update: F) -> Option<SendReserve<'_, F>> {
        (self.0.bounding_streams.load(Ordering::Relaxed) == 0).then(|| {
            self.0.send_reserves.fetch_add(1, Ordering::Relaxed);
            update();
            SendReserve { state: &self.0, update }
        })
    }

    /// Counts a stream on which content is received.
    pub(crate) fn add_reader(&self) -> ContentReader {
        {
            let mut readers = self.0.readers.lock();
            readers.count += 1;
            readers.without_size += 1;
        }
        self.start_adjusting();
        ContentReader::new(self.clone())
    }

    /// Counts a stream on which content is sent.
    pub(crate) fn add_writer(&self) {
        self.0.writers.fetch_add(1, Ordering::Relaxed);
        self.start_adjusting();
    }

    /// Counts a stream that sends content no more.
    pub(crate) fn remove_writer(&self) {
        self.0.writers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Keeps a stream that has ended, and the memory of the send window, until the other side has acknowledged what was
    /// sent, or has stopped reading: dropped then, QUIC discards the rest. A control stream may have filled that window too.
    pub(crate) fn keep_until_acknowledged(&self, stream: SendStream) {
        if !self.0.has_send_reservation.load(Ordering::Relaxed) {
            return;
        }
        // A writer may be dropped after its runtime has ended, and then nothing is sent any more.
        let Ok(runtime) = Handle::try_current() else { return };
        let acknowledged = async move {
            // Either way QUIC keeps nothing of it any more once it is dropped.
            let _ = stream.stopped().await;
            drop(stream);
        };
        self.0.draining.lock().spawn_on(acknowledged, &runtime);
    }

    /// Leaves the send window to a stream that bounds it, or takes it back.
    pub(crate) fn set_bounded(&self, is_bounded: bool) {
        if is_bounded {
            self.0.bounding_streams.fetch_add(1, Ordering::Relaxed);
        } else {
            self.0.bounding_streams.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Notes that content moves. Cheap, for every write.
    pub(crate) fn note_content(&self) {
        if self.0.is_slow.swap(false, Ordering::Relaxed) {
            self.0.content_moves.notify_one();
        }
    }

    /// Counts content that QUIC has taken from the application.
    pub(crate) fn note_written(&self, bytes: usize) {
        self.0.content_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn start_adjusting(&self) {
        self.note_content();
        let mut adjuster = self.0.adjuster.lock();
        if !adjuster.is_running {
            adjuster.is_running = true;
            while adjuster.task.try_join_next().is_some() {}
            adjuster.task.spawn(adjust_windows(Arc::downgrade(&self.0)));
        }
    }
}

impl WindowsState {
    /// Adjusts the windows to what the connection has moved since the last call.
    fn adjust(&self, now: Instant) -> NextStep {
        let mut adjusted = self.sizes.lock();
        if let Some(reason) = self.connection.close_reason() {
            let asks_to_reduce = policy::asks_for_smaller_windows(self.role, reason);
            if asks_to_reduce && !self.has_reduced.swap(true, Ordering::Relaxed) {
                self.policy.reduce_windows();
            }
            adjusted.reservation.shrink_to(0);
            self.adjuster.lock().is_running = false;
            return NextStep::Never;
        }
        let sample = self.sample(now);
        let has_content = sample.is_receiving || sample.is_sending;
        let is_idle = adjusted.note_moved(&sample, now);
        let AdjustedSizes { sizes, reservation, .. } = &mut *adjusted;
        let (receive, send) = (sizes.receive(), sizes.send());
        let mut wanted = sizes.record(sample);
        if is_idle {
            // What is sent and not acknowledged stays in memory.
            let send = if sample.is_sending { wanted.send } else { 0 };
            wanted = Growth { receive: 0, send };
        }
        let held = reservation.bytes() as u64;
        let share = sizes.reservation_of(wanted).min(self.policy.share(held));
        let missing = usize::try_from(share.saturating_sub(held)).unwrap_or(usize::MAX);
        let is_granted = missing == 0 || reservation.try_grow(missing);
        sizes.apply(wanted, if is_granted { share } else { held });
        reservation.shrink_to(usize::try_from(sizes.reservation()).unwrap_or(usize::MAX));
        if sizes.receive() != receive {
            // QUIC's integers have 62 bits, and these windows 32.
            let window = VarInt::from_u64(sizes.receive()).unwrap_or(VarInt::MAX);
            self.connection.set_receive_window(window);
        }
        if sizes.send() != send {
            self.send_window.store(sizes.send(), Ordering::Relaxed);
            // A stream that bounds the window does so again with its next write. Until then, a window whose memory was
            // given back must not be in force.
            if self.bounding_streams.load(Ordering::Relaxed) == 0 || sizes.send() < send {
                self.connection.set_send_window(self.send_window_with_reserve());
            }
            // Read after the window was set: what was written before may have used the larger one.
            sizes.note_send_window(self.content_written.load(Ordering::Relaxed));
        }
        self.has_send_reservation.store(sizes.has_send_reservation(), Ordering::Relaxed);
        if !is_idle {
            return NextStep::Soon;
        }
        if !has_content && sizes.reservation() == 0 {
            // With the lock of the sizes, so that a stream that starts now is seen here or starts
            // the next run.
            let mut adjuster = self.adjuster.lock();
            if self.readers.lock().count == 0 && self.writers.load(Ordering::Relaxed) == 0 {
                adjuster.is_running = false;
                return NextStep::Never;
            }
        }
        NextStep::Later
    }

    fn send_window_with_reserve(&self) -> u64 {
        let window = self.send_window.load(Ordering::Relaxed);
        if self.send_reserves.load(Ordering::Relaxed) == 0 {
            return window;
        }
        window + window / SEND_RESERVE_PART + LEAST_SEND_RESERVE
    }

    fn sample(&self, now: Instant) -> PathSample {
        let stats = self.connection.stats();
        let readers = self.readers.lock();
        let content_remaining = (readers.without_size == 0).then_some(readers.remaining);
        let is_receiving = readers.count > 0;
        drop(readers);
        let mut draining = self.draining.lock();
        while draining.try_join_next().is_some() {}
        let is_sending = self.writers.load(Ordering::Relaxed) > 0 || !draining.is_empty();
        PathSample {
            now,
            round_trip: stats.path.rtt,
            congestion_window: stats.path.cwnd,
            mtu: stats.path.current_mtu.into(),
            sent_packets: stats.path.sent_packets,
            lost_packets: stats.path.lost_packets,
            content_read: self.content_read.load(Ordering::Relaxed),
            content_written: self.content_written.load(Ordering::Relaxed),
            blocked_reports: stats.frame_rx.data_blocked,
            content_remaining,
            is_receiving,
            is_sending,
        }
    }
}

impl<F: Fn()> Drop for SendReserve<'_, F> {
    fn drop(&mut self) {
        self.state.send_reserves.fetch_sub(1, Ordering::Relaxed);
        (self.update)();
    }
}

impl AdjustedSizes {
    /// Notes what has moved. Whether nothing has for a while.
    fn note_moved(&mut self, sample: &PathSample, now: Instant) -> bool {
        let moved = (sample.content_read, if sample.is_sending { sample.sent_packets } else { 0 });
        if moved != self.moved_bytes {
            (self.moved_bytes, self.moved_at) = (moved, now);
        }
        now.duration_since(self.moved_at) >= IDLE_TIME
    }
}

impl fmt::Debug for WindowsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowsState").field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

/// Adjusts the windows of a connection until it has ended, or has its base windows and no content.
async fn adjust_windows(windows: Weak<WindowsState>) {
    loop {
        let Some(state) = windows.upgrade() else { return };
        match state.adjust(Instant::now()) {
            NextStep::Never => return,
            NextStep::Soon => {
                let connection = state.connection.clone();
                drop(state);
                // Either way the windows are adjusted next.
                let _ = timeout(INTERVAL, connection.closed()).await;
            }
            NextStep::Later => {
                state.is_slow.store(true, Ordering::Relaxed);
                let _ = timeout(IDLE_INTERVAL, state.content_moves.notified()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
