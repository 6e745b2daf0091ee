//! Blocking work, such as disk access, off the thread that drives QUIC. A panic of the work is
//! raised in its caller.

use std::io;

use tokio::task;

use crate::disk_pool::ShuttingDown;

/// Runs the work on one of the runtime's blocking threads. If the future is dropped before the work
/// starts, the work does not run; if it is dropped later, the work runs to its end and its result
/// is discarded.
///
/// # Errors
/// [`ShuttingDown`] if the runtime ends first.
///
/// # Panics
/// If the work panics.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ShuttingDown> {
    task_result(task::spawn_blocking(work).await)
}

/// Like [`run`], for work that may fail with an I/O error.
///
/// # Errors
/// The error of the work, or [`ShuttingDown`] as an I/O error.
///
/// # Panics
/// If the work panics.
pub async fn run_io<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    run(work).await.unwrap_or_else(|error| Err(error.into()))
}

/// The result of a joined task.
///
/// # Errors
/// [`ShuttingDown`] if the task was cancelled.
///
/// # Panics
/// If the task panicked.
pub fn task_result<T>(result: Result<T, task::JoinError>) -> Result<T, ShuttingDown> {
    match result {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ShuttingDown),
    }
}

impl From<ShuttingDown> for io::Error {
    fn from(error: ShuttingDown) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_of_the_work_is_returned() {
        assert_eq!(run(|| 7).await, Ok(7));
        let failed = run_io::<()>(|| Err(io::ErrorKind::NotFound.into())).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_of_the_work_is_raised_in_its_caller() {
        let _ = run(|| panic!("on purpose")).await;
    }
}
