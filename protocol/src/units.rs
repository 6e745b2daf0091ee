//! Numbers as people read them: sizes and rates in decimal units, and durations. Exact numbers belong in JSON.

use std::time::Duration;

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// The units of durations, with their seconds.
const DURATION_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];

/// A number of bytes: `512 B`, `1.5 kB`, `600.0 MB`. Exact below 1 kB, with one decimal above.
#[must_use]
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    // In tenths of kB, rounded; integers, so that no large number loses digits.
    let (mut divisor, mut unit) = (100_u64, 0);
    let tenths = |divisor: u64| count / divisor + u64::from(count % divisor >= divisor.div_ceil(2));
    while tenths(divisor) >= 10_000 && unit + 1 < UNITS.len() {
        divisor *= 1000;
        unit += 1;
    }
    let tenths = tenths(divisor);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// Two numbers of bytes to be compared: exact if they would look the same although they differ.
#[must_use]
pub fn compared_bytes(one: u64, other: u64) -> (String, String) {
    let (shown, other_shown) = (bytes(one), bytes(other));
    if shown == other_shown && one != other {
        (format!("{one} B"), format!("{other} B"))
    } else {
        (shown, other_shown)
    }
}

/// Bytes per second: `10.0 MB/s`.
#[must_use]
pub fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// The average rate over a time.
#[must_use]
pub fn average_rate(count: u64, took: Duration) -> String {
    let nanoseconds = took.max(Duration::from_millis(1)).as_nanos();
    let per_second = u128::from(count) * 1_000_000_000 / nanoseconds;
    rate(u64::try_from(per_second).unwrap_or(u64::MAX))
}

/// A time in its two largest units, rounded down: `23 s`, `1 min 20 s`, `2 h 5 min`, `3 d`.
#[must_use]
pub fn duration(seconds: u64) -> String {
    let largest = DURATION_UNITS.iter().position(|(_, size)| seconds >= *size);
    let Some(largest) = largest else { return "0 s".to_owned() };
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, size) in DURATION_UNITS.iter().skip(largest).take(2) {
        if rest / size > 0 {
            parts.push(format!("{} {unit}", rest / size));
        }
        rest %= size;
    }
    parts.join(" ")
}

/// How long something took: `2.4 s`, and from a minute on as [`duration`].
#[must_use]
pub fn took(time: Duration) -> String {
    let tenths = (time.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        duration(time.as_secs().max(60))
    }
}

/// `1 file`, `3 files`: a count of things whose plural ends with an s.
#[must_use]
pub fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_exact_below_a_kilobyte_and_have_one_decimal_above() {
        let texts = [
            (0, "0 B"),
            (1, "1 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_049, "1.0 kB"),
            (1_050, "1.1 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (33_600_000, "33.6 MB"),
            (600_000_000, "600.0 MB"),
            (1 << 40, "1.1 TB"),
            (u64::MAX, "18.4 EB"),
        ];
        for (count, text) in texts {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn compared_bytes_never_look_the_same_if_they_differ() {
        assert_eq!(compared_bytes(1_400_000, 1_000_000), ("1.4 MB".into(), "1.0 MB".into()));
        assert_eq!(compared_bytes(1_000_001, 1_000_000), ("1000001 B".into(), "1000000 B".into()));
        assert_eq!(compared_bytes(7_000, 7_000), ("7.0 kB".into(), "7.0 kB".into()));
    }

    #[test]
    fn rates_are_sizes_per_second() {
        assert_eq!(rate(10_000_000), "10.0 MB/s");
        assert_eq!(average_rate(33_600_000, Duration::from_secs(2)), "16.8 MB/s");
        assert_eq!(average_rate(5, Duration::ZERO), "5.0 kB/s");
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let texts = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (80, "1 min 20 s"),
            (7_500, "2 h 5 min"),
            (86_400 * 3, "3 d"),
            (86_400 + 60, "1 d"),
        ];
        for (seconds, text) in texts {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn short_times_have_a_decimal_and_long_ones_have_minutes() {
        let text = |milliseconds| took(Duration::from_millis(milliseconds));
        assert_eq!(text(0), "0.0 s");
        assert_eq!(text(2_449), "2.4 s");
        assert_eq!(text(59_949), "59.9 s");
        assert_eq!(text(59_950), "1 min");
        assert_eq!(text(80_500), "1 min 20 s");
    }
}
