//! Tasks and blocking work, with a panic passed on, and one error where the runtime is going down.

use quiver_transfer::blocking;

use crate::error::ClientError;

/// What came of a task; an error where the runtime is going down.
pub(crate) fn joined<T>(
    done: Result<Result<T, ClientError>, tokio::task::JoinError>,
) -> Result<Result<T, ClientError>, ClientError> {
    blocking::task_result(done).map_err(|_| ClientError::Interrupted)
}

/// Blocking work off the thread that drives QUIC; an error where the runtime is going down.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    blocking::run(work).await.map_err(|_| ClientError::Interrupted)?
}
