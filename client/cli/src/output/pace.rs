//! How fast the files of a command moved, and what limited them. Pure: nothing is measured here.

use std::time::Duration;

use quiver_protocol::Brake;
use quiver_transfer::Bottleneck;

use super::SERVER;
use super::human::bytes;
use quiver_transfer::Rate;

/// What limited most of this share of the time is what limited all of it.
const MOST: f64 = 0.6;

/// What is within this share of the rate that was allowed could not have been faster: the rest is the
/// beginning and the end.
const AT_THE_LIMIT: f64 = 0.9;

/// What all files of a command add up to.
#[derive(Debug, Default)]
pub struct Pace {
    /// Bytes that moved.
    moved: u64,
    /// How long files were on their way, all together, and what limited each.
    times: Vec<(Option<Bottleneck>, Duration)>,
    /// What the person allowed.
    limit: Option<Rate>,
}

impl Pace {
    /// Of files that may be no faster than this, together.
    #[must_use]
    pub fn within(limit: Option<Rate>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// One more file has moved.
    pub fn moved(&mut self, bytes: u64, took: Duration, limited_by: Option<Bottleneck>) {
        self.moved += bytes;
        match self.times.iter_mut().find(|(known, _)| *known == limited_by) {
            Some((_, time)) => *time += took,
            None => self.times.push((limited_by, took)),
        }
    }

    /// `33.6 MB in 2.4 s: 14.0 MB/s, limited by this disk`, for files that took so long from the first question to
    /// the last answer, while this processor was hardly ever free or not; `None` where nothing moved.
    #[must_use]
    pub fn line(&self, took: Duration, is_busy: bool) -> Option<String> {
        if self.moved == 0 {
            return None;
        }
        let seconds = took.as_secs_f64().max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let moved = self.moved as f64;
        let rate = moved / seconds;
        let limit = self.limited_by(rate, is_busy);
        let limit =
            limit.map_or_else(String::new, |limit| format!(", limited by {}", limit.words(SERVER)));
        Some(format!("{} in {seconds:.1} s: {}/s{limit}", bytes(moved), bytes(rate)))
    }

    fn limited_by(&self, rate: f64, is_busy: bool) -> Option<Bottleneck> {
        #[expect(clippy::cast_precision_loss, reason = "a comparison of magnitudes")]
        let allowed = self.limit.map(|limit| limit.bytes() as f64);
        if allowed.is_some_and(|allowed| rate >= allowed * AT_THE_LIMIT) {
            return Some(Bottleneck::Here(Brake::Limit));
        }
        let all: Duration = self.times.iter().map(|(_, time)| *time).sum();
        let most = self.times.iter().max_by_key(|(_, time)| *time);
        let told = most.filter(|(_, time)| *time >= all.mul_f64(MOST)).and_then(|(by, _)| *by);
        told.or(is_busy.then_some(Bottleneck::Here(Brake::Processor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_limited_most_of_the_files_is_said() {
        let disk = Some(Bottleneck::Here(Brake::Disk));
        let server = Some(Bottleneck::There(Brake::Disk));
        let mut pace = Pace::default();
        assert_eq!(pace.line(SECOND, true), None, "nothing has moved");
        pace.moved(30_000_000, SECOND, disk);
        let line = |pace: &Pace, is_busy| pace.line(2 * SECOND, is_busy).unwrap();
        assert_eq!(line(&pace, true), "30.0 MB in 2.0 s: 15.0 MB/s, limited by this disk");
        pace.moved(3_600_000, SECOND, server);
        assert_eq!(line(&pace, false), "33.6 MB in 2.0 s: 16.8 MB/s");
        assert_eq!(line(&pace, true), "33.6 MB in 2.0 s: 16.8 MB/s, limited by this processor");
        pace.moved(0, SECOND, server);
        let said = line(&pace, false);
        assert_eq!(said, "33.6 MB in 2.0 s: 16.8 MB/s, limited by the server's disk");
        pace.moved(0, 10 * SECOND, None);
        assert_eq!(line(&pace, false), "33.6 MB in 2.0 s: 16.8 MB/s");
    }

    #[test]
    fn who_may_be_no_faster_is_limited_by_that() {
        let mut pace = Pace::within("10MB/s".parse().ok());
        pace.moved(10_000_000, SECOND, Some(Bottleneck::Network));
        let said = pace.line(SECOND, true).unwrap();
        assert_eq!(said, "10.0 MB in 1.0 s: 10.0 MB/s, limited by --limit");
        let said = pace.line(2 * SECOND, true).unwrap();
        assert_eq!(said, "10.0 MB in 2.0 s: 5.0 MB/s, limited by the network");
    }
}
