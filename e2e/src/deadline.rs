//! Waits with a timeout. Each names what it waits for. Knows nothing of what that is.

use std::time::Duration;

use tokio::time::timeout;

/// How long a story waits for something that should happen at once. Long, for a busy machine; a passing
/// test never waits this long.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for `wait` to finish, at most `limit`.
///
/// # Panics
/// If `limit` passes first; the message names `what`.
pub async fn wait_within<T>(limit: Duration, what: &str, wait: impl Future<Output = T>) -> T {
    match timeout(limit, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} for {what}"),
    }
}

/// Polls `condition` until it is true, for state that sends no notification, such as a file that appears.
///
/// # Panics
/// If it is not true within [`TIMEOUT`]; the message names `what`.
pub async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_within(TIMEOUT, what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
