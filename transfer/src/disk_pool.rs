//! Small work for a disk, done by as few threads as keep up. Waking a thread costs more than creating a
//! small file does: so whoever is awake takes the next piece too, and another one is woken only where
//! pieces have to wait, as for a disk that is slow. For the same reason those who wait for pieces that are
//! done at about the same time are woken together: what they then say fits into few packets.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task;
use tokio::time::timeout;

/// A piece that has waited for so long is worth another thread.
const TOO_LONG: Duration = Duration::from_millis(1);

/// Threads at once. With 32 a disk of two processors stored 3,000 files a second instead of 3,700, and each
/// keeps 150 KiB of memory; fewer than this would leave a disk idle whose every flush takes long.
const MAX_THREADS: usize = 16;

/// How often a thread with nothing to do lets others go first before it leaves: whoever has more for it is
/// often about to say so.
const LINGER: usize = 4;

/// Pieces that are told of together, at most.
const TOGETHER: usize = 16;

/// A piece that took longer waited for its disk: it is told of at once, with those before it.
const QUICK: Duration = Duration::from_micros(200);

/// The threads, and what waits for them. Cheap to clone; one is enough for a process.
#[derive(Clone, Default)]
pub struct DiskPool(Arc<Mutex<DiskPoolState>>);

/// The runtime is going down: the work is not done, and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the program is ending")]
pub struct ShuttingDown;

#[derive(Default)]
struct DiskPoolState {
    waiting: VecDeque<PoolTask>,
    /// What nobody was told of yet.
    done: Vec<Box<dyn DiskWork>>,
    threads: usize,
    /// When a piece was last taken.
    taken: Option<Instant>,
    /// Whether the last piece that was done was quick: others wait for the processor then, of which another
    /// thread has no more.
    is_quick: bool,
}

struct PoolTask {
    since: Instant,
    work: Box<dyn DiskWork>,
}

/// What is done first, and told later.
trait DiskWork: Send {
    fn run(&mut self);

    fn tell(self: Box<Self>);
}

struct DiskJob<F, T> {
    work: Option<F>,
    result: Option<thread::Result<T>>,
    done: oneshot::Sender<thread::Result<T>>,
}

impl<F: FnOnce() -> T + Send, T: Send> DiskWork for DiskJob<F, T> {
    fn run(&mut self) {
        self.result = self.work.take().map(|work| catch_unwind(AssertUnwindSafe(work)));
    }

    fn tell(self: Box<Self>) {
        if let Some(result) = self.result {
            // Nobody waits any more where the work was given up.
            let _ = self.done.send(result);
        }
    }
}

/// A thread of the pool, from the moment it is asked for. Where the runtime ends before it comes, nobody else
/// may be there to do what waits.
struct Worker {
    disk_pool: DiskPool,
    has_left: bool,
}

impl DiskPool {
    /// Does the work on a thread that may block, and comes back with what it returns.
    ///
    /// # Errors
    /// [`ShuttingDown`].
    ///
    /// # Panics
    /// Where the work does.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ShuttingDown> {
        let (done, mut result) = oneshot::channel();
        let work = DiskJob { work: Some(work), result: None, done };
        self.add(PoolTask { since: Instant::now(), work: Box::new(work) });
        let mut patience = TOO_LONG;
        let result = loop {
            match timeout(patience, &mut result).await {
                Ok(result) => break result,
                // It may be done, and whoever did it be at something slow now.
                Err(_) => self.tell(),
            }
            patience *= 2;
        };
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(ShuttingDown),
        }
    }

    fn add(&self, piece: PoolTask) {
        let mut state = self.lock();
        let first = state.waiting.front().map_or(piece.since, |first| first.since);
        let long_since = |moment| piece.since.duration_since(moment) > TOO_LONG;
        let is_late = long_since(first)
            && (!state.is_quick || state.taken.is_none_or(long_since))
            && state.threads < MAX_THREADS;
        state.waiting.push_back(piece);
        if state.threads == 0 || is_late {
            state.threads += 1;
            drop(state);
            let worker = Worker { disk_pool: self.clone(), has_left: false };
            task::spawn_blocking(move || worker.run());
        }
    }

    fn tell(&self) {
        let done = std::mem::take(&mut self.lock().done);
        done.into_iter().for_each(DiskWork::tell);
    }

    fn lock(&self) -> MutexGuard<'_, DiskPoolState> {
        self.0.lock()
    }
}

