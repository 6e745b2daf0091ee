//! What a client has measured, as a line of text, and the medians and percentiles of many reports.

use std::fmt;
use std::str::FromStr;

use crate::Failure;

/// What runs beside the relayed content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Nothing.
    Content,
    /// Small requests of both clients to the server, and messages to the peer.
    Requests,
    /// The receiver gets content from the server.
    Get,
}

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::Content, Self::Requests, Self::Get];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Requests => "requests",
            Self::Get => "get",
        }
    }
}

impl FromStr for Load {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let load = Self::ALL.into_iter().find(|load| load.name() == text);
        load.ok_or_else(|| format!("unknown load {text}").into())
    }
}

/// Rates in MB/s, and round trips in microseconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) rate: Option<f64>,
    pub(crate) get: Option<f64>,
    pub(crate) sender_requests: Vec<u128>,
    pub(crate) receiver_requests: Vec<u128>,
    pub(crate) messages: Vec<u128>,
    pub(crate) note: String,
    /// Processor time of all processes in seconds a GB of relayed content. Not in the line of text.
    pub(crate) processor_time: f64,
}

impl Report {
    /// Adds what the other client has measured.
    pub(crate) fn merge(&mut self, other: Self) {
        self.rate = self.rate.or(other.rate);
        self.get = self.get.or(other.get);
        self.sender_requests.extend(other.sender_requests);
        self.receiver_requests.extend(other.receiver_requests);
        self.messages.extend(other.messages);
        self.note.push_str(&other.note);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |numbers: &[u128]| numbers.iter().map(u128::to_string).collect::<Vec<_>>().join(",");
        let number = |rate: Option<f64>| rate.map(|rate| rate.to_string()).unwrap_or_default();
        write!(
            formatter,
            "{};{};{};{};{};{}",
            number(self.rate),
            number(self.get),
            list(&self.sender_requests),
            list(&self.receiver_requests),
            list(&self.messages),
            self.note
        )
    }
}

impl FromStr for Report {
    type Err = Failure;

    fn from_str(line: &str) -> Result<Self, Failure> {
        let fields: Vec<&str> = line.trim().split(';').collect();
        let [rate, get, sender, receiver, messages, note] = fields[..] else {
            return Err(format!("not a report: {line}").into());
        };
        let list = |text: &str| -> Result<Vec<u128>, Failure> {
            text.split(',').filter(|item| !item.is_empty()).map(|item| Ok(item.parse()?)).collect()
        };
        Ok(Self {
            rate: rate.parse().ok(),
            get: get.parse().ok(),
            sender_requests: list(sender)?,
            receiver_requests: list(receiver)?,
            messages: list(messages)?,
            note: note.to_owned(),
            processor_time: f64::NAN,
        })
    }
}

/// The median.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The median and the 99th percentile of round trips, in milliseconds.
pub(crate) fn percentiles(mut round_trips: Vec<u128>) -> String {
    round_trips.sort_unstable();
    let at = |percent| round_trips.get((round_trips.len().saturating_sub(1)) * percent / 100);
    match (at(50), at(99)) {
        (Some(&median), Some(&high)) => {
            format!("{:.2} / {:.2}", median as f64 / 1e3, high as f64 / 1e3)
        }
        _ => "-".to_owned(),
    }
}
