//! Runs work with other processes on a thread of its own, so that the thread that drives QUIC reads and writes no JSON.

use std::io;

use quiver_transfer::blocking;
use tokio::runtime::Builder;

/// Runs work on a thread with a runtime of its own, and returns its result.
///
/// # Errors
/// The runtime cannot be made, or the one of the caller ends.
pub async fn run<T, F>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<T>
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    blocking::run_io(move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(work()))
    })
    .await
}
