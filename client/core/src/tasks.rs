//! Tasks and blocking work. Panics propagate to the caller, and a shutdown of the runtime is an error.

use quiver_transfer::blocking;

use crate::error::ClientError;

/// The result of a joined task; [`ClientError::Interrupted`] if the runtime shuts down.
pub(crate) fn joined<T>(
    done: Result<Result<T, ClientError>, tokio::task::JoinError>,
) -> Result<Result<T, ClientError>, ClientError> {
    blocking::task_result(done).map_err(|_| ClientError::Interrupted)
}

/// Runs blocking work off the thread that drives QUIC; [`ClientError::Interrupted`] if the runtime shuts down.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    blocking::run(work).await.map_err(|_| ClientError::Interrupted)?
}
