//! One offer on the paths of a link, and the answer that comes on any of them. Records nothing.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::time::Duration;

use quiver_protocol::{OfferEnd, PeerRequest};
use quiver_transport::{Channel, StreamError};
use tokio::task::JoinSet;
use tracing::debug;

use super::PeerLink;
use super::conversation::{Conversation, PeerPart};

/// How long the recipient may be silent: longer than offers last.
const OFFER_TIMEOUT: Duration = Duration::from_secs(8 * 24 * 3600);

/// An offer that a client announces on the best path of a link, and again on each that replaces it: a path may end
/// unnoticed. The earlier ones are read until they end, because QUIC acknowledges an answer before it is read, and the
/// recipient may be gone then. A path has one conversation at a time, however often it becomes the best. Dropping it gives
/// up the answer.
pub(super) struct Announcement<'a> {
    link: &'a PeerLink,
    request: PeerRequest,
    timeout: Duration,
    /// The path on which the offer was announced last.
    newest: Channel,
    /// The ids of the paths that have a conversation.
    paths: HashSet<usize>,
    /// Read the next part of each conversation. They return the ids of their paths.
    reads: JoinSet<(usize, Read)>,
}

/// A part of the answer, and the conversation to which it belongs.
type Read = Result<(Conversation, PeerPart<OfferEnd>), StreamError>;

impl<'a> Announcement<'a> {
    /// Announces an offer on the best path. The recipient has to take the request within `timeout`.
    pub(super) fn start(
        link: &'a PeerLink,
        request: PeerRequest,
        timeout: Duration,
    ) -> Result<Self, StreamError> {
        let newest = link.channel()?;
        let (paths, reads) = (HashSet::new(), JoinSet::new());
        let mut announcement = Self { link, request, timeout, newest, paths, reads };
        announcement.announce();
        Ok(announcement)
    }

    /// Announces the offer on the newest path, unless it has a conversation already.
    fn announce(&mut self) {
        let path = self.newest.stable_id();
        if !self.paths.insert(path) {
            return;
        }
        debug!(to = %self.link.name(), path, "announcing an offer");
        let (channel, request, timeout) = (self.newest.clone(), self.request.clone(), self.timeout);
        let start = async move {
            let mut conversation = Conversation::start(&channel, &request, timeout).await?;
            conversation.stream.writer.finish();
            conversation.set_idle_timeout(OFFER_TIMEOUT);
            read(conversation).await
        };
        self.reads.spawn(async move { (path, start.await) });
    }

    /// The next part of the answer. Meanwhile the offer is announced on better paths, if `may_move`.
    ///
    /// # Errors
    /// [`StreamError`]: the recipient refuses the offer, or the last conversation about it has ended.
    pub(super) async fn next(&mut self, may_move: bool) -> Result<PeerPart<OfferEnd>, StreamError> {
        loop {
            let (path, part) = tokio::select! {
                // Fails only if the task panicked: it is aborted with `self` only.
                Some(read) = self.reads.join_next() => {
                    read.unwrap_or_else(|error| resume_unwind(error.into_panic()))
                }
                () = self.link.replaces(&self.newest), if may_move => {
                    if let Ok(best) = self.link.channel() {
                        self.newest = best;
                        self.announce();
                    }
                    continue;
                }
            };
            match part {
                Ok((conversation, PeerPart::Reply(reply))) => {
                    self.reads.spawn(async move { (path, read(conversation).await) });
                    return Ok(PeerPart::Reply(reply));
                }
                Ok((_, PeerPart::End(end))) => return Ok(PeerPart::End(end)),
                Err(error @ StreamError::Refused(_)) => return Err(error),
                Err(error) if self.reads.is_empty() => return Err(error),
                Err(error) => {
                    self.paths.remove(&path);
                    debug!(to = %self.link.name(), %error, "a conversation about an offer has ended");
                }
            }
        }
    }
}

/// Reads the next part of the answer.
async fn read(mut conversation: Conversation) -> Read {
    let part = conversation.next::<OfferEnd>().await?;
    Ok((conversation, part))
}
