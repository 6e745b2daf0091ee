//! Moments on the wire: RFC 3339 in UTC. Knows no clock.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A moment, written as `2024-10-19T17:45:47Z`, with 3, 6 or 9 decimals of a second where it has any.
///
/// RFC 3339 has years of four digits. A file may carry any time, and one with a strange time must
/// not spoil a list: what lies outside is written as the first or the last moment there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub DateTime<Utc>);

/// 0000-01-01T00:00:00Z.
const FIRST: DateTime<Utc> = moment(-62_167_219_200, 0);

/// 9999-12-31T23:59:59.999999999Z.
const LAST: DateTime<Utc> = moment(253_402_300_799, 999_999_999);

const fn moment(seconds: i64, nanoseconds: u32) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, nanoseconds) {
        Some(moment) => moment,
        None => panic!("both constants are moments"),
    }
}

/// For a file's times. Any value has a place, where chrono's own conversion panics on far ones.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let epoch = DateTime::UNIX_EPOCH;
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => TimeDelta::from_std(after)
                .ok()
                .and_then(|after| epoch.checked_add_signed(after))
                .map_or(LAST, |moment| moment.min(LAST)),
            Err(error) => TimeDelta::from_std(error.duration())
                .ok()
                .and_then(|before| epoch.checked_sub_signed(before))
                .map_or(FIRST, |moment| moment.max(FIRST)),
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.clamp(FIRST, LAST);
        f.write_str(&moment.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The wire has one spelling for each moment: an offset is refused, `+00:00` too.
        if !text.ends_with(['Z', 'z']) {
            return Err(D::Error::custom("a time ends with Z"));
        }
        DateTime::parse_from_rfc3339(&text)
            .map(|moment| Self(moment.with_timezone(&Utc).clamp(FIRST, LAST)))
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Timestamp {
        serde_json::from_str(&format!("\"{text}\"")).unwrap()
    }

    #[test]
    fn moments_are_utc_and_nothing_else_is_read() {
        assert_eq!(read("2024-10-19T17:45:47.5Z").to_string(), "2024-10-19T17:45:47.500Z");
        assert_eq!(read("2024-10-19t17:45:47z").to_string(), "2024-10-19T17:45:47Z");
        for refused in [
            "yesterday",
            "",
            "Z",
            "2024-10-19T19:45:47+02:00",
            "2024-10-19T17:45:47+00:00",
            "2024-10-19T17:45:47-00:00",
            "2024-10-19T17:45:47+01:00Z",
            "2024-10-19T17:45:47",
        ] {
            let text = format!("\"{refused}\"");
            assert!(serde_json::from_str::<Timestamp>(&text).is_err(), "{refused}");
        }
    }

    #[test]
    fn what_rfc_3339_cannot_write_becomes_its_first_or_last_moment() {
        let (first, last) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z");
        assert_eq!(read("9999-12-31T23:59:60Z").to_string(), last);
        assert_eq!(Timestamp(DateTime::<Utc>::MIN_UTC).to_string(), first);
        assert_eq!(Timestamp(DateTime::<Utc>::MAX_UTC).to_string(), last);
    }

    #[test]
    fn a_files_time_is_a_moment_however_strange_it_is() {
        let far = Duration::from_secs(i64::MAX as u64);
        assert_eq!(Timestamp::from(UNIX_EPOCH + far), Timestamp(LAST));
        assert_eq!(Timestamp::from(UNIX_EPOCH - far), Timestamp(FIRST));
        let half = Duration::from_millis(500);
        assert_eq!(Timestamp::from(UNIX_EPOCH + half).to_string(), "1970-01-01T00:00:00.500Z");
        assert_eq!(Timestamp::from(UNIX_EPOCH - half).to_string(), "1969-12-31T23:59:59.500Z");
    }

    proptest! {
        #[test]
        fn every_moment_that_is_written_can_be_read(seconds in -300_000_000_000_i64..300_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let written = Timestamp(DateTime::from_timestamp(seconds, nanoseconds).unwrap()).to_string();
            prop_assert_eq!(read(&written).to_string(), written);
        }
    }
}
