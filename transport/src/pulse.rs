//! Whether the other side of a connection is still there: asked now, and not found out when its silence has
//! become too long. Knows nothing of why anybody asks.

use std::time::Duration;

use quinn::Connection;
use tokio::time::{interval, sleep, timeout};

use crate::endpoint::KEEP_ALIVE;

/// How long a sign of life may take, beside three times the way there and back.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The longest way there and back that is made allowance for.
const LONGEST_WAY: Duration = Duration::from_secs(1);

/// How often one looks for a sign of life.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whether anything comes from the other side after `ask`, which says something to it: QUIC makes whoever lives
/// acknowledge that, even where nobody reads it. Takes [`PATIENCE`] and a little more where nothing does.
pub async fn is_alive<T>(connection: &Connection, ask: impl Future<Output = T>) -> bool {
    let before = heard(connection);
    let sign = async {
        let mut looks = interval(LOOK_EVERY);
        while heard(connection) == before {
            looks.tick().await;
        }
    };
    let silence = async {
        // Where nothing can be said, because the other side takes no streams, the next keep-alive asks.
        let _ = timeout(KEEP_ALIVE, ask).await;
        sleep(PATIENCE + 3 * connection.rtt().min(LONGEST_WAY)).await;
    };
    tokio::select! {
        biased;
        () = sign => true,
        _ = connection.closed() => false,
        () = silence => false,
    }
}

/// Datagrams that have come.
fn heard(connection: &Connection) -> u64 {
    connection.stats().udp_rx.datagrams
}
