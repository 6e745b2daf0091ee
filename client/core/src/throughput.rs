//! The throughput of a transfer and its bottleneck, computed from the measurements of its files. Reads no clock.

use std::time::Duration;

use quiver_protocol::Bottleneck;
use quiver_transfer::{Rate, TransferBottleneck};

/// A bottleneck of the files is that of the transfer if it accounts for at least this share of the time.
const DOMINANT_SHARE: f64 = 0.6;

/// A transfer is at its rate limit from this share of the limit on. The rest is lost at the start and the end.
const RATE_LIMIT_SHARE: f64 = 0.9;

/// The throughput of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throughput {
    /// Transferred bytes.
    pub moved: u64,
    /// The time from the first request to the last response.
    pub took: Duration,
    /// The bottleneck for most of the time; `None` if there is no single one.
    pub limited_by: Option<TransferBottleneck>,
}

/// Adds up the measurements of all files of a transfer.
#[derive(Debug, Default)]
pub(crate) struct ThroughputMeter {
    /// Transferred bytes.
    moved: u64,
    /// The total duration of the files with each bottleneck.
    durations: Vec<(Option<TransferBottleneck>, Duration)>,
    /// The rate limit.
    limit: Option<Rate>,
}

impl ThroughputMeter {
    /// For files that share a rate limit, if any.
    pub(crate) fn with_limit(limit: Option<Rate>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Adds a transferred file.
    pub(crate) fn add_file(
        &mut self,
        bytes: u64,
        took: Duration,
        limited_by: Option<TransferBottleneck>,
    ) {
        self.moved += bytes;
        match self.durations.iter_mut().find(|(known, _)| *known == limited_by) {
            Some((_, time)) => *time += took,
            None => self.durations.push((limited_by, took)),
        }
    }

    /// The throughput of a transfer that took this long from the first request to the last response. `is_busy` says
    /// whether the local processor was busy almost all of the time. `None` if no bytes were transferred.
    pub(crate) fn throughput(&self, took: Duration, is_busy: bool) -> Option<Throughput> {
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
        if allowed.is_some_and(|allowed| rate >= allowed * RATE_LIMIT_SHARE) {
            return Some(TransferBottleneck::Local(Bottleneck::Limit));
        }
        let all: Duration = self.durations.iter().map(|(_, time)| *time).sum();
        let longest = self.durations.iter().max_by_key(|(_, time)| *time);
        let is_dominant = |time: Duration| time >= all.mul_f64(DOMINANT_SHARE);
        let dominant = longest.filter(|(_, time)| is_dominant(*time)).and_then(|(by, _)| *by);
        let network = || {
            let is_network = |by| matches!(by, Some(TransferBottleneck::Network(_)));
            let times = self.durations.iter().filter(|(by, _)| is_network(*by));
            let time = times.map(|(_, time)| *time).sum::<Duration>();
            (time > Duration::ZERO && is_dominant(time))
                .then_some(TransferBottleneck::Network(None))
        };
        dominant
            .or_else(network)
            .or(is_busy.then_some(TransferBottleneck::Local(Bottleneck::Processor)))
    }
}

#[cfg(test)]
mod tests {
    use quiver_protocol::NetworkLimit;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_dominant_bottleneck_of_the_files_is_reported() {
        let disk = Some(TransferBottleneck::Local(Bottleneck::Disk));
        let server = Some(TransferBottleneck::Remote(Bottleneck::Disk));
        let mut meter = ThroughputMeter::default();
        assert_eq!(meter.throughput(SECOND, true), None, "no bytes were transferred");
        meter.add_file(30_000_000, SECOND, disk);
        let limited_by =
            |meter: &ThroughputMeter, busy| meter.throughput(2 * SECOND, busy).unwrap().limited_by;
        assert_eq!(limited_by(&meter, true), disk);
        meter.add_file(3_600_000, SECOND, server);
        assert_eq!(limited_by(&meter, false), None);
        assert_eq!(
            limited_by(&meter, true),
            Some(TransferBottleneck::Local(Bottleneck::Processor))
        );
        meter.add_file(0, SECOND, server);
        assert_eq!(limited_by(&meter, false), server);
        meter.add_file(0, 10 * SECOND, None);
        assert_eq!(limited_by(&meter, false), None);
        assert_eq!(meter.throughput(SECOND, false).unwrap().moved, 33_600_000);
    }

    #[test]
    fn a_transfer_at_its_rate_limit_is_limited_by_it() {
        let mut meter = ThroughputMeter::with_limit("10MB/s".parse().ok());
        meter.add_file(10_000_000, SECOND, Some(TransferBottleneck::Network(None)));
        let limited_by = |took| meter.throughput(took, true).unwrap().limited_by;
        assert_eq!(limited_by(SECOND), Some(TransferBottleneck::Local(Bottleneck::Limit)));
        assert_eq!(limited_by(2 * SECOND), Some(TransferBottleneck::Network(None)));
    }

    #[test]
    fn files_that_the_network_has_limited_in_different_ways_were_limited_by_the_network() {
        let mut meter = ThroughputMeter::default();
        for limit in [NetworkLimit::Path, NetworkLimit::SendWindow] {
            meter.add_file(1_000_000, SECOND, Some(TransferBottleneck::Network(Some(limit))));
        }
        let limited_by =
            |meter: &ThroughputMeter| meter.throughput(SECOND, false).unwrap().limited_by;
        assert_eq!(limited_by(&meter), Some(TransferBottleneck::Network(None)));
        let path = Some(TransferBottleneck::Network(Some(NetworkLimit::Path)));
        meter.add_file(1_000_000, SECOND, path);
        assert_eq!(limited_by(&meter), path);
    }
}
