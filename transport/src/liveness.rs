//! Checks whether the other side of a connection still responds, without waiting for the idle
//! timeout. Does not close connections.

use std::time::Duration;

use quinn::Connection;
use tokio::time::{interval, sleep, timeout};

use crate::endpoint::KEEP_ALIVE;

/// How long the other side may take to respond, in addition to three round trips.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest round trip that the timeout allows for.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(1);

/// Interval at which the count of received datagrams is read.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether the other side responds to `probe`, which must send something to it: QUIC acknowledges
/// it even if the application does not read it, and any datagram counts. Takes at most
/// [`PROBE_TIMEOUT`] and three round trips after the probe.
pub async fn is_alive<T>(connection: &Connection, probe: impl Future<Output = T>) -> bool {
    let before = received_datagrams(connection);
    let responded = async {
        let mut polls = interval(POLL_INTERVAL);
        while received_datagrams(connection) == before {
            polls.tick().await;
        }
    };
    let timed_out = async {
        // If the probe cannot be sent, because the other side accepts no streams, the next
        // keep-alive replaces it.
        let _ = timeout(KEEP_ALIVE, probe).await;
        sleep(PROBE_TIMEOUT + 3 * connection.rtt().min(MAX_ROUND_TRIP)).await;
    };
    tokio::select! {
        biased;
        () = responded => true,
        _ = connection.closed() => false,
        () = timed_out => false,
    }
}

fn received_datagrams(connection: &Connection) -> u64 {
    connection.stats().udp_rx.datagrams
}
