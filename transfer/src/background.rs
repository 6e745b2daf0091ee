//! A pool of low-priority threads for work that others must not feel: hashing what is already on a disk,
//! and reading large folders. Work is cut into short steps, which lanes take in turns. Knows nothing of
//! what the steps do.

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

/// A step that waited for its disk says little of how long others should be left alone.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// What a lane's owner is known by, for instance the number of a connected peer.
pub type LaneId = u64;

/// A pool of threads at low priority. Dropped, it runs the step that each thread has begun, and no other.
#[derive(Debug)]
pub struct BackgroundPool {
    shared: Arc<BackgroundShared>,
}

/// One owner's access to a pool. All lanes with the same id, however many, run one step at a time. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Lane {
    shared: Arc<BackgroundShared>,
    id: LaneId,
}

/// The pool was dropped: the step was not run, and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the program is ending")]
pub struct PoolClosed;

/// A step that waits for its turn.
trait LaneStep: Send {
    /// Whether its owner was dropped, so that its result has no use.
    fn is_given_up(&self) -> bool;

    /// Runs it, and sends the result to its owner.
    fn run(self: Box<Self>);
}

struct LaneJob<F, T> {
    work: F,
    done: oneshot::Sender<thread::Result<T>>,
}

impl<F: FnOnce() -> T + Send, T: Send> LaneStep for LaneJob<F, T> {
    fn is_given_up(&self) -> bool {
        self.done.is_closed()
    }

    fn run(self: Box<Self>) {
        let result = catch_unwind(AssertUnwindSafe(self.work));
        // The owner may have been dropped meanwhile.
        let _ = self.done.send(result);
    }
}

struct BackgroundShared {
    /// At most so many threads.
    threads: usize,
    /// How long a thread rests after a step, as a multiple of what the step took.
    rest: fn() -> u32,
    state: Mutex<BackgroundState>,
    ready: Condvar,
}

#[derive(Default)]
struct BackgroundState {
    lanes: HashMap<LaneId, LaneState>,
    /// Lanes with a step to run that run none, in the order of their turns.
    turns: VecDeque<LaneId>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

/// Present while a lane has a step that waits or runs.
#[derive(Default)]
struct LaneState {
    waiting: VecDeque<Box<dyn LaneStep>>,
    is_running: bool,
}

impl BackgroundPool {
    /// A pool of at most `threads` threads (at least one), which are started when they are needed.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self::with_pauses(threads, || 0)
    }

    /// The same, whose threads rest after each step, for as many times as long as it took as `rest` says then. Low
    /// priority leaves the processor to others; rest leaves them its caches and the memory's bandwidth too.
    #[must_use]
    pub fn with_pauses(threads: usize, rest: fn() -> u32) -> Self {
        let (threads, state, ready) = (threads.max(1), Mutex::default(), Condvar::new());
        Self { shared: Arc::new(BackgroundShared { threads, rest, state, ready }) }
    }

    /// The lane of this id.
    #[must_use]
    pub fn lane(&self, id: LaneId) -> Lane {
        Lane { shared: self.shared.clone(), id }
    }
}

impl Lane {
    /// Runs one step when it is this lane's turn, and returns its result. The step should take some
    /// milliseconds at most, for others wait for it. Dropped before the step has begun, it is not run.
    ///
    /// # Errors
    /// [`PoolClosed`].
    ///
    /// # Panics
    /// Where the step does.
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
        // What was given up would otherwise collect behind a long step.
        let (given_up, waiting) =
            lane.waiting.drain(..).partition::<Vec<_>, _>(|step| step.is_given_up());
        lane.waiting.extend(waiting);
        lane.waiting.push_back(step);
        if has_turn {
            drop(state);
            // What a step owns may take locks of its own when it is dropped.
            return drop(given_up);
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
            shared.work();
        });
        if started.is_err() {
            // The system has no thread to spare: those that run do the work, later. Where there are none,
            // the steps are dropped, which their owners hear.
            let mut state = self.lock();
            state.threads -= 1;
            if state.threads == 0 {
                state.turns.clear();
                state.lanes.clear();
            }
        }
    }

    /// Runs steps until the pool is closed.
    fn work(&self) {
        let mut state = self.lock();
        while !state.is_closed {
            let Some((id, step)) = state.next() else {
                state.idle += 1;
                self.ready.wait(&mut state);
                state.idle -= 1;
                continue;
            };
            drop(state);
            let mut rest = Duration::ZERO;
            if !step.is_given_up() {
                let since = Instant::now();
                step.run();
                rest = since.elapsed().saturating_mul((self.rest)()).min(LONGEST_REST);
            }
            if rest > Duration::ZERO {
                thread::park_timeout(rest);
            }
            state = self.lock();
            state.finished(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BackgroundState> {
        self.state.lock()
    }
}

impl BackgroundState {
    /// The next step in turn.
    fn next(&mut self) -> Option<(LaneId, Box<dyn LaneStep>)> {
        let id = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&id)?;
        let step = lane.waiting.pop_front()?;
        lane.is_running = true;
        Some((id, step))
    }

    /// A lane's step has run: its next one waits behind those of all other lanes.
    fn finished(&mut self, id: LaneId) {
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
        f.debug_struct("Shared").field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
