//! A pool of low-priority threads for long work that must not slow down other work: hashing files
//! on disk, and reading large folders. Work is split into short steps, and lanes take turns. Knows
//! nothing of what the steps do.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use thiserror::Error;
use tokio::sync::oneshot;

use crate::unix;

/// Maximum pause. The duration of a step that waited for its disk is no measure of the processor
/// time it used.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Identifies the owner of a lane, for instance by the number of a connected peer.
pub type LaneId = u64;

/// A pool of threads at low priority. When it is dropped, each thread finishes its current step and
/// runs no other.
#[derive(Debug)]
pub struct BackgroundPool {
    shared: Arc<BackgroundShared>,
}

/// One owner's access to a pool. All lanes with the same id run one step at a time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lane {
    shared: Arc<BackgroundShared>,
    id: LaneId,
}

/// The pool was dropped, and the step did not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the program is ending")]
pub struct PoolClosed;

/// A step that waits for its turn.
trait LaneStep: Send {
    /// Whether its caller was dropped, so that the result is not needed.
    fn is_abandoned(&self) -> bool;

    /// Runs the step and sends the result to its caller.
    fn run(self: Box<Self>);
}

struct LaneJob<F, T> {
    work: F,
    done: oneshot::Sender<thread::Result<T>>,
}

impl<F: FnOnce() -> T + Send, T: Send> LaneStep for LaneJob<F, T> {
    fn is_abandoned(&self) -> bool {
        self.done.is_closed()
    }

    fn run(self: Box<Self>) {
        let result = catch_unwind(AssertUnwindSafe(self.work));
        // The caller may have been dropped.
        let _ = self.done.send(result);
    }
}

struct BackgroundShared {
    /// Maximum number of threads.
    threads: usize,
    /// How long a thread pauses after a step, as a multiple of the step's duration.
    pause_factor: fn() -> u32,
    state: Mutex<BackgroundState>,
    ready: Condvar,
}

#[derive(Default)]
struct BackgroundState {
    lanes: HashMap<LaneId, LaneState>,
    /// Lanes with a waiting step and no running step, in the order of their turns.
    turns: VecDeque<LaneId>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

/// Exists while the lane has a waiting or running step.
#[derive(Default)]
struct LaneState {
    waiting: VecDeque<Box<dyn LaneStep>>,
    is_running: bool,
}

impl BackgroundPool {
    /// Creates a pool of at most `threads` threads (at least one), which are started on demand.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self::with_pauses(threads, || 0)
    }

    /// Like [`new`](Self::new), but each thread pauses after a step. After each step `pause_factor`
    /// gives the pause as a multiple of the step's duration. Low priority leaves the processor to
    /// other threads; a pause also leaves them its caches and the memory bandwidth.
    #[must_use]
    pub fn with_pauses(threads: usize, pause_factor: fn() -> u32) -> Self {
        let (threads, state, ready) = (threads.max(1), Mutex::default(), Condvar::new());
        Self { shared: Arc::new(BackgroundShared { threads, pause_factor, state, ready }) }
    }

    /// The lane with this id.
    #[must_use]
    pub fn lane(&self, id: LaneId) -> Lane {
        Lane { shared: self.shared.clone(), id }
    }
}

impl Lane {
    /// Runs one step when it is this lane's turn, and returns its result. A step should take at
    /// most a few milliseconds, because other lanes wait for it. A step does not run if the future
    /// is dropped before it starts.
    ///
    /// # Errors
    /// [`PoolClosed`].
    ///
    /// # Panics
    /// If the step panics.
    pub async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolClosed> {
        let (done, result) = oneshot::channel();
        self.shared.add(self.id, Box::new(LaneJob { work: step, done }));
        match result.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(PoolClosed),
        }
    }
}

impl BackgroundShared {
    fn add(self: &Arc<Self>, id: LaneId, step: Box<dyn LaneStep>) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        let lane = state.lanes.entry(id).or_default();
        let has_turn = lane.is_running || !lane.waiting.is_empty();
        // Abandoned steps would otherwise accumulate behind a long step.
        let (abandoned, waiting) =
            lane.waiting.drain(..).partition::<Vec<_>, _>(|step| step.is_abandoned());
        lane.waiting.extend(waiting);
        lane.waiting.push_back(step);
        if has_turn {
            drop(state);
            // Dropping a step may take locks of its own.
            return drop(abandoned);
        }
        state.turns.push_back(id);
        if state.idle >= state.turns.len() {
            self.ready.notify_one();
        } else if state.threads < self.threads {
            state.threads += 1;
            drop(state);
            self.start_thread();
        }
    }

    fn start_thread(self: &Arc<Self>) {
        let shared = self.clone();
        let started = thread::Builder::new().name("background".to_owned()).spawn(move || {
            unix::lower_thread_priority();
            shared.run_steps();
        });
        if started.is_err() {
            // The system has no more threads: the running threads do the work later. Without any
            // thread the steps are dropped, and their callers get an error.
            let mut state = self.lock();
            state.threads -= 1;
            if state.threads == 0 {
                state.turns.clear();
                state.lanes.clear();
            }
        }
    }

    /// Runs steps until the pool is closed.
    fn run_steps(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            let Some((id, step)) = state.next_step() else {
                state.idle += 1;
                self.ready.wait(&mut state);
                state.idle -= 1;
                continue;
            };
            drop(state);
            let mut pause = Duration::ZERO;
            if !step.is_abandoned() {
                let started = Instant::now();
                step.run();
                pause = started.elapsed().saturating_mul((self.pause_factor)()).min(MAX_PAUSE);
            }
            if pause > Duration::ZERO {
                thread::park_timeout(pause);
            }
            state = self.lock();
            state.finish_step(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BackgroundState> {
        self.state.lock()
    }
}

impl BackgroundState {
    /// Takes the next step in turn.
    fn next_step(&mut self) -> Option<(LaneId, Box<dyn LaneStep>)> {
        let id = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&id)?;
        let step = lane.waiting.pop_front()?;
        lane.is_running = true;
        Some((id, step))
    }

    /// Ends the turn of a lane: its next step waits behind those of all other lanes.
    fn finish_step(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.is_running = false;
        if lane.waiting.is_empty() {
            self.lanes.remove(&id);
        } else {
            self.turns.push_back(id);
        }
    }
}

impl Drop for BackgroundPool {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        state.turns.clear();
        let dropped = std::mem::take(&mut state.lanes);
        drop(state);
        drop(dropped);
        self.shared.ready.notify_all();
    }
}

impl fmt::Debug for BackgroundShared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundShared").field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
