//! What a path does to packets, in each direction. Knows neither packets nor time.

use std::time::Duration;

/// A direction of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ToServer => "to_server",
            Self::ToClient => "to_client",
        }
    }
}

/// What one direction of a path does to packets. A packet passes, in this order: silence, random loss, bursty loss, the
/// queue, the link with its rate, and the delay with jitter and reordering. Lost packets take no time of the link.
///
/// The default changes nothing: no limits, no delay, no loss.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LinkSettings {
    /// In bit/s of IP packets with their headers, at least 1. `None`: no limit.
    pub rate: Option<u64>,
    /// From the end of a packet's transmission to its delivery.
    pub delay: Duration,
    /// Bytes that may wait for the link, without the packet in transmission; a packet that exceeds them is dropped
    /// (drop tail). `None`: no limit.
    pub queue: Option<u64>,
    /// The share of packets lost independently of each other (Bernoulli), from 0 to 1.
    pub random_loss: f64,
    /// Losses in bursts.
    pub burst_loss: Option<BurstLoss>,
    /// Packets that overtake others or are overtaken.
    pub reordering: Option<Reordering>,
    /// A random part of the delay.
    pub jitter: Option<Jitter>,
    /// Every packet is dropped that arrives from now on; those in the queue and in transmission are still delivered.
    pub is_silent: bool,
}

/// Losses in bursts: the Gilbert model, which is Gilbert and Elliott's with no loss in the good state and no delivery in
/// the bad one. Both states change from packet to packet (Gilbert 1960, Elliott 1963).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurstLoss {
    /// The mean share of packets lost, above 0 and below 1.
    pub mean_loss: f64,
    /// The mean number of packets lost in a row, at least 1 / (1 - `mean_loss`), so that both states can change.
    pub mean_length: f64,
}

/// Packets that are delivered out of order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reordering {
    /// The share of packets concerned, from 0 to 1.
    pub share: f64,
    /// By how much their delay differs.
    pub by: Duration,
    /// Whether they are early, at most by the whole delay, or late.
    pub is_early: bool,
}

/// A random part of the delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter {
    /// The delay is longer by up to this, evenly distributed.
    pub up_to: Duration,
    /// A packet waits for those before it, so that none overtakes another.
    pub keeps_order: bool,
}

impl LinkSettings {
    /// A link with a rate in bit/s, a delay and a queue in bytes, without loss.
    #[must_use]
    pub fn new(rate: u64, delay: Duration, queue: u64) -> Self {
        Self { rate: Some(rate), delay, queue: Some(queue), ..Self::default() }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Which setting is out of its range.
    pub fn check(&self) -> Result<(), &'static str> {
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        if self.rate == Some(0) {
            return Err("the rate is 0; for silence, drop all packets");
        }
        if !is_share(self.random_loss) {
            return Err("the random loss is no share from 0 to 1");
        }
        if let Some(BurstLoss { mean_loss, mean_length }) = self.burst_loss {
            if !(mean_loss > 0.0 && mean_loss < 1.0) {
                return Err("the bursty loss is no share above 0 and below 1");
            }
            if mean_length.is_nan()
                || mean_length * (1.0 - mean_loss) < mean_loss.max(1.0 - mean_loss)
            {
                return Err("the bursts are too short for their loss");
            }
        }
        if self.reordering.is_some_and(|reordering| !is_share(reordering.share)) {
            return Err("the reordered packets are no share from 0 to 1");
        }
        Ok(())
    }
}

/// A path between a client and a server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathSettings {
    /// From the client to the server.
    pub to_server: LinkSettings,
    /// From the server to the client.
    pub to_client: LinkSettings,
    /// The largest IP packet in bytes, from 576 on.
    pub mtu: u32,
    /// The same seed loses and reorders the same packets of the same sequence.
    pub seed: u64,
}

impl PathSettings {
    /// The same in both directions, with the MTU of an Ethernet.
    #[must_use]
    pub fn symmetric(link: LinkSettings) -> Self {
        Self { to_server: link, to_client: link, mtu: 1500, seed: 1 }
    }

    /// The settings of one direction.
    #[must_use]
    pub fn link(&self, direction: Direction) -> &LinkSettings {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_their_range_are_refused() {
        let default = LinkSettings::default();
        assert_eq!(default.check(), Ok(()));
        let burst = |mean_loss, mean_length| LinkSettings {
            burst_loss: Some(BurstLoss { mean_loss, mean_length }),
            ..default
        };
        assert_eq!(burst(0.02, 5.0).check(), Ok(()));
        assert_eq!(burst(0.5, 2.0).check(), Ok(()));
        let reordering = Reordering { share: 1.5, by: Duration::ZERO, is_early: false };
        for refused in [
            LinkSettings { rate: Some(0), ..default },
            LinkSettings { random_loss: 1.1, ..default },
            LinkSettings { random_loss: f64::NAN, ..default },
            burst(0.0, 5.0),
            burst(0.02, 0.5),
            burst(0.9, 2.0),
            LinkSettings { reordering: Some(reordering), ..default },
        ] {
            assert!(refused.check().is_err(), "{refused:?}");
        }
    }
}
