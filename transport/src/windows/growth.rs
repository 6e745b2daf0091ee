//! Decides how large the windows of one connection are, from what it moves. No clocks, connections
//! or budgets in here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::role::SHORT_PATH;

/// The receive window is this many times what was read within the last round trip. A sender whose start-up quadruples its
/// rate each round trip needs 4. A sender that doubles it needs 2 (dynamic right-sizing, Fisk and Feng, 2001; the function
/// `tcp_rcv_space_adjust` of Linux doubles the window too). The sender uses the rest while a lost packet is sent again: 3.6
/// round trips pass from its first sending to new credit, if the start-up has queued four fifths of a round trip.
const READ_FACTOR: u64 = 4;

/// Added to the receive window, for the first bytes of further streams.
const HEADROOM: u64 = 512 * 1024;

/// The send window in halves of the congestion window: 2.5 of them. What QUIC keeps for the other
/// side is what was sent since the oldest packet that is not acknowledged: two round trips' worth if that is a lost one.
const CONGESTION_WINDOW_HALVES: u64 = 5;

/// The same where retransmissions are lost too: each costs another round trip. With 2.5 congestion windows, a path of 200 Mbit/s and
/// 100 ms that loses 1 % was idle for a third of a round trip after each of them, 3 % of the time.
const LOSSY_CONGESTION_WINDOW_HALVES: u64 = 9;

/// Retransmissions are lost if that is expected at least once in so many round trips.
const RETRANSMISSION_LOSS_ROUND_TRIPS: u64 = 100;

/// The lost packets that may be missing at once in what was sent and is not acknowledged. Each is
/// a gap at the receiver, and quinn ends a connection with more than 1024 gaps in a stream; half of
/// them, because losses come in clusters.
const MAX_GAPS: u64 = 512;

/// Samples are kept for a round trip, and for at most so long: the other side can make round trips as long as it likes, with
/// acknowledgements that it holds back.
const LONGEST_HISTORY: Duration = Duration::from_secs(10);

/// The least of which loss is measured: fewer packets say nothing about a rate.
const MIN_LOSS_SAMPLE: u64 = 200;

/// Content is not read for so many round trips, and at least for so long: then its reader waits, as
/// for a disk. A lost packet delays reading for 1.25 round trips, or 2.5 if it is lost again.
const STALL_ROUND_TRIPS: u32 = 4;
const MIN_STALL: Duration = Duration::from_millis(250);

/// At most for so long, whatever the round trip: messages wait for this at first.
const MAX_STALL: Duration = Duration::from_secs(1);

/// Bytes by which the receive window grows each time the sender reports that it is blocked
/// (DATA_BLOCKED; RFC 9000, 19.12) while content is not read. Enough for a message.
pub(crate) const RESERVE_STEP: u64 = 2 * 1024;

/// What these steps may sum up to for a connection whose content is not read: with the pace of
/// content in such a connection ([`crate::priority`]), control traffic passes for minutes.
pub(crate) const RESERVE_LIMIT: u64 = 1024 * 1024;

/// What is known of a connection at one moment. Counters count since the connection started.
#[derive(Debug, Clone, Copy)]
pub(super) struct PathSample {
    pub(super) now: Instant,
    pub(super) round_trip: Duration,
    pub(super) congestion_window: u64,
    pub(super) mtu: u64,
    pub(super) sent_packets: u64,
    pub(super) lost_packets: u64,
    /// Bytes of content that the application has read.
    pub(super) content_read: u64,
    /// Bytes of content that QUIC has taken from the application.
    pub(super) content_written: u64,
    /// How often the other side has reported that this side's receive window blocks it.
    pub(super) blocked_reports: u64,
    /// Bytes of content that are still to be read; `None` if that is not known.
    pub(super) content_remaining: Option<u64>,
    pub(super) is_receiving: bool,
    /// Whether this side sends content, or has sent some that is not acknowledged yet.
    pub(super) is_sending: bool,
}

/// The windows of the connection's role, and how far they may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) base_receive: u64,
    pub(super) base_send: u64,
    /// The largest value of either window.
    pub(super) largest: u64,
}

/// How far the windows are above those of the role, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Growth {
    pub(super) receive: u64,
    pub(super) send: u64,
}

