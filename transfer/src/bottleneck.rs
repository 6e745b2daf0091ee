//! What limited a transfer, combined from the reports of both ends, and its text: the same for
//! every command, at both ends.

use std::time::Duration;

use quiver_protocol::{Bottleneck, ContentEnd, NetworkLimit};

use crate::timings::MIN_MEASURED;

/// What limited a transfer, as seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferBottleneck {
    /// A resource of this end.
    Local(Bottleneck),
    /// A resource of the other end.
    Remote(Bottleneck),
    /// Each end waited for the other; with what held back the sender's data, if it could tell.
    Network(Option<NetworkLimit>),
    /// This end waited for the other end, which does not report its bottleneck.
    NetworkOrRemote,
}

impl TransferBottleneck {
    /// Combines the bottleneck of this end, which received the content, with what the sender reports.
    /// `None` if they give no verdict.
    #[must_use]
    pub fn combine_at_receiver(local: Option<Bottleneck>, sender: &ContentEnd) -> Option<Self> {
        Self::combine(local, sender.slowed_by, sender.network)
    }

    fn combine(
        local: Option<Bottleneck>,
        remote: Option<Bottleneck>,
        network: Option<NetworkLimit>,
    ) -> Option<Self> {
        let is_own = |bottleneck: &Bottleneck| {
            !matches!(bottleneck, Bottleneck::Network | Bottleneck::Unknown)
        };
        match (local, remote) {
            (Some(local), _) if is_own(&local) => Some(Self::Local(local)),
            (_, Some(remote)) if is_own(&remote) => Some(Self::Remote(remote)),
            (Some(Bottleneck::Network), Some(Bottleneck::Network)) => {
                Some(Self::Network(network.filter(|limit| *limit != NetworkLimit::Unknown)))
            }
            (Some(Bottleneck::Network), _) => Some(Self::NetworkOrRemote),
            _ => None,
        }
    }

    /// Like [`combine_at_receiver`](Self::combine_at_receiver), at the sender, which has reported
    /// `local`. That describes only the first `send_duration` of the `total` duration, until all
    /// content was sent; after that the sender waited for the receiver.
    #[must_use]
    pub fn combine_at_sender(
        local: &ContentEnd,
        send_duration: Duration,
        total: Duration,
        remote: Option<Bottleneck>,
    ) -> Option<Self> {
        let waited = total >= MIN_MEASURED && total.saturating_sub(send_duration) >= total / 2;
        let slowed_by = if waited { Some(Bottleneck::Network) } else { local.slowed_by };
        Self::combine(slowed_by, remote, local.network)
    }

    /// Text for people, with `other` as the name of the other end: `this disk`, `the sender's
    /// processor`, `the network`, `the network (path)`.
    #[must_use]
    pub fn describe(self, other: &str) -> String {
        match self {
            Self::Local(Bottleneck::Limit) => "--limit".to_owned(),
            Self::Local(bottleneck) => format!("this {}", resource_name(bottleneck)),
            Self::Remote(bottleneck) => format!("the {other}'s {}", resource_name(bottleneck)),
            Self::Network(None) => "the network".to_owned(),
            Self::Network(Some(limit)) => format!("the network ({})", limit_name(limit)),
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
            Self::Network(_) => "network".to_owned(),
            Self::NetworkOrRemote => format!("network_or_{other}"),
        }
    }
}

impl TransferBottleneck {
    /// What held back the sender's data where the network was the bottleneck, as code for programs:
    /// `path`, `receive_window` or `send_window`. `None` if that is unknown, or another bottleneck.
    #[must_use]
    pub fn network_limit(self) -> Option<&'static str> {
        match self {
            Self::Network(Some(NetworkLimit::Path)) => Some("path"),
            Self::Network(Some(NetworkLimit::ReceiveWindow)) => Some("receive_window"),
            Self::Network(Some(NetworkLimit::SendWindow)) => Some("send_window"),
            Self::Network(None | Some(NetworkLimit::Unknown))
            | Self::Local(_)
            | Self::Remote(_)
            | Self::NetworkOrRemote => None,
        }
    }
}

fn limit_name(limit: NetworkLimit) -> &'static str {
    match limit {
        NetworkLimit::Path => "path",
        NetworkLimit::ReceiveWindow => "receive window",
        NetworkLimit::SendWindow => "send window",
        NetworkLimit::Unknown => "unknown limit",
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
    use quiver_protocol::ContentHash;

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
            let verdict = TransferBottleneck::combine(local, remote, None).unwrap();
            assert_eq!(verdict.describe("sender"), text);
            assert_eq!(verdict.code("sender"), code);
        }
        for remote in [None, Some(Network), Some(Unknown)] {
            assert_eq!(TransferBottleneck::combine(None, remote, None), None);
        }
    }

    #[test]
    fn the_network_has_a_limit_if_the_sender_knows_it() {
        let network = Some(Bottleneck::Network);
        for (limit, text, code) in [
            (NetworkLimit::Path, "the network (path)", Some("path")),
            (NetworkLimit::ReceiveWindow, "the network (receive window)", Some("receive_window")),
            (NetworkLimit::SendWindow, "the network (send window)", Some("send_window")),
            (NetworkLimit::Unknown, "the network", None),
        ] {
            let sender = ContentEnd { network: Some(limit), ..end(network) };
            let verdict = TransferBottleneck::combine_at_receiver(network, &sender).unwrap();
            assert_eq!(
                (verdict.describe("sender").as_str(), verdict.network_limit()),
                (text, code)
            );
            assert_eq!(verdict.code("sender"), "network");
            let disk = TransferBottleneck::combine_at_receiver(Some(Bottleneck::Disk), &sender);
            assert_eq!(disk.unwrap().network_limit(), None);
        }
    }

    fn end(slowed_by: Option<Bottleneck>) -> ContentEnd {
        ContentEnd { size: 1, blake3: ContentHash([0; 32]), slowed_by, network: None }
    }

    #[test]
    fn a_sender_that_has_sent_everything_waited_for_the_receiver() {
        let (busy, disk) = (end(Some(Bottleneck::Processor)), Some(Bottleneck::Disk));
        let after = |millis| {
            let sent = Duration::from_millis(100);
            TransferBottleneck::combine_at_sender(&busy, sent, Duration::from_millis(millis), disk)
        };
        assert_eq!(after(150), Some(TransferBottleneck::Local(Bottleneck::Processor)));
        assert_eq!(after(200), Some(TransferBottleneck::Remote(Bottleneck::Disk)));
        let soon = Duration::from_millis(99);
        assert_eq!(
            TransferBottleneck::combine_at_sender(&end(None), Duration::ZERO, soon, None),
            None
        );
    }
}
