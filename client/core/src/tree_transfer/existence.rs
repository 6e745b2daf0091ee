//! Whether the server has a file or folder, without its content.

use std::time::Duration;

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, RefusalCode};
use quiver_transport::StreamError;

use crate::error::ClientError;
use crate::exchange;
use crate::reconnecting::{ReconnectingSession, SessionHandle};
use crate::reporter::Reporter;

/// Whether there is a file or folder of this path. A list may send nothing for `idle_timeout`; `None` is the timeout of
/// the session.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn exists_on_server(
    session: &ReconnectingSession,
    reporter: &Reporter,
    retry_for: Duration,
    idle_timeout: Option<Duration>,
    path: FilePath,
) -> Result<bool, ClientError> {
    let what = || format!("cannot look for {}", display_safe(path.as_str()));
    let folder = FolderPath::from(path.clone());
    let look = |handle: SessionHandle| {
        let folder = folder.clone();
        async move {
            let timeout = idle_timeout.unwrap_or(handle.timeout);
            let listed = match exchange::list(&handle.connection, folder, timeout).await {
                Ok(mut entries) => entries.next().await.map(drop),
                Err(error) => Err(error),
            };
            match listed {
                Ok(()) => Ok(true),
                Err(StreamError::Refused(refusal)) => Ok(refusal.code == RefusalCode::NotAFolder),
                Err(error) => Err(error),
            }
        }
    };
    session.retry(retry_for, reporter, what, look).await
}
