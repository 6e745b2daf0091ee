//! Whether the other side of a connection is still there, asked now instead of waiting for the idle timeout. Knows
//! nothing of why the caller asks.

use std::time::Duration;

use quinn::Connection;
use tokio::time::{interval, sleep, timeout};

use crate::endpoint::KEEP_ALIVE;

/// How long the other side may take to answer, beside three round trips.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest round trip that allowance is made for.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// How often the count of received datagrams is read.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a datagram is received from the other side after `ask`, which sends something to it: QUIC acknowledges
/// that, even where the application does not read it. Takes [`ANSWER_TIMEOUT`] and three round trips where nothing
/// is received.
pub async fn is_alive<T>(connection: &Connection, ask: impl Future<Output = T>) -> bool {
    let before = received_datagrams(connection);
    let answered = async {
        let mut polls = interval(POLL_INTERVAL);
        while received_datagrams(connection) == before {
            polls.tick().await;
        }
    };
    let timed_out = async {
        // Where nothing can be sent, because the other side accepts no streams, the next keep-alive asks.
        let _ = timeout(KEEP_ALIVE, ask).await;
        sleep(ANSWER_TIMEOUT + 3 * connection.rtt().min(MAX_ROUND_TRIP)).await;
    };
    tokio::select! {
        biased;
        () = answered => true,
        _ = connection.closed() => false,
        () = timed_out => false,
    }
}

fn received_datagrams(connection: &Connection) -> u64 {
    connection.stats().udp_rx.datagrams
}
