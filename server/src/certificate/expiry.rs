//! Decides when to warn about the dates of the server's certificate. The time is an argument.

use chrono::{DateTime, TimeDelta, Utc};
use quiver_protocol::units;
use quiver_transport::CertificateInfo;

/// Warnings begin this many days before the certificate expires.
const WARNING_DAYS: i64 = 14;

/// The least time between two warnings.
const WARNING_INTERVAL: TimeDelta = TimeDelta::days(1);

/// The dates of one certificate, and the time of the last warning.
#[derive(Debug)]
pub struct ExpiryWarnings {
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    last_warning: Option<DateTime<Utc>>,
}

impl ExpiryWarnings {
    /// Takes the dates of a certificate for which no warning was given yet.
    #[must_use]
    pub fn new(certificate: &CertificateInfo) -> Self {
        let CertificateInfo { not_before, not_after, .. } = certificate;
        Self { not_before: *not_before, not_after: *not_after, last_warning: None }
    }

    /// The warning to log now: at most one a day, none while the certificate is valid for more than 14 days.
    pub fn next_warning(&mut self, now: DateTime<Utc>) -> Option<String> {
        // After the clock was set back, a warning is not suppressed.
        let is_early = |last_warning: DateTime<Utc>| {
            now >= last_warning && now - last_warning < WARNING_INTERVAL
        };
        if self.last_warning.is_some_and(is_early) {
            return None;
        }
        let warning = self.warning(now)?;
        self.last_warning = Some(now);
        Some(warning)
    }

    fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let date = |moment: DateTime<Utc>| moment.format("%Y-%m-%d");
        let renew = "make a new one with quiver-server cert new --force, and restart";
        let days = (self.not_after - now).num_days();
        if now < self.not_before {
            let start = date(self.not_before);
            Some(format!(
                "the certificate is not valid before {start}: every client refuses it; check this machine's clock"
            ))
        } else if now > self.not_after {
            let until = date(self.not_after);
            Some(format!("the certificate expired on {until}: every client refuses it; {renew}"))
        } else if days < WARNING_DAYS {
            let until = date(self.not_after);
            let days = units::counted(days.unsigned_abs(), "day");
            Some(format!("the certificate expires in {days}, on {until}: {renew}"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(start: &str, until: &str) -> ExpiryWarnings {
        ExpiryWarnings { not_before: at(start), not_after: at(until), last_warning: None }
    }

    fn at(moment: &str) -> DateTime<Utc> {
        moment.parse().unwrap()
    }

    #[test]
    fn a_valid_certificate_causes_no_warning() {
        let mut valid = certificate("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        for now in ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-12-18T00:00:00Z"] {
            assert_eq!(valid.next_warning(at(now)), None, "{now}");
        }
    }

    #[test]
    fn a_certificate_causes_a_warning_a_day_from_14_days_before_it_expires() {
        let mut ending = certificate("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let hours = |hour| at("2026-12-17T00:00:00Z") + TimeDelta::hours(hour);
        let warnings: Vec<_> = (0..24 * 17)
            .filter_map(|hour| {
                ending.next_warning(hours(hour)).map(|warning| (hours(hour), warning))
            })
            .collect();
        // From the first check on the 18th through the second day after the expiry.
        assert_eq!(warnings.first().unwrap().0, at("2026-12-18T01:00:00Z"));
        assert_eq!(warnings.len(), 16);
        let renew = "make a new one with quiver-server cert new --force, and restart";
        assert_eq!(
            warnings[0].1,
            format!("the certificate expires in 13 days, on 2027-01-01: {renew}")
        );
        assert_eq!(
            warnings[12].1,
            format!("the certificate expires in 1 day, on 2027-01-01: {renew}")
        );
        assert_eq!(
            warnings[14].1,
            format!("the certificate expired on 2027-01-01: every client refuses it; {renew}")
        );
    }

    #[test]
    fn a_certificate_causes_a_warning_until_it_becomes_valid() {
        let mut early = certificate("2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let warning = early.next_warning(at("2026-05-31T12:00:00Z")).unwrap();
        assert_eq!(
            warning,
            "the certificate is not valid before 2026-06-01: every client refuses it; check this machine's clock"
        );
        assert_eq!(early.next_warning(at("2026-05-31T20:00:00Z")), None, "once a day");
        assert!(early.next_warning(at("2026-05-30T00:00:00Z")).is_some(), "the clock was set back");
        assert_eq!(early.next_warning(at("2026-06-02T00:00:00Z")), None);
    }
}
