//! Settings of a link as a person types them: `rate=200mbit`, `delay=50ms`, `queue=1bdp`, `burst-loss=2%:5`.

use std::time::Duration;

use super::settings::{BurstLoss, Jitter, LinkSettings, Reordering};

impl LinkSettings {
    /// Changes one setting.
    ///
    /// | name | value |
    /// |---|---|
    /// | `rate` | bit/s with `kbit`, `mbit` or `gbit`; `none` |
    /// | `delay` | one way, with `us`, `ms` or `s` |
    /// | `queue` | bytes with `B`, `kB` or `MB`; time at the rate, as `300ms`; `bdp`, one bandwidth-delay product (rate times twice the delay); `none` |
    /// | `loss` | share with `%` |
    /// | `burst-loss` | share, colon, mean number of packets in a row; `none` |
    /// | `jitter` | time, and `:reorder` if packets may overtake others; `none` |
    /// | `reorder` | share, colon, time by which packets are late, or early if it starts with `-`; `none` |
    /// | `silence` | `on` or `off` |
    ///
    /// # Errors
    /// What is wrong with the name or the value.
    pub fn apply(&mut self, name: &str, value: &str) -> Result<(), String> {
        let is_none = value == "none";
        match name {
            "rate" if is_none => self.rate = None,
            "rate" => self.rate = Some(parse_rate(value)?),
            "delay" => self.delay = parse_duration(value)?,
            "queue" if is_none => self.queue = None,
            "queue" => self.queue = Some(self.parse_queue(value)?),
            "loss" => self.random_loss = parse_share(value)?,
            "burst-loss" if is_none => self.burst_loss = None,
            "burst-loss" => self.burst_loss = Some(parse_burst_loss(value)?),
            "jitter" if is_none => self.jitter = None,
            "jitter" => self.jitter = Some(parse_jitter(value)?),
            "reorder" if is_none => self.reordering = None,
            "reorder" => self.reordering = Some(parse_reordering(value)?),
            "silence" => self.is_silent = parse_switch(value)?,
            _ => return Err(format!("there is no setting {name:?}")),
        }
        self.check().map_err(str::to_owned)
    }

    /// Rate times twice the delay, in bytes. `None` without a rate.
    #[must_use]
    pub fn bandwidth_delay_product(&self) -> Option<u64> {
        self.bytes_within(2 * self.delay)
    }

    /// The bytes that the link transmits in this time. `None` without a rate.
    #[must_use]
    pub fn bytes_within(&self, time: Duration) -> Option<u64> {
        Some((self.rate? as f64 / 8.0 * time.as_secs_f64()) as u64)
    }

    fn parse_queue(&self, value: &str) -> Result<u64, String> {
        let missing_rate = || format!("a queue of {value} takes a rate");
        if let Some(factor) = value.strip_suffix("bdp") {
            let product = self.bandwidth_delay_product().ok_or_else(missing_rate)?;
            return Ok((parse_number(factor)? * product as f64) as u64);
        }
        if let Ok(time) = parse_duration(value) {
            return self.bytes_within(time).ok_or_else(missing_rate);
        }
        Ok(parse_unit(value, &[("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("B", 1.0)])? as u64)
    }
}

/// A rate in bit/s.
fn parse_rate(value: &str) -> Result<u64, String> {
    let units = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];
    Ok(parse_unit(value, &units)? as u64)
}

/// A duration such as `1.5ms`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_duration(value: &str) -> Result<Duration, String> {
    let seconds = parse_unit(value, &[("us", 1e-6), ("ms", 1e-3), ("s", 1.0)])?;
    Duration::try_from_secs_f64(seconds).map_err(|error| format!("{value}: {error}"))
}

fn parse_share(value: &str) -> Result<f64, String> {
    parse_unit(value, &[("%", 0.01)])
}

fn parse_burst_loss(value: &str) -> Result<BurstLoss, String> {
    let (loss, length) = parse_pair(value, "the mean number of packets lost in a row")?;
    Ok(BurstLoss { mean_loss: parse_share(loss)?, mean_length: parse_number(length)? })
}

fn parse_jitter(value: &str) -> Result<Jitter, String> {
    let (time, keeps_order) = match value.strip_suffix(":reorder") {
        Some(time) => (time, false),
        None => (value, true),
    };
    Ok(Jitter { up_to: parse_duration(time)?, keeps_order })
}

fn parse_reordering(value: &str) -> Result<Reordering, String> {
    let (share, time) = parse_pair(value, "a time")?;
    let (time, is_early) = match time.strip_prefix('-') {
        Some(time) => (time, true),
        None => (time, false),
    };
    Ok(Reordering { share: parse_share(share)?, by: parse_duration(time)?, is_early })
}

fn parse_switch(value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{value}: neither on nor off")),
    }
}

fn parse_pair<'a>(value: &'a str, second: &str) -> Result<(&'a str, &'a str), String> {
    value.split_once(':').ok_or_else(|| format!("{value}: {second} is missing after a colon"))
}

