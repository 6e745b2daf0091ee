//! What becomes of several files that move at once: each failure is told when it happens, and all of them
//! make one exit code.

use std::time::Duration;

use parking_lot::Mutex;
use quiver_transfer::blocking;
use tokio::task::JoinSet;

use crate::failure::{Exit, Failure};
use crate::output::{Face, Output, Pace};

/// What is over sooner needs no word about its speed.
const WORTH_A_PACE: Duration = Duration::from_secs(1);

/// What became of several files.
pub(in crate::command) struct Tally {
    output: Output,
    asked: usize,
    /// What is said of those that failed.
    what: &'static str,
    failed: usize,
    exits: Vec<Exit>,
    last: Option<Failure>,
}

impl Tally {
    pub(in crate::command) fn new(output: Output, asked: usize, what: &'static str) -> Self {
        Self { output, asked, what, failed: 0, exits: Vec::new(), last: None }
    }

    /// How many have failed, those too that were not begun.
    pub(in crate::command) fn failures(&self) -> usize {
        self.failed
    }

    /// One more was asked for than was known.
    pub(in crate::command) fn one_more(&mut self) {
        self.asked += 1;
    }

    /// So many were not even begun.
    pub(in crate::command) fn skipped(&mut self, count: usize) {
        self.failed += count;
    }

    /// One of several is reported at once, a single one is left to the caller.
    pub(in crate::command) async fn failed(&mut self, failure: Failure) {
        self.failed += 1;
        self.exits.push(failure.exit());
        if self.asked > 1 {
            self.output.failure(&failure).await;
        }
        self.last = Some(failure);
    }

    /// Does the work of all of them, so many at once. After a failure that the others would only share, such as
    /// the loss of the connection, no more are begun.
    pub(in crate::command) async fn all<T, W>(
        &mut self,
        waiting: Vec<T>,
        at_once: usize,
        work: impl Fn(T) -> W,
    ) -> Result<(), Failure>
    where
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let mut waiting = waiting.into_iter();
        let mut running = JoinSet::new();
        let mut ends = false;
        loop {
            while !ends
                && running.len() < at_once
                && let Some(item) = waiting.next()
            {
                running.spawn(work(item));
            }
            let Some(done) = running.join_next().await else { break };
            if let Err(failure) = ended(done)? {
                ends |= is_shared(&failure);
                self.failed(failure).await;
            }
        }
        self.skipped(waiting.len());
        Ok(())
    }

    /// Where nobody else talks, and there was something to wait for. `is_busy` tells whether this processor
    /// hardly had a rest.
    pub(in crate::command) async fn say_pace(
        &self,
        pace: &Mutex<Pace>,
        took: Duration,
        is_busy: bool,
    ) {
        if self.output.face() == Face::Prompt || took < WORTH_A_PACE {
            return;
        }
        let said = pace.lock().line(took, is_busy);
        if let Some(said) = said {
            self.output.say(said).await;
        }
    }

    pub(in crate::command) fn result(self) -> Result<(), Failure> {
        let Some(last) = self.last else { return Ok(()) };
        if self.asked == 1 || matches!(last, Failure::Output(_)) {
            return Err(last);
        }
        let (failed, asked, what) = (self.failed, self.asked, self.what);
        Err(Failure::Several { failed, asked, what, exit: together(&self.exits, failed == asked) })
    }
}

/// The exit code of several failures: their own where they are all and alike.
pub(in crate::command) fn together(exits: &[Exit], all: bool) -> Exit {
    match exits {
        _ if !all => Exit::Partial,
        [first, rest @ ..] if rest.iter().all(|exit| exit == first) => *first,
        _ => Exit::Other,
    }
}

/// Whether what has not begun would fail in the same way.
pub(in crate::command) fn is_shared(failure: &Failure) -> bool {
    failure.is_lost_connection() || matches!(failure, Failure::Output(_))
}

/// What came of a task; an error where the runtime is going down.
pub(in crate::command) fn ended<T>(
    done: Result<Result<T, Failure>, tokio::task::JoinError>,
) -> Result<Result<T, Failure>, Failure> {
    blocking::joined(done).map_err(|_| Failure::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_failures_have_one_code() {
        assert_eq!(together(&[Exit::NotFound], false), Exit::Partial);
        assert_eq!(together(&[Exit::NotFound, Exit::NotFound], true), Exit::NotFound);
        assert_eq!(together(&[Exit::NotFound, Exit::Disk], true), Exit::Other);
    }
}
