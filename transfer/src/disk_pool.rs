//! Runs small disk operations on as few threads as can keep up. Waking a thread costs more than
//! creating a small file: so a running thread takes the next task too, and another thread is woken
//! only if tasks have to wait, as with a slow disk. For the same reason, callers whose tasks finish
//! at about the same time are woken together: what they then send fits into few packets.

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

/// A task that has waited for longer gets another thread.
const MAX_QUEUE_TIME: Duration = Duration::from_millis(1);

/// Maximum number of threads. With 32 threads, a disk of a machine with two processors stored 3,000
/// files a second instead of 3,700, and each thread holds 150 KiB of memory. Fewer than this would
/// leave a disk idle that takes long for each flush.
const MAX_THREADS: usize = 16;

/// How often a thread without a task yields before it ends: callers often add the next task very
/// soon.
const IDLE_YIELDS: usize = 4;

/// Maximum number of results that are sent together.
const MAX_BATCH: usize = 16;

/// A task that took longer waited for its disk: its result is sent at once, with those before it.
const QUICK_TASK: Duration = Duration::from_micros(200);

/// The threads and the waiting tasks. Cheap to clone; a process needs only one.
#[derive(Clone, Default)]
pub struct DiskPool(Arc<Mutex<DiskPoolState>>);

/// The runtime is shutting down, and the work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the program is ending")]
pub struct ShuttingDown;

#[derive(Default)]
struct DiskPoolState {
    waiting: VecDeque<PoolTask>,
    /// Finished tasks whose results are not yet sent.
    done: Vec<Box<dyn DiskWork>>,
    threads: usize,
    /// When a task was last taken from the queue.
    last_taken: Option<Instant>,
    /// Whether the last finished task was quick. Then the other tasks wait for the processor, and
    /// another thread would not help.
    is_quick: bool,
}

struct PoolTask {
    queued_at: Instant,
    work: Box<dyn DiskWork>,
}

/// Work whose result is sent later.
trait DiskWork: Send {
    fn run(&mut self);

    fn send_result(self: Box<Self>);
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

    fn send_result(self: Box<Self>) {
        if let Some(result) = self.result {
            // The caller may have been dropped.
            let _ = self.done.send(result);
        }
    }
}

/// A thread of the pool, from the moment it is requested. If the runtime ends before the thread
/// starts, the waiting tasks may have no thread left; see `drop`.
struct Worker {
    disk_pool: DiskPool,
    has_ended: bool,
}

impl DiskPool {
    /// Runs the work on a thread that may block, and returns its result.
    ///
    /// # Errors
    /// [`ShuttingDown`].
    ///
    /// # Panics
    /// If the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ShuttingDown> {
        let (done, mut result) = oneshot::channel();
        let work = DiskJob { work: Some(work), result: None, done };
        self.add(PoolTask { queued_at: Instant::now(), work: Box::new(work) });
        let mut wait = MAX_QUEUE_TIME;
        let result = loop {
            match timeout(wait, &mut result).await {
                Ok(result) => break result,
                // The task may be finished while its thread is busy with a slow one.
                Err(_) => self.send_results(),
            }
            wait *= 2;
        };
        match result {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(ShuttingDown),
        }
    }

    fn add(&self, new_task: PoolTask) {
        let mut state = self.lock();
        let first = state.waiting.front().map_or(new_task.queued_at, |first| first.queued_at);
        let is_long_ago = |moment| new_task.queued_at.duration_since(moment) > MAX_QUEUE_TIME;
        let is_late = is_long_ago(first)
            && (!state.is_quick || state.last_taken.is_none_or(is_long_ago))
            && state.threads < MAX_THREADS;
        state.waiting.push_back(new_task);
        if state.threads == 0 || is_late {
            state.threads += 1;
            drop(state);
            let worker = Worker { disk_pool: self.clone(), has_ended: false };
            task::spawn_blocking(move || worker.run());
        }
    }

    fn send_results(&self) {
        let done = std::mem::take(&mut self.lock().done);
        done.into_iter().for_each(DiskWork::send_result);
    }

    fn lock(&self) -> MutexGuard<'_, DiskPoolState> {
        self.0.lock()
    }
}

impl Worker {
    fn run(mut self) {
        let mut idle_yields = 0;
        let mut done = None;
        loop {
            let mut state = self.disk_pool.lock();
            let completed = done
                .take()
                .map_or_else(Vec::new, |(work, duration)| state.complete(work, duration));
            let next = state.waiting.pop_front();
            let now = Instant::now();
            match next {
                Some(_) => state.last_taken = Some(now),
                None if idle_yields == IDLE_YIELDS => {
                    // Under the same lock as the check above, so that no task is added in between.
                    state.threads -= 1;
                    drop(state);
                    self.has_ended = true;
                    return;
                }
                None => {}
            }
            drop(state);
            completed.into_iter().for_each(DiskWork::send_result);
            if let Some(PoolTask { mut work, .. }) = next {
                idle_yields = 0;
                work.run();
                done = Some((work, now.elapsed()));
            } else {
                idle_yields += 1;
                thread::yield_now();
            }
        }
    }
}

