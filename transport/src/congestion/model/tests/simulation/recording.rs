//! What a simulation has measured: delivered packets and the length of the queue over time.

use std::time::Duration;

use crate::congestion::model::estimate;
use crate::congestion::model::tests::PACKET;

/// Deliveries are counted in intervals of this length, and the queue is measured after each.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);

#[derive(Debug, Default)]
pub(super) struct Recording {
    /// By flow, then by interval: delivered packets.
    delivered: Vec<Vec<u64>>,
    /// By interval.
    queueing_delay: Vec<Duration>,
}

impl Recording {
    pub(super) fn add_flow(&mut self) {
        self.delivered.push(Vec::new());
    }

    pub(super) fn add_delivery(&mut self, elapsed: Duration, flow: usize) {
        let interval = index(elapsed);
        let delivered = &mut self.delivered[flow];
        delivered.resize(delivered.len().max(interval + 1), 0);
        delivered[interval] += 1;
    }

    pub(super) fn add_queueing_delay(&mut self, delay: Duration) {
        self.queueing_delay.push(delay);
    }

    /// Bytes per second that a flow had delivered between two times.
    pub(super) fn goodput(&self, flow: usize, from: Duration, to: Duration) -> f64 {
        let delivered = self.delivered[flow].iter().take(index(to)).skip(index(from)).sum::<u64>();
        estimate(delivered * PACKET) / (to - from).as_secs_f64()
    }

    /// The queueing delay between two times that the given share of measurements did not exceed.
    pub(super) fn queueing_delay(&self, from: Duration, to: Duration, share: f64) -> Duration {
        let mut delays: Vec<Duration> =
            self.queueing_delay.iter().take(index(to)).skip(index(from)).copied().collect();
        delays.sort_unstable();
        let last = delays.len().checked_sub(1).expect("the queue was measured");
        let rank = estimate(last as u64) * share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 0")]
        let rank = rank as usize;
        delays[rank]
    }
}

fn index(elapsed: Duration) -> usize {
    usize::try_from(elapsed.as_nanos() / INTERVAL.as_nanos()).expect("a short simulation")
}
