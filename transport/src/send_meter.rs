//! Measures what held back the data that a connection sent: the path, a window of the receiver, or the
//! sender's own window. Knows nothing of disks and processors, which the caller must rule out first.

use std::sync::Arc;
use std::time::Instant;

use quinn::Connection;
use quiver_protocol::NetworkLimit;

use crate::congestion::AcknowledgedBytes;

/// The receiver's windows were the limit if this side reported so at least once in so many round
/// trips. A window that is always full is reported each time that the receiver has moved it, which is
/// several times a round trip.
const ROUND_TRIPS_PER_REPORT: f64 = 2.0;

/// Measures one connection from its start on.
#[derive(Debug)]
pub struct SendMeter {
    connection: Connection,
    acknowledged: Arc<AcknowledgedBytes>,
    started: Instant,
    initial: Counts,
}

/// What a connection has counted since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    /// Acknowledged bytes.
    acknowledged: u64,
    /// Those acknowledged while the connection had nothing to send: all data that the application
    /// had written was in flight.
    app_limited: u64,
    /// Reports to the receiver that one of its windows is full (RFC 9000, 19.12 and 19.13).
    blocked: u64,
}

impl SendMeter {
    pub(crate) fn start(connection: Connection, acknowledged: Arc<AcknowledgedBytes>) -> Self {
        let initial = Counts::now(&connection, &acknowledged);
        Self { connection, acknowledged, started: Instant::now(), initial }
    }

    /// What held back the data that was sent since the start, for most of its bytes. `None` if none
    /// was acknowledged.
    #[must_use]
    pub fn limit(&self) -> Option<NetworkLimit> {
        let counts = Counts::now(&self.connection, &self.acknowledged).since(self.initial);
        let round_trip = self.connection.rtt().as_secs_f64();
        counts.limit(self.started.elapsed().as_secs_f64() / round_trip)
    }
}

impl Counts {
    fn now(connection: &Connection, acknowledged: &AcknowledgedBytes) -> Self {
        let frames = connection.stats().frame_tx;
        let (acknowledged, app_limited) = acknowledged.counts();
        let blocked = frames.data_blocked + frames.stream_data_blocked;
        Self { acknowledged, app_limited, blocked }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            acknowledged: self.acknowledged - earlier.acknowledged,
            app_limited: self.app_limited - earlier.app_limited,
            blocked: self.blocked - earlier.blocked,
        }
    }

    /// What these counts of so many round trips say.
    fn limit(self, round_trips: f64) -> Option<NetworkLimit> {
        let Self { acknowledged, app_limited, blocked } = self;
        if acknowledged == 0 {
            None
        } else if app_limited < acknowledged / 2 {
            // There was data to send for which congestion control had no space. A window of the
            // receiver may have been full too, but behind that.
            Some(NetworkLimit::Path)
        } else if f64::from(u32::try_from(blocked).unwrap_or(u32::MAX)) * ROUND_TRIPS_PER_REPORT
            >= round_trips
        {
            Some(NetworkLimit::ReceiveWindow)
        } else {
            Some(NetworkLimit::SendWindow)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_from_what_waited_and_what_was_full() {
        let limit = |acknowledged, app_limited, blocked| {
            Counts { acknowledged, app_limited, blocked }.limit(10.0)
        };
        assert_eq!(limit(0, 0, 0), None);
        assert_eq!(limit(1000, 499, 80), Some(NetworkLimit::Path));
        assert_eq!(limit(1000, 500, 5), Some(NetworkLimit::ReceiveWindow));
        assert_eq!(limit(1000, 1000, 4), Some(NetworkLimit::SendWindow));
    }

    #[test]
    fn only_what_has_happened_since_the_start_counts() {
        let [earlier, now] = [(100, 100, 7), (300, 150, 9)].map(|counts| {
            let (acknowledged, app_limited, blocked) = counts;
            Counts { acknowledged, app_limited, blocked }
        });
        let since = Counts { acknowledged: 200, app_limited: 50, blocked: 2 };
        assert_eq!(now.since(earlier), since);
    }
}
