//! Points in time on the wire: RFC 3339 in UTC. No clock is read in here.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A point in time, written as `2024-10-19T17:45:47Z`, with 3, 6 or 9 decimals of a second if it
/// has a fraction.
///
/// RFC 3339 has years of four digits, but a file can have any modification time, and must not make
/// a list fail: a time outside that range is written as the first or last time inside.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub DateTime<Utc>);

/// 0000-01-01T00:00:00Z.
const FIRST: DateTime<Utc> = date_time(-62_167_219_200, 0);

/// 9999-12-31T23:59:59.999999999Z.
const LAST: DateTime<Utc> = date_time(253_402_300_799, 999_999_999);

const fn date_time(seconds: i64, nanoseconds: u32) -> DateTime<Utc> {
    match DateTime::from_timestamp(seconds, nanoseconds) {
        Some(time) => time,
        None => panic!("chrono cannot express this time"),
    }
}

/// Converts a file's time. chrono's own conversion panics on times far outside its range.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let epoch = DateTime::UNIX_EPOCH;
        Self(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => TimeDelta::from_std(after)
                .ok()
                .and_then(|after| epoch.checked_add_signed(after))
                .map_or(LAST, |time| time.min(LAST)),
            Err(error) => TimeDelta::from_std(error.duration())
                .ok()
                .and_then(|before| epoch.checked_sub_signed(before))
                .map_or(FIRST, |time| time.max(FIRST)),
        })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.0.clamp(FIRST, LAST);
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
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
        // The wire allows only UTC with `Z`: an offset is rejected, `+00:00` too.
        if !text.ends_with(['Z', 'z']) {
            return Err(D::Error::custom("a time ends with Z"));
        }
        DateTime::parse_from_rfc3339(&text)
            .map(|time| Self(time.with_timezone(&Utc).clamp(FIRST, LAST)))
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
    fn only_times_in_utc_are_read() {
        assert_eq!(read("2024-10-19T17:45:47.5Z").to_string(), "2024-10-19T17:45:47.500Z");
        assert_eq!(read("2024-10-19t17:45:47z").to_string(), "2024-10-19T17:45:47Z");
        for rejected in [
            "yesterday",
            "",
            "Z",
            "2024-10-19T19:45:47+02:00",
            "2024-10-19T17:45:47+00:00",
            "2024-10-19T17:45:47-00:00",
            "2024-10-19T17:45:47+01:00Z",
            "2024-10-19T17:45:47",
        ] {
            let text = format!("\"{rejected}\"");
            assert!(serde_json::from_str::<Timestamp>(&text).is_err(), "{rejected}");
        }
    }

    #[test]
    fn a_time_outside_rfc_3339_becomes_the_first_or_last_one_inside() {
        let (first, last) = ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z");
        assert_eq!(read("9999-12-31T23:59:60Z").to_string(), last);
        assert_eq!(Timestamp(DateTime::<Utc>::MIN_UTC).to_string(), first);
        assert_eq!(Timestamp(DateTime::<Utc>::MAX_UTC).to_string(), last);
    }

    #[test]
    fn any_modification_time_of_a_file_can_be_converted() {
        let far = Duration::from_secs(i64::MAX as u64);
        assert_eq!(Timestamp::from(UNIX_EPOCH + far), Timestamp(LAST));
        assert_eq!(Timestamp::from(UNIX_EPOCH - far), Timestamp(FIRST));
        let half = Duration::from_millis(500);
        assert_eq!(Timestamp::from(UNIX_EPOCH + half).to_string(), "1970-01-01T00:00:00.500Z");
        assert_eq!(Timestamp::from(UNIX_EPOCH - half).to_string(), "1969-12-31T23:59:59.500Z");
    }

    proptest! {
        #[test]
        fn every_written_time_is_read_back_unchanged(seconds in -300_000_000_000_i64..300_000_000_000, nanoseconds in 0_u32..1_000_000_000) {
            let written = Timestamp(DateTime::from_timestamp(seconds, nanoseconds).unwrap()).to_string();
            prop_assert_eq!(read(&written).to_string(), written);
        }
    }
}