impl DiskPoolState {
    /// Records a finished task and returns the tasks whose results are to be sent now.
    fn complete(&mut self, work: Box<dyn DiskWork>, duration: Duration) -> Vec<Box<dyn DiskWork>> {
        self.is_quick = duration < QUICK_TASK;
        self.done.push(work);
        if self.is_quick && self.done.len() < MAX_BATCH && !self.waiting.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.done)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut state = self.disk_pool.lock();
        state.threads -= 1;
        if state.threads == 0 {
            // No thread is left: dropping the tasks ends the wait of their callers.
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

    const DEADLINE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn every_task_returns_its_result() {
        let disk_pool = DiskPool::default();
        let work = |number: u64| disk_pool.run(move || number * 2);
        let all = (0..1000).map(work);
        let results = timeout(DEADLINE, collect_results(all)).await.unwrap();
        assert_eq!(results, (0..1000).map(|number| Ok(number * 2)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn waiting_work_gets_another_thread() {
        let disk_pool = DiskPool::default();
        let (release, blocked) = mpsc::channel();
        let work = |work: Box<dyn FnOnce() + Send>| {
            let disk_pool = disk_pool.clone();
            let mut task = JoinSet::new();
            task.spawn(async move { disk_pool.run(work).await });
            task
        };
        let mut slow = work(Box::new(move || blocked.recv().unwrap()));
        let mut next = work(Box::new(|| ()));
        // A task that is added after the wait limit starts a thread for the waiting one.
        let others = async {
            let mut others = Vec::new();
            while next.try_join_next().is_none() {
                others.push(work(Box::new(|| ())));
                tokio::time::sleep(MAX_QUEUE_TIME).await;
            }
        };
        timeout(DEADLINE, others).await.unwrap();
        assert!(slow.try_join_next().is_none());
        release.send(()).unwrap();
        assert!(matches!(timeout(DEADLINE, slow.join_next()).await, Ok(Some(Ok(Ok(()))))));
    }

    #[tokio::test]
    async fn a_result_is_sent_even_if_the_next_task_blocks() {
        let disk_pool = DiskPool::default();
        let (release, blocked) = mpsc::channel();
        let mut all = JoinSet::new();
        let mut add = |work: Box<dyn FnOnce() -> bool + Send>| {
            let disk_pool = disk_pool.clone();
            all.spawn(async move { disk_pool.run(work).await });
        };
        // Both tasks are queued before a thread starts, so that one thread runs them in order.
        add(Box::new(|| true));
        add(Box::new(move || blocked.recv().unwrap()));
        assert!(matches!(timeout(DEADLINE, all.join_next()).await, Ok(Some(Ok(Ok(true))))));
        release.send(false).unwrap();
        assert!(matches!(timeout(DEADLINE, all.join_next()).await, Ok(Some(Ok(Ok(false))))));
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_of_the_work_is_raised_in_its_caller() {
        let _ = DiskPool::default().run(|| panic!("on purpose")).await;
    }

    #[test]
    fn the_pool_works_in_the_next_runtime() {
        let disk_pool = DiskPool::default();
        let runtime = || Builder::new_current_thread().max_blocking_threads(1).enable_all().build();
        let first = runtime().unwrap();
        let (release, blocked) = mpsc::channel::<()>();
        // The only thread of the first runtime is occupied, so that the pool's thread never starts.
        first.spawn_blocking(move || blocked.recv());
        let waiting = disk_pool.clone();
        let waits = first.block_on(async {
            timeout(Duration::from_millis(10), waiting.run(|| ())).await.is_err()
        });
        assert!(waits);
        first.shutdown_background();
        release.send(()).unwrap();
        let second = runtime().unwrap();
        let done = async {
            loop {
                // Until the first runtime has ended its threads, the pool counts a thread that
                // never starts.
                if let Ok(Ok(done)) = timeout(Duration::from_millis(10), disk_pool.run(|| 7)).await
                {
                    return done;
                }
            }
        };
        assert_eq!(second.block_on(async { timeout(DEADLINE, done).await }).unwrap(), 7);
    }

    async fn collect_results<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
        let mut results = Vec::new();
        for one in all {
            results.push(one.await);
        }
        results
    }
}
