//! How fast the files of a transfer moved, and what limited them. Pure: nothing is measured here.

use std::time::Duration;

use quiver_protocol::Bottleneck;
use quiver_transfer::{Rate, TransferBottleneck};

/// What limited most of this share of the time is what limited all of it.
const MOST: f64 = 0.6;

/// What is within this share of the rate that was allowed could not have been faster: the rest is the
/// beginning and the end.
const AT_THE_LIMIT: f64 = 0.9;

/// What moved, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    /// Bytes that moved.
    pub moved: u64,
    /// From the first question to the last answer.
    pub took: Duration,
    /// What limited most of it; `None` where that cannot be told.
    pub limited_by: Option<TransferBottleneck>,
}

/// What all files of a transfer add up to.
#[derive(Debug, Default)]
pub(crate) struct ThroughputMeter {
    /// Bytes that moved.
    moved: u64,
    /// How long files took, all together, and what limited each.
    times: Vec<(Option<TransferBottleneck>, Duration)>,
    /// The rate limit.
    limit: Option<Rate>,
}

impl ThroughputMeter {
    /// Of files that may be no faster than this, together.
    pub(crate) fn within(limit: Option<Rate>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// One more file has moved.
    pub(crate) fn moved(
        &mut self,
        bytes: u64,
        took: Duration,
        limited_by: Option<TransferBottleneck>,
    ) {
        self.moved += bytes;
        match self.times.iter_mut().find(|(known, _)| *known == limited_by) {
            Some((_, time)) => *time += took,
            None => self.times.push((limited_by, took)),
        }
    }

    /// For files that took so long from the first question to the last answer, while this processor was hardly
    /// ever free or not; `None` where nothing moved.
    pub(crate) fn total(&self, took: Duration, is_busy: bool) -> Option<Throughput> {
        if self.moved == 0 {
            return None;
        }
        let seconds = took.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a comparison of magnitudes")]
        let rate = self.moved as f64 / seconds;
        let limited_by = self.limited_by(rate, is_busy);
        Some(Throughput { moved: self.moved, took, limited_by })
    }

    fn limited_by(&self, rate: f64, is_busy: bool) -> Option<TransferBottleneck> {
        #[expect(clippy::cast_precision_loss, reason = "a comparison of magnitudes")]
        let allowed = self.limit.map(|limit| limit.bytes() as f64);
        if allowed.is_some_and(|allowed| rate >= allowed * AT_THE_LIMIT) {
            return Some(TransferBottleneck::Local(Bottleneck::Limit));
        }
        let all: Duration = self.times.iter().map(|(_, time)| *time).sum();
        let most = self.times.iter().max_by_key(|(_, time)| *time);
        let told = most.filter(|(_, time)| *time >= all.mul_f64(MOST)).and_then(|(by, _)| *by);
        told.or(is_busy.then_some(TransferBottleneck::Local(Bottleneck::Processor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_limited_most_of_the_files_is_told() {
        let disk = Some(TransferBottleneck::Local(Bottleneck::Disk));
        let server = Some(TransferBottleneck::Remote(Bottleneck::Disk));
        let mut meter = ThroughputMeter::default();
        assert_eq!(meter.total(SECOND, true), None, "nothing has moved");
        meter.moved(30_000_000, SECOND, disk);
        let limited_by =
            |meter: &ThroughputMeter, busy| meter.total(2 * SECOND, busy).unwrap().limited_by;
        assert_eq!(limited_by(&meter, true), disk);
        meter.moved(3_600_000, SECOND, server);
        assert_eq!(limited_by(&meter, false), None);
        assert_eq!(
            limited_by(&meter, true),
            Some(TransferBottleneck::Local(Bottleneck::Processor))
        );
        meter.moved(0, SECOND, server);
        assert_eq!(limited_by(&meter, false), server);
        meter.moved(0, 10 * SECOND, None);
        assert_eq!(limited_by(&meter, false), None);
        assert_eq!(meter.total(SECOND, false).unwrap().moved, 33_600_000);
    }

    #[test]
    fn what_may_be_no_faster_is_limited_by_that() {
        let mut meter = ThroughputMeter::within("10MB/s".parse().ok());
        meter.moved(10_000_000, SECOND, Some(TransferBottleneck::Network));
        let limited_by = |took| meter.total(took, true).unwrap().limited_by;
        assert_eq!(limited_by(SECOND), Some(TransferBottleneck::Local(Bottleneck::Limit)));
        assert_eq!(limited_by(2 * SECOND), Some(TransferBottleneck::Network));
    }
}