impl Worker {
    fn run(mut self) {
        let mut lingered = 0;
        let mut done = None;
        loop {
            let mut state = self.disk_pool.lock();
            let due = done.take().map_or_else(Vec::new, |(work, took)| state.is_done(work, took));
            let next = state.waiting.pop_front();
            let now = Instant::now();
            match next {
                Some(_) => state.taken = Some(now),
                None if lingered == LINGER => {
                    // Under the same lock as the look: nothing can come between.
                    state.threads -= 1;
                    drop(state);
                    self.has_left = true;
                    return;
                }
                None => {}
            }
            drop(state);
            due.into_iter().for_each(DiskWork::tell);
            if let Some(PoolTask { mut work, .. }) = next {
                lingered = 0;
                work.run();
                done = Some((work, now.elapsed()));
            } else {
                lingered += 1;
                thread::yield_now();
            }
        }
    }
}

impl DiskPoolState {
    /// Those who are to hear of it now.
    fn is_done(&mut self, work: Box<dyn DiskWork>, took: Duration) -> Vec<Box<dyn DiskWork>> {
        self.is_quick = took < QUICK;
        self.done.push(work);
        if self.is_quick && self.done.len() < TOGETHER && !self.waiting.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.done)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.has_left {
            return;
        }
        let mut state = self.disk_pool.lock();
        state.threads -= 1;
        if state.threads == 0 {
            // Nobody comes any more: those who wait are to know.
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            drop(waiting);
        }
    }
}

impl fmt::Debug for DiskPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("DiskPool")
            .field("waiting", &state.waiting.len())
            .field("threads", &state.threads)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn all_work_is_done() {
        let disk_pool = DiskPool::default();
        let work = |number: u64| disk_pool.run(move || number * 2);
        let all = (0..1000).map(work);
        let results = timeout(PATIENCE, futures_of(all)).await.unwrap();
        assert_eq!(results, (0..1000).map(|number| Ok(number * 2)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn work_that_waits_gets_another_thread() {
        let disk_pool = DiskPool::default();
        let (open, throttle) = mpsc::channel();
        let work = |work: Box<dyn FnOnce() + Send>| {
            let disk_pool = disk_pool.clone();
            let mut task = JoinSet::new();
            task.spawn(async move { disk_pool.run(work).await });
            task
        };
        let mut slow = work(Box::new(move || throttle.recv().unwrap()));
        let mut next = work(Box::new(|| ()));
        // Whoever comes once it has waited for too long wakes a thread for it.
        let others = async {
            let mut others = Vec::new();
            while next.try_join_next().is_none() {
                others.push(work(Box::new(|| ())));
                tokio::time::sleep(TOO_LONG).await;
            }
        };
        timeout(PATIENCE, others).await.unwrap();
        assert!(slow.try_join_next().is_none());
        open.send(()).unwrap();
        assert!(matches!(timeout(PATIENCE, slow.join_next()).await, Ok(Some(Ok(Ok(()))))));
    }

    #[tokio::test]
    async fn what_is_done_is_heard_of_whatever_becomes_of_the_next() {
        let disk_pool = DiskPool::default();
        let (open, throttle) = mpsc::channel();
        let mut all = JoinSet::new();
        let mut add = |work: Box<dyn FnOnce() -> bool + Send>| {
            let disk_pool = disk_pool.clone();
            all.spawn(async move { disk_pool.run(work).await });
        };
        // Both wait before a thread comes, so that they are done one after the other.
        add(Box::new(|| true));
        add(Box::new(move || throttle.recv().unwrap()));
        assert!(matches!(timeout(PATIENCE, all.join_next()).await, Ok(Some(Ok(Ok(true))))));
        open.send(false).unwrap();
        assert!(matches!(timeout(PATIENCE, all.join_next()).await, Ok(Some(Ok(Ok(false))))));
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn work_that_panics_panics_where_it_was_asked_for() {
        let _ = DiskPool::default().run(|| panic!("on purpose")).await;
    }

    #[test]
    fn work_goes_on_with_the_next_runtime() {
        let disk_pool = DiskPool::default();
        let runtime = || Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
        let first = runtime().unwrap();
        let (open, throttle) = mpsc::channel::<()>();
        // The only thread of the first runtime is taken, so that the pool's never comes.
        first.spawn_blocking(move || throttle.recv());
        let waiting = disk_pool.clone();
        let waits = first.block_on(async {
            timeout(Duration::from_millis(10), waiting.run(|| ())).await.is_err()
        });
        assert!(waits);
        first.shutdown_background();
        open.send(()).unwrap();
        let second = runtime().unwrap();
        let done = async {
            loop {
                // Until the first runtime has let go of its thread, there is one that never comes.
                if let Ok(Ok(done)) = timeout(Duration::from_millis(10), disk_pool.run(|| 7)).await
                {
                    return done;
                }
            }
        };
        assert_eq!(second.block_on(async { timeout(PATIENCE, done).await }).unwrap(), 7);
    }

    async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
        let mut results = Vec::new();
        for one in all {
            results.push(one.await);
        }
        results
    }
}
