//! What limited a transfer, from what both ends say of themselves, and the words for it: the same for every
//! command, at both ends.

use std::time::Duration;

use quiver_protocol::Bottleneck;

use crate::timings::WORTH_A_WORD;

/// What limited a transfer, as seen from one of its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferBottleneck {
    /// Something of this end's.
    Local(Bottleneck),
    /// Something of the other end's.
    Remote(Bottleneck),
    /// Each end waited for the other.
    Network,
    /// This end waited, and the other does not say for what.
    NetworkOrRemote,
}

impl TransferBottleneck {
    /// From what held this end back, and what the other says of itself. `None` where that tells nothing.
    #[must_use]
    pub fn of(here: Option<Bottleneck>, there: Option<Bottleneck>) -> Option<Self> {
        let own = |brake: &Bottleneck| !matches!(brake, Bottleneck::Network | Bottleneck::Unknown);
        match (here, there) {
            (Some(here), _) if own(&here) => Some(Self::Local(here)),
            (_, Some(there)) if own(&there) => Some(Self::Remote(there)),
            (Some(Bottleneck::Network), Some(Bottleneck::Network)) => Some(Self::Network),
            (Some(Bottleneck::Network), _) => Some(Self::NetworkOrRemote),
            _ => None,
        }
    }

    /// The same at the end that sent, whose own word is of the first `sent` of `took`: until all had left.
    #[must_use]
    pub fn of_sender(
        here: Option<Bottleneck>,
        sent: Duration,
        took: Duration,
        there: Option<Bottleneck>,
    ) -> Option<Self> {
        let waits = took >= WORTH_A_WORD && took.saturating_sub(sent) >= took / 2;
        Self::of(if waits { Some(Bottleneck::Network) } else { here }, there)
    }

    /// For people, who know the other end as `other`: `this disk`, `the sender's processor`, `the network`.
    #[must_use]
    pub fn describe(self, other: &str) -> String {
        match self {
            Self::Local(Bottleneck::Limit) => "--limit".to_owned(),
            Self::Local(bottleneck) => format!("this {}", name(bottleneck)),
            Self::Remote(bottleneck) => format!("the {other}'s {}", name(bottleneck)),
            Self::Network => "the network".to_owned(),
            Self::NetworkOrRemote => format!("the network or the {other}"),
        }
    }

    /// For programs: `this_disk`, `sender_processor`, `network`, `network_or_sender`.
    #[must_use]
    pub fn code(self, other: &str) -> String {
        match self {
            Self::Local(Bottleneck::Limit) => "limit".to_owned(),
            Self::Local(bottleneck) => format!("this_{}", name(bottleneck)),
            Self::Remote(bottleneck) => format!("{other}_{}", name(bottleneck)),
            Self::Network => "network".to_owned(),
            Self::NetworkOrRemote => format!("network_or_{other}"),
        }
    }
}

fn name(brake: Bottleneck) -> &'static str {
    match brake {
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
    fn two_ends_make_one_verdict() {
        use Bottleneck::{Disk, Limit, Network, Processor, Unknown};
        for (here, there, words, code) in [
            (Some(Disk), Some(Network), "this disk", "this_disk"),
            (Some(Processor), Some(Processor), "this processor", "this_processor"),
            (Some(Limit), None, "--limit", "limit"),
            (Some(Network), Some(Disk), "the sender's disk", "sender_disk"),
            (None, Some(Processor), "the sender's processor", "sender_processor"),
            (Some(Network), Some(Network), "the network", "network"),
            (Some(Network), None, "the network or the sender", "network_or_sender"),
            (Some(Network), Some(Unknown), "the network or the sender", "network_or_sender"),
        ] {
            let verdict = TransferBottleneck::of(here, there).unwrap();
            assert_eq!(verdict.describe("sender"), words);
            assert_eq!(verdict.code("sender"), code);
        }
        for there in [None, Some(Network), Some(Unknown)] {
            assert_eq!(TransferBottleneck::of(None, there), None);
        }
    }

    #[test]
    fn who_has_sent_everything_waits_for_the_other_end() {
        let (busy, disk) = (Some(Bottleneck::Processor), Some(Bottleneck::Disk));
        let after = |millis| {
            let sent = Duration::from_millis(100);
            TransferBottleneck::of_sender(busy, sent, Duration::from_millis(millis), disk)
        };
        assert_eq!(after(150), Some(TransferBottleneck::Local(Bottleneck::Processor)));
        assert_eq!(after(200), Some(TransferBottleneck::Remote(Bottleneck::Disk)));
        let soon = Duration::from_millis(99);
        assert_eq!(TransferBottleneck::of_sender(None, Duration::ZERO, soon, None), None);
    }
}