/// A number with one of these units. The first unit that fits counts, so one that ends as another one comes first.
fn parse_unit(value: &str, units: &[(&str, f64)]) -> Result<f64, String> {
    let found = units.iter().find_map(|(unit, factor)| Some((value.strip_suffix(unit)?, factor)));
    let Some((number, factor)) = found else {
        let names: Vec<_> = units.iter().map(|(unit, _)| *unit).collect();
        return Err(format!("{value}: the unit is missing: {}", names.join(", ")));
    };
    Ok(parse_number(number)? * factor)
}

/// A number of at least 0. Nothing before a unit is 1.
fn parse_number(value: &str) -> Result<f64, String> {
    if value.is_empty() {
        return Ok(1.0);
    }
    let number: f64 = value.parse().map_err(|_| format!("{value}: no number"))?;
    if number >= 0.0 && number.is_finite() { Ok(number) } else { Err(format!("{value}: below 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &str) -> Result<LinkSettings, String> {
        let mut settings = LinkSettings::default();
        for word in words.split_whitespace() {
            let (name, value) = word.split_once('=').unwrap();
            settings.apply(name, value)?;
        }
        Ok(settings)
    }

    #[test]
    fn all_settings_are_read() {
        let words = "rate=200mbit delay=50ms queue=2.5MB loss=0.1% burst-loss=2%:5 jitter=1.5ms \
                     reorder=1%:-10ms silence=on";
        let expected = LinkSettings {
            random_loss: 0.001,
            burst_loss: Some(BurstLoss { mean_loss: 0.02, mean_length: 5.0 }),
            jitter: Some(Jitter { up_to: Duration::from_micros(1500), keeps_order: true }),
            reordering: Some(Reordering {
                share: 0.01,
                by: Duration::from_millis(10),
                is_early: true,
            }),
            is_silent: true,
            ..LinkSettings::new(200_000_000, Duration::from_millis(50), 2_500_000)
        };
        assert_eq!(settings(words), Ok(expected));
        let lifted = "rate=none queue=none burst-loss=none jitter=none reorder=none silence=off";
        let delay = Duration::from_millis(50);
        let expected = LinkSettings { delay, random_loss: 0.001, ..LinkSettings::default() };
        assert_eq!(settings(&format!("{words} {lifted}")), Ok(expected));
        let jitter = settings("jitter=2s:reorder").unwrap().jitter.unwrap();
        assert_eq!(jitter, Jitter { up_to: Duration::from_secs(2), keeps_order: false });
        assert!(!settings("reorder=1%:10ms").unwrap().reordering.unwrap().is_early);
    }

    #[test]
    fn a_queue_has_a_size_a_time_or_a_share_of_the_path() {
        let queue = |value| settings(&format!("rate=20mbit delay=20ms queue={value}"));
        for (value, bytes) in [
            ("bdp", 100_000),
            ("0.25bdp", 25_000),
            ("4bdp", 400_000),
            ("300ms", 750_000),
            ("64kB", 64_000),
            ("9B", 9),
        ] {
            assert_eq!(queue(value).unwrap().queue, Some(bytes), "{value}");
        }
        assert!(settings("queue=bdp").is_err());
        assert!(settings("queue=300ms").is_err());
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in [
            "rate=200",
            "rate=0bit",
            "rate=-1mbit",
            "delay=5",
            "loss=0.5",
            "loss=101%",
            "burst-loss=2%",
            "reorder=1%",
            "silence=1",
            "speed=3",
            "queue=3",
            "delay=infs",
        ] {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }
}
