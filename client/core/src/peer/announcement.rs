//! One offer on the paths of a link, and the answer that comes on any of them. Records nothing.

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
/// recipient may be gone then. Dropping it gives up the answer.
pub(super) struct Announcement<'a> {
    link: &'a PeerLink,
    request: PeerRequest,
    timeout: Duration,
    /// The path of the newest conversation.
    newest: Channel,
    /// Read the next part of each conversation.
    reads: JoinSet<Read>,
}

/// A conversation, and the part of the answer that was read.
type Read = (Conversation, Result<PeerPart<OfferEnd>, StreamError>);

impl<'a> Announcement<'a> {
    /// Announces an offer on the best path. The recipient has to take the request within `timeout`.
    pub(super) async fn start(
        link: &'a PeerLink,
        request: PeerRequest,
        timeout: Duration,
    ) -> Result<Self, StreamError> {
        let newest = link.channel()?;
        let mut announcement = Self { link, request, timeout, newest, reads: JoinSet::new() };
        announcement.open().await?;
        Ok(announcement)
    }

    /// Announces the offer on the newest path.
    async fn open(&mut self) -> Result<(), StreamError> {
        let started = Conversation::start(&self.newest, &self.request, self.timeout).await;
        let mut conversation = started?;
        conversation.stream.writer.finish();
        conversation.set_idle_timeout(OFFER_TIMEOUT);
        self.read(conversation);
        Ok(())
    }

    fn read(&mut self, mut conversation: Conversation) {
        self.reads.spawn(async move {
            let part = conversation.next::<OfferEnd>().await;
            (conversation, part)
        });
    }

    /// The next part of the answer. Meanwhile the offer is announced on better paths, if `may_move`.
    ///
    /// # Errors
    /// [`StreamError`]: the recipient refuses the offer, or the last conversation about it has ended.
    pub(super) async fn next(&mut self, may_move: bool) -> Result<PeerPart<OfferEnd>, StreamError> {
        loop {
            let ended = tokio::select! {
                Some(read) = self.reads.join_next() => {
                    // Fails only if the task panicked: it is aborted with `self` only.
                    let read = read.unwrap_or_else(|error| resume_unwind(error.into_panic()));
                    let (conversation, part) = read;
                    match part {
                        Ok(PeerPart::Reply(reply)) => {
                            self.read(conversation);
                            return Ok(PeerPart::Reply(reply));
                        }
                        Ok(PeerPart::End(end)) => return Ok(PeerPart::End(end)),
                        Err(error @ StreamError::Refused(_)) => return Err(error),
                        Err(error) => error,
                    }
                }
                () = self.link.replaces(&self.newest), if may_move => {
                    let Ok(best) = self.link.channel() else { continue };
                    self.newest = best;
                    match self.open().await {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
            };
            debug!(to = %self.link.name(), %ended, "a conversation about an offer has ended");
            if self.reads.is_empty() {
                return Err(ended);
            }
        }
    }
}
