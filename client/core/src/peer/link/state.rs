//! The paths of a link: which one is used, and why it is not direct.

use quiver_transport::Channel;
use tokio::sync::watch;

use crate::peer_path::{NotDirect, PeerPath};

/// The paths of a link, and what is known about them.
#[derive(Debug)]
pub(super) struct LinkState {
    pub(super) relayed: Option<LinkPath>,
    pub(super) direct: Option<LinkPath>,
    /// Earlier direct paths, from which transfers move.
    pub(super) replaced: Vec<LinkPath>,
    pub(super) not_direct: NotDirect,
    pub(super) previous: Option<PeerPath>,
    /// Whether this person has accepted the contact, so that it may learn this client's address.
    pub(super) is_accepted: bool,
    /// Whether the other person has accepted this one; `None` if this client does not know.
    pub(super) is_accepted_by_other: Option<bool>,
}

/// One path of a link.
#[derive(Debug)]
pub(super) struct LinkPath {
    pub(super) channel: Channel,
    /// True while the link has a better path, to which transfers move.
    pub(super) is_superseded: watch::Sender<bool>,
}

impl LinkPath {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, is_superseded: watch::channel(false).0 }
    }

    pub(super) fn is_open(&self) -> bool {
        self.channel.close_reason().is_none()
    }

    pub(super) fn is_usable(&self) -> bool {
        self.is_open() && !*self.is_superseded.borrow()
    }

    /// Whether this is the path of a connection.
    pub(super) fn is_of(&self, channel: &Channel) -> bool {
        self.channel.stable_id() == channel.stable_id()
    }

    pub(super) fn bytes(&self) -> u64 {
        let statistics = self.channel.stats();
        statistics.udp_tx.bytes + statistics.udp_rx.bytes
    }
}

impl LinkState {
    /// The path for new streams.
    pub(super) fn best(&self) -> Option<&LinkPath> {
        let paths = || self.direct.iter().chain(&self.relayed);
        paths().find(|path| path.is_usable()).or_else(|| paths().find(|path| path.is_open()))
    }

    pub(super) fn path(&self) -> PeerPath {
        match self.best() {
            None => PeerPath::Closed,
            Some(best) if self.is_direct(best) => {
                let address = best.channel.remote_address();
                PeerPath::Direct { address: (address.ip().to_canonical(), address.port()).into() }
            }
            Some(_) => PeerPath::Relayed { why: self.why_not_direct() },
        }
    }

    fn why_not_direct(&self) -> NotDirect {
        match (self.not_direct, self.is_accepted, self.is_accepted_by_other) {
            (NotDirect::NotAccepted, false, Some(true)) => NotDirect::NotAcceptedLocally,
            (NotDirect::NotAccepted, true, Some(false)) => NotDirect::NotAcceptedRemotely,
            // The other side begins, or both will.
            (NotDirect::NotAccepted, true, _) => NotDirect::Trying,
            (why, ..) => why,
        }
    }

    fn is_direct(&self, path: &LinkPath) -> bool {
        self.direct.as_ref().is_some_and(|direct| std::ptr::eq(direct, path))
    }
}
