//! When to warn about the dates of the server's certificate. Pure: the time is an argument.

use chrono::{DateTime, TimeDelta, Utc};
use quiver_transport::CertificateInfo;

/// Warnings begin this long before the certificate expires, in days.
const SOON: i64 = 14;

/// Between two warnings of a running server.
const BETWEEN: TimeDelta = TimeDelta::days(1);

/// The dates of one certificate, and when they were last warned about.
#[derive(Debug)]
pub struct ExpiryWarnings {
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    last: Option<DateTime<Utc>>,
}

impl ExpiryWarnings {
    /// Of a certificate that was not warned about yet.
    #[must_use]
    pub fn new(certificate: &CertificateInfo) -> Self {
        let CertificateInfo { not_before, not_after, .. } = certificate;
        Self { not_before: *not_before, not_after: *not_after, last: None }
    }

    /// The warning that is due now: at most one a day, none while the certificate is valid for more than 14 days.
    pub fn due(&mut self, now: DateTime<Utc>) -> Option<String> {
        // A clock that was set back must not silence it.
        let is_early = |last: DateTime<Utc>| now >= last && now - last < BETWEEN;
        if self.last.is_some_and(is_early) {
            return None;
        }
        let warning = self.warning(now)?;
        self.last = Some(now);
        Some(warning)
    }

    fn warning(&self, now: DateTime<Utc>) -> Option<String> {
        let date = |moment: DateTime<Utc>| moment.format("%Y-%m-%d");
        let renew = "make a new one with quiver-server cert new --force, and restart";
        let days = (self.not_after - now).num_days();
        if now < self.not_before {
            let from = date(self.not_before);
            Some(format!(
                "the certificate is not valid before {from}: every client refuses it; check this machine's clock"
            ))
        } else if now > self.not_after {
            let until = date(self.not_after);
            Some(format!("the certificate expired on {until}: every client refuses it; {renew}"))
        } else if days < SOON {
            let until = date(self.not_after);
            let unit = if days == 1 { "day" } else { "days" };
            Some(format!("the certificate expires in {days} {unit}, on {until}: {renew}"))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(from: &str, until: &str) -> ExpiryWarnings {
        ExpiryWarnings { not_before: at(from), not_after: at(until), last: None }
    }

    fn at(moment: &str) -> DateTime<Utc> {
        moment.parse().unwrap()
    }

    #[test]
    fn a_valid_certificate_is_not_warned_about() {
        let mut valid = certificate("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        for now in ["2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z", "2026-12-18T00:00:00Z"] {
            assert_eq!(valid.due(at(now)), None, "{now}");
        }
    }

    #[test]
    fn from_14_days_before_its_end_there_is_a_warning_a_day() {
        let mut ending = certificate("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let hours = |hour| at("2026-12-17T00:00:00Z") + TimeDelta::hours(hour);
        let warnings: Vec<_> = (0..24 * 17)
            .filter_map(|hour| ending.due(hours(hour)).map(|warning| (hours(hour), warning)))
            .collect();
        // From the first look after the 18th has begun, through the second day after the end.
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
    fn a_certificate_of_tomorrow_is_warned_about_until_then() {
        let mut early = certificate("2026-06-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let warning = early.due(at("2026-05-31T12:00:00Z")).unwrap();
        assert_eq!(
            warning,
            "the certificate is not valid before 2026-06-01: every client refuses it; check this machine's clock"
        );
        assert_eq!(early.due(at("2026-05-31T20:00:00Z")), None, "once a day");
        assert!(early.due(at("2026-05-30T00:00:00Z")).is_some(), "the clock was set back");
        assert_eq!(early.due(at("2026-06-02T00:00:00Z")), None);
    }
}
