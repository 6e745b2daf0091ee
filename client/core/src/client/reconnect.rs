//! Connecting again after a loss, for interfaces that stay without a transfer: a prompt, a page, a waiting recipient.

use std::sync::Arc;
use std::time::Duration;

use quiver_protocol::reply::Welcome;
use tokio::time::{Instant, sleep};

use super::Client;
use crate::error::{ClientError, ErrorCode};
use crate::reconnecting::LONGEST_SERVER_PAUSE;

/// The pause after the first failed attempt. Doubles with each attempt, up to the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long the pauses stay short: a network that fails is often back soon.
const EAGER_TIME: Duration = Duration::from_secs(600);

/// The longest pause afterwards: a server may be gone for days.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Client {
    /// Connects again, until that succeeds or cannot succeed. `failed` is told of each failed attempt that another one
    /// follows.
    ///
    /// # Errors
    /// [`ClientError`] if another attempt would fail too, such as for another key of the server.
    pub async fn connect_again(
        &self,
        mut failed: impl FnMut(ClientError) + Send,
    ) -> Result<Arc<Welcome>, ClientError> {
        let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match self.connect().await {
                Ok(welcome) => return Ok(welcome),
                Err(error) if may_succeed_later(&error) => failed(error),
                Err(error) => return Err(error),
            }
            sleep(pause).await;
            let is_eager = start.elapsed() < EAGER_TIME;
            let longest = if is_eager { LONGEST_SERVER_PAUSE } else { LONGEST_PAUSE };
            pause = (2 * pause).min(longest);
        }
    }
}

fn may_succeed_later(error: &ClientError) -> bool {
    error.is_transient() || matches!(error.code(), ErrorCode::Connection | ErrorCode::Busy)
}
