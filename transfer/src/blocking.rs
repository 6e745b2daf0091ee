//! Work that blocks, as on a disk, off the thread that drives QUIC. A panic of the work is one of its caller.

use std::io;

use tokio::task;

use crate::disk_pool::ShuttingDown;

/// Does the work on one of the runtime's blocking threads. Dropped before it has begun, it is not done; else it
/// comes to its end unheard.
///
/// # Errors
/// [`ShuttingDown`] where the runtime ends first.
///
/// # Panics
/// Where the work does.
pub async fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ShuttingDown> {
    task_result(task::spawn_blocking(work).await)
}

/// The same for work that may fail, as on a disk.
///
/// # Errors
/// What the work says; [`ShuttingDown`] as an error of the system.
///
/// # Panics
/// Where the work does.
pub async fn run_io<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    run(work).await.unwrap_or_else(|ending| Err(ending.into()))
}

/// What a task returned that was joined.
///
/// # Errors
/// [`ShuttingDown`] where it was cancelled.
///
/// # Panics
/// Where the task did.
pub fn task_result<T>(joined: Result<T, task::JoinError>) -> Result<T, ShuttingDown> {
    match joined {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ShuttingDown),
    }
}

impl From<ShuttingDown> for io::Error {
    fn from(ending: ShuttingDown) -> Self {
        Self::other(ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_of_the_work_comes_back() {
        assert_eq!(run(|| 7).await, Ok(7));
        let failed = run_io::<()>(|| Err(io::ErrorKind::NotFound.into())).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    #[should_panic(expected = "on purpose")]
    async fn a_panic_of_the_work_is_one_of_its_caller() {
        let _ = run(|| panic!("on purpose")).await;
    }
}
