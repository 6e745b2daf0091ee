//! What limited a transfer, combined from the reports of both ends, and its text: the same for
//! every command, at both ends.

use std::time::Duration;

use quiver_protocol::Bottleneck;

use crate::timings::MIN_MEASURED;

/// What limited a transfer, as seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferBottleneck {
    /// A resource of this end.
    Local(Bottleneck),
    /// A resource of the other end.
    Remote(Bottleneck),
    /// Each end waited for the other.
    Network,
    /// This end waited for the other end, which does not report its bottleneck.
    NetworkOrRemote,
}

impl TransferBottleneck {
    /// Combines the bottlenecks of this end and of the other end. `None` if they give no verdict.
    #[must_use]
    pub fn combine(local: Option<Bottleneck>, remote: Option<Bottleneck>) -> Option<Self> {
        let is_own = |bottleneck: &Bottleneck| {
            !matches!(bottleneck, Bottleneck::Network | Bottleneck::Unknown)
        };
        match (local, remote) {
            (Some(local), _) if is_own(&local) => Some(Self::Local(local)),
            (_, Some(remote)) if is_own(&remote) => Some(Self::Remote(remote)),
            (Some(Bottleneck::Network), Some(Bottleneck::Network)) => Some(Self::Network),
            (Some(Bottleneck::Network), _) => Some(Self::NetworkOrRemote),
            _ => None,
        }
    }

    /// Like [`combine`](Self::combine), at the sender. `local` describes only the first
    /// `send_duration` of the `total` duration, until all content was sent; after that the sender
    /// waited for the receiver.
    #[must_use]
    pub fn combine_at_sender(
        local: Option<Bottleneck>,
        send_duration: Duration,
        total: Duration,
        remote: Option<Bottleneck>,
    ) -> Option<Self> {
        let waited = total >= MIN_MEASURED && total.saturating_sub(send_duration) >= total / 2;
        Self::combine(if waited { Some(Bottleneck::Network) } else { local }, remote)
    }

    /// Text for people, with `other` as the name of the other end: `this disk`, `the sender's
    /// processor`, `the network`.
    #[must_use]
    pub fn describe(self, other: &str) -> String {
        match self {
            Self::Local(Bottleneck::Limit) => "--limit".to_owned(),
            Self::Local(bottleneck) => format!("this {}", resource_name(bottleneck)),
            Self::Remote(bottleneck) => format!("the {other}'s {}", resource_name(bottleneck)),
            Self::Network => "the network".to_owned(),
            Self::NetworkOrRemote => format!("the network or the {other}"),
        }
    }

    /// Code for programs: `this_disk`, `sender_processor`, `network`, `network_or_sender`.
    #[must_use]
    pub fn code(self, other: &str) -> String {
        match self {
            Self::Local(Bottleneck::Limit) => "limit".to_owned(),
            Self::Local(bottleneck) => format!("this_{}", resource_name(bottleneck)),
            Self::Remote(bottleneck) => format!("{other}_{}", resource_name(bottleneck)),
            Self::Network => "network".to_owned(),
            Self::NetworkOrRemote => format!("network_or_{other}"),
        }
    }
}

fn resource_name(bottleneck: Bottleneck) -> &'static str {
    match bottleneck {
        Bottleneck::Disk => "disk",
        Bottleneck::Processor => "processor",
        Bottleneck::Pipe => "pipe",
        Bottleneck::Limit => "limit",
        Bottleneck::Network | Bottleneck::Unknown => "network",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reports_of_both_ends_give_one_verdict() {
        use Bottleneck::{Disk, Limit, Network, Processor, Unknown};
        for (local, remote, text, code) in [
            (Some(Disk), Some(Network), "this disk", "this_disk"),
            (Some(Processor), Some(Processor), "this processor", "this_processor"),
            (Some(Limit), None, "--limit", "limit"),
            (Some(Network), Some(Disk), "the sender's disk", "sender_disk"),
            (None, Some(Processor), "the sender's processor", "sender_processor"),
            (Some(Network), Some(Network), "the network", "network"),
            (Some(Network), None, "the network or the sender", "network_or_sender"),
            (Some(Network), Some(Unknown), "the network or the sender", "network_or_sender"),
        ] {
            let verdict = TransferBottleneck::combine(local, remote).unwrap();
            assert_eq!(verdict.describe("sender"), text);
            assert_eq!(verdict.code("sender"), code);
        }
        for remote in [None, Some(Network), Some(Unknown)] {
            assert_eq!(TransferBottleneck::combine(None, remote), None);
        }
    }

    #[test]
    fn a_sender_that_has_sent_everything_waited_for_the_receiver() {
        let (busy, disk) = (Some(Bottleneck::Processor), Some(Bottleneck::Disk));
        let after = |millis| {
            let sent = Duration::from_millis(100);
            TransferBottleneck::combine_at_sender(busy, sent, Duration::from_millis(millis), disk)
        };
        assert_eq!(after(150), Some(TransferBottleneck::Local(Bottleneck::Processor)));
        assert_eq!(after(200), Some(TransferBottleneck::Remote(Bottleneck::Disk)));
        let soon = Duration::from_millis(99);
        assert_eq!(TransferBottleneck::combine_at_sender(None, Duration::ZERO, soon, None), None);
    }
}
