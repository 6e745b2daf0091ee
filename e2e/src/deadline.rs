//! Every wait has a deadline, and says what it waited for. Knows nothing of what that is.

use std::time::Duration;

use tokio::time::timeout;

/// How long a story waits for what should come at once. Long, for a busy machine; nothing that works
/// ever waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something, `patience` at the longest.
///
/// # Panics
/// When it does not come, naming it.
pub async fn within<T>(patience: Duration, what: &str, wait: impl Future<Output = T>) -> T {
    match timeout(patience, wait).await {
        Ok(value) => value,
        Err(_) => panic!("waited {patience:?} for {what}"),
    }
}

/// Waits until `holds` does, for what nothing tells of, such as a file that appears.
///
/// # Panics
/// When it does not come to hold, naming it.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(PATIENCE, what, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
