//! What one direction of a path has carried and dropped, and why.

use std::time::Duration;

use serde_json::{Value, json};

/// A delivery that is late by more than this counts as late.
pub(crate) const TOLERANCE: Duration = Duration::from_millis(1);

/// Why a packet was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DropCause {
    /// Silence.
    Silence,
    /// Random loss.
    Random,
    /// A burst of losses.
    Burst,
    /// The queue was full.
    Queue,
}

/// What one direction of a path has carried and dropped. Packets in = packets out + dropped + those still in the queue
/// and in transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Packets that have arrived.
    pub packets_in: u64,
    /// Their bytes, with their headers from IP's on.
    pub bytes_in: u64,
    /// Packets delivered.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Packets dropped by random loss.
    pub lost_random: u64,
    /// Packets dropped in bursts.
    pub lost_burst: u64,
    /// Packets dropped because the queue was full.
    pub dropped_queue: u64,
    /// Packets dropped by silence.
    pub dropped_silence: u64,
    /// Packets that the receiving interface refused, because it was down.
    pub refused: u64,
    /// Bytes that wait for the link now.
    pub queue: u64,
    /// The most that have waited.
    pub largest_queue: u64,
    /// By how much the latest delivery was later than the settings ask for: the error of the emulator itself.
    pub largest_lateness: Duration,
    /// Packets that were late by more than 1 ms. With many of them, the machine was too busy, and a measurement is void.
    pub late: u64,
}

impl LinkCounters {
    /// Forgets the largest values.
    pub(crate) fn restart_peaks(&mut self) {
        self.largest_queue = self.queue;
        self.largest_lateness = Duration::ZERO;
    }

    pub(crate) fn count_arrival(&mut self, size: u64) {
        self.packets_in += 1;
        self.bytes_in += size;
    }

    pub(crate) fn count_drop(&mut self, cause: DropCause) {
        match cause {
            DropCause::Silence => self.dropped_silence += 1,
            DropCause::Random => self.lost_random += 1,
            DropCause::Burst => self.lost_burst += 1,
            DropCause::Queue => self.dropped_queue += 1,
        }
    }

    pub(crate) fn count_delivery(&mut self, size: u64, lateness: Duration) {
        self.packets_out += 1;
        self.bytes_out += size;
        self.largest_lateness = self.largest_lateness.max(lateness);
        self.late += u64::from(lateness > TOLERANCE);
    }

    /// All packets dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lost_random + self.lost_burst + self.dropped_queue + self.dropped_silence
    }

    /// Packets in the queue and in transmission.
    #[must_use]
    pub fn in_transit(&self) -> u64 {
        self.packets_in - self.packets_out - self.dropped()
    }

    /// The share of packets that the queue dropped: losses that the path itself would not have had.
    #[must_use]
    pub fn queue_loss(&self) -> f64 {
        if self.packets_in == 0 { 0.0 } else { self.dropped_queue as f64 / self.packets_in as f64 }
    }

    /// The counters since an earlier state. The largest values are those since they were restarted.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            packets_in: self.packets_in - earlier.packets_in,
            bytes_in: self.bytes_in - earlier.bytes_in,
            packets_out: self.packets_out - earlier.packets_out,
            bytes_out: self.bytes_out - earlier.bytes_out,
            lost_random: self.lost_random - earlier.lost_random,
            lost_burst: self.lost_burst - earlier.lost_burst,
            dropped_queue: self.dropped_queue - earlier.dropped_queue,
            dropped_silence: self.dropped_silence - earlier.dropped_silence,
            refused: self.refused - earlier.refused,
            late: self.late - earlier.late,
            ..*self
        }
    }

    /// As JSON; durations in microseconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "packets_in": self.packets_in,
            "bytes_in": self.bytes_in,
            "packets_out": self.packets_out,
            "bytes_out": self.bytes_out,
            "lost_random": self.lost_random,
            "lost_burst": self.lost_burst,
            "dropped_queue": self.dropped_queue,
            "dropped_silence": self.dropped_silence,
            "refused": self.refused,
            "queue_bytes": self.queue,
            "largest_queue_bytes": self.largest_queue,
            "largest_lateness_us": self.largest_lateness.as_micros() as u64,
            "late_packets": self.late,
        })
    }
}