/// The windows of one connection.
#[derive(Debug)]
pub(super) struct WindowSizes {
    bounds: Bounds,
    growth: Growth,
    /// Bytes that the sender may still use although the receive window is smaller now: QUIC cannot
    /// take credit back, so that many bytes must be read first, which grant no further credit.
    unpaid: u64,
    unpaid_send: UnpaidSend,
    reserve: Reserve,
    history: VecDeque<PathSample>,
}

/// Bytes that may still be in memory although the send window is smaller now. QUIC keeps what it has taken until it is
/// acknowledged, and takes no more content before less than the present window is left.
#[derive(Debug, Default)]
struct UnpaidSend {
    bytes: u64,
    /// What had been written when the window became smaller: more than that pays for everything.
    written: u64,
}

/// The part of the receive window for control traffic beside content that is not read.
#[derive(Debug, Default)]
struct Reserve {
    granted: u64,
    unpaid: u64,
    blocked_reports: u64,
    /// Whether the sender has been blocked since it was last granted anything.
    is_blocked: bool,
    /// When content was last read; `None` before the first sample.
    read_at: Option<Instant>,
}

impl WindowSizes {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            growth: Growth::default(),
            unpaid: 0,
            unpaid_send: UnpaidSend::default(),
            reserve: Reserve::default(),
            history: VecDeque::new(),
        }
    }

    /// The receive window now.
    pub(super) fn receive(&self) -> u64 {
        self.bounds.base_receive + self.growth.receive + self.reserve.granted
    }

    /// The send window now.
    pub(super) fn send(&self) -> u64 {
        self.bounds.base_send + self.growth.send
    }

    /// The bytes that must be reserved for the windows as they are now.
    pub(super) fn reservation(&self) -> u64 {
        self.reservation_of(self.growth)
    }

    /// Whether memory of the send window is reserved.
    pub(super) fn has_send_reservation(&self) -> bool {
        self.growth.send + self.unpaid_send.bytes > 0
    }

    /// The send window is in force as it is now, and so much content had been written by then.
    pub(super) fn note_send_window(&mut self, content_written: u64) {
        self.unpaid_send.written = content_written;
    }

    /// Records a sample, and returns the growth that the connection can use.
    pub(super) fn record(&mut self, sample: PathSample) -> Growth {
        let read = self.history.back().map_or(0, |last| sample.content_read - last.content_read);
        self.unpaid = self.unpaid.saturating_sub(read);
        if sample.content_written > self.unpaid_send.written || !sample.is_sending {
            self.unpaid_send.bytes = 0;
        }
        self.reserve.update(&sample, read);
        self.history.push_back(sample);
        let round_trip = sample.round_trip.min(LONGEST_HISTORY);
        while self.history.len() > 2 && sample.now.duration_since(self.history[1].now) >= round_trip
        {
            self.history.pop_front();
        }
        if sample.round_trip < SHORT_PATH {
            return Growth::default();
        }
        Growth { receive: self.wanted_receive(&sample), send: self.wanted_send(&sample) }
    }

    /// The bytes that must be reserved for a growth.
    pub(super) fn reservation_of(&self, growth: Growth) -> u64 {
        growth.receive + self.unpaid + growth.send + self.unpaid_send.bytes
    }

    /// Changes the windows to `wanted`, or as near to it as `reserved` bytes allow.
    pub(super) fn apply(&mut self, wanted: Growth, reserved: u64) {
        let available = reserved.saturating_sub(self.unpaid + self.unpaid_send.bytes);
        let total = wanted.receive + wanted.send;
        let share = |part: u64| {
            if total <= available {
                part
            } else {
                (u128::from(part) * u128::from(available) / u128::from(total)) as u64
            }
        };
        let before = self.growth;
        // What one window gives up is not free for the other one before it is paid.
        let bounded = |share: u64, before: u64, other: u64| {
            if share > before {
                share.min(available.saturating_sub(other).max(before))
            } else {
                share
            }
        };
        let receive = share(wanted.receive);
        let send = bounded(share(wanted.send), before.send, before.receive.max(receive));
        let mut receive = bounded(receive, before.receive, before.send.max(send));
        // A further reduction would not free anything before the last one is paid.
        if receive < before.receive && self.unpaid > 0 && wanted.receive >= before.receive {
            receive = before.receive;
        }
        self.unpaid += before.receive.saturating_sub(receive);
        if self.history.back().is_some_and(|sample| sample.is_sending) {
            self.unpaid_send.bytes += before.send.saturating_sub(send);
        }
        self.growth = Growth { receive, send };
    }

    fn wanted_receive(&self, sample: &PathSample) -> u64 {
        if !sample.is_receiving {
            return 0;
        }
        let Bounds { base_receive, largest, .. } = self.bounds;
        let before = self.history.front().map_or(0, |oldest| oldest.content_read);
        let read = sample.content_read - before;
        let window = (READ_FACTOR * read + HEADROOM).min(largest);
        let wanted = window.saturating_sub(base_receive).max(self.growth.receive);
        // The last bytes need no further credit, so reading them pays for a smaller window.
        let needed = sample.content_remaining.unwrap_or(u64::MAX).saturating_sub(base_receive);
        wanted.min(needed)
    }

    fn wanted_send(&self, sample: &PathSample) -> u64 {
        if !sample.is_sending {
            return 0;
        }
        let halves = if self.loses_retransmissions(sample) {
            LOSSY_CONGESTION_WINDOW_HALVES
        } else {
            CONGESTION_WINDOW_HALVES
        };
        let followed = sample.congestion_window.saturating_mul(halves) / 2;
        // A window that follows each reduction at once would block writers until its recovery.
        let before = self.send();
        let window = followed.max(before - before / 64);
        let bound = self.bounds.largest.min(self.loss_bound(sample));
        window.min(bound).saturating_sub(self.bounds.base_send)
    }

    /// Packets that were sent and lost within the last round trip; `None` if they are too few to measure loss.
    fn recent_packets(&self, sample: &PathSample) -> Option<(u64, u64)> {
        let oldest = self.history.front()?;
        let sent = sample.sent_packets - oldest.sent_packets;
        let lost = sample.lost_packets - oldest.lost_packets;
        (sent >= MIN_LOSS_SAMPLE).then_some((sent, lost))
    }

    /// Whether so many packets are lost that their retransmissions are lost too: of `lost` retransmissions, each with a
    /// probability of `lost / sent`.
    fn loses_retransmissions(&self, sample: &PathSample) -> bool {
        self.recent_packets(sample).is_some_and(|(sent, lost)| {
            lost.saturating_mul(lost).saturating_mul(RETRANSMISSION_LOSS_ROUND_TRIPS) >= sent
        })
    }

    /// The bytes of which so few are lost that they are not too many gaps. Never less than the
    /// bytes in which every other packet may be missing.
    fn loss_bound(&self, sample: &PathSample) -> u64 {
        match self.recent_packets(sample) {
            None | Some((_, 0)) => u64::MAX,
            Some((sent, lost)) => {
                let always_safe = 2 * MAX_GAPS * sample.mtu;
                (MAX_GAPS * sample.mtu * sent / lost).max(always_safe)
            }
        }
    }
}

impl Reserve {
    fn update(&mut self, sample: &PathSample, read: u64) {
        self.unpaid = self.unpaid.saturating_sub(read);
        self.is_blocked |= sample.blocked_reports > self.blocked_reports;
        self.blocked_reports = sample.blocked_reports;
        let read_at = *self.read_at.get_or_insert(sample.now);
        if read > 0 {
            self.read_at = Some(sample.now);
            // What is read pays for the reserve, which is free for the next time.
            let reduction = read.min(self.granted);
            self.granted -= reduction;
            self.unpaid += reduction;
        }
        if !self.is_blocked || !sample.is_receiving {
            return;
        }
        let stall = (STALL_ROUND_TRIPS * sample.round_trip).clamp(MIN_STALL, MAX_STALL);
        let is_stalled = sample.now.duration_since(read_at) >= stall;
        let step = match (read > 0, is_stalled) {
            // QUIC announces what was read once it is an eighth of the window, or if the window grows.
            (true, _) => 1,
            (false, true) => RESERVE_STEP,
            (false, false) => return,
        };
        if self.granted + self.unpaid + step <= RESERVE_LIMIT {
            self.granted += step;
            self.is_blocked = false;
        }
    }
}

#[cfg(test)]
mod tests;
