//! The direct path of a link: replaces the one before, and is left when the other client is silent on it.

use std::time::Duration;

use quiver_protocol::CloseCode;
use quiver_transport::{Channel, close};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{PeerLink, Peers};

/// When no packet comes over a direct path for this long, although this side has sent some, the link stops using it.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the counts of packets on a direct path are read.
const PATH_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How long transfers have to move from a path before it is closed.
const MOVE_TIMEOUT: Duration = Duration::from_secs(2);

impl Peers {
    /// Makes a direct connection the path of a link, and watches it.
    pub(super) async fn use_direct(&self, link: &PeerLink, channel: Channel) {
        let changed = link.set_direct(channel.clone());
        self.report_path(link, changed).await;
        let replaced = link.clone();
        self.spawn(async move {
            sleep(MOVE_TIMEOUT).await;
            replaced.close_replaced();
        });
        let (peers, served, serving) = (self.clone(), link.clone(), channel.clone());
        self.spawn(async move { peers.serve_channel(served, serving).await });
        let (peers, link) = (self.clone(), link.clone());
        self.spawn(async move { peers.watch_direct(link, channel).await });
    }

    /// Leaves a direct path on which nothing arrives any more, if there is a relay, and closes it unless it recovers.
    async fn watch_direct(&self, link: PeerLink, channel: Channel) {
        let mut silence = PathSilence::default();
        let mut polls = interval(PATH_POLL_INTERVAL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                _ = polls.tick() => {}
                _ = channel.closed() => return,
            }
            let is_silent = silence.update(&channel, Instant::now());
            // Without a relay there is nothing better: the idle timeout ends the path.
            if !is_silent || link.relayed().is_none() {
                continue;
            }
            let changed = link.suspect_direct(&channel);
            self.report_path(&link, changed).await;
            sleep(MOVE_TIMEOUT).await;
            let is_silent = silence.update(&channel, Instant::now());
            if is_silent && link.relayed().is_some() {
                return close(&channel, CloseCode::TimedOut);
            }
            let changed = link.trust_direct(&channel);
            self.report_path(&link, changed).await;
        }
    }
}

/// Whether packets arrive on a path on which this side sends.
#[derive(Debug, Default)]
struct PathSilence {
    received: u64,
    sent: u64,
    /// When the first packet was sent after the last received one.
    unanswered_since: Option<Instant>,
}

impl PathSilence {
    /// Reads the counts of packets. Returns whether nothing has arrived for [`SILENCE_TIMEOUT`].
    fn update(&mut self, channel: &Channel, now: Instant) -> bool {
        let statistics = channel.stats();
        self.count(statistics.udp_rx.datagrams, statistics.udp_tx.datagrams, now)
    }

    fn count(&mut self, received: u64, sent: u64, now: Instant) -> bool {
        if received != self.received {
            self.unanswered_since = None;
        } else if sent != self.sent {
            self.unanswered_since.get_or_insert(now);
        }
        (self.received, self.sent) = (received, sent);
        self.unanswered_since.is_some_and(|since| now.duration_since(since) >= SILENCE_TIMEOUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_silent_if_nothing_arrives_for_three_seconds_after_a_packet_was_sent() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut silence = PathSilence::default();
        assert!(!silence.count(5, 5, at(0)));
        // Nothing was sent.
        assert!(!silence.count(5, 5, at(10)));
        assert!(!silence.count(5, 6, at(11)));
        assert!(!silence.count(5, 7, at(13)));
        assert!(silence.count(5, 7, at(14)));
        // It recovers.
        assert!(!silence.count(6, 7, at(15)));
        assert!(!silence.count(6, 8, at(16)));
        assert!(silence.count(6, 9, at(19)));
    }
}
