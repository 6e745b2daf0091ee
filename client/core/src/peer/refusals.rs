//! Recipients that cannot take an offer: the caller that delivers it learns why, and the client announces it again if that
//! may help.

use std::pin::pin;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{Refusal, RefusalCode, Timestamp};
use tokio::time::sleep;
use tracing::debug;

use super::{PeerLink, Peers};
use crate::error::{ClientError, ErrorCode, PeerError, is_transient};
use crate::peer_store::OfferNumber;

/// The pauses between announcements on one link: the first, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// The next pause between announcements of an offer on one link.
#[derive(Debug)]
pub(super) struct AnnouncementPauses(Duration);

impl Default for AnnouncementPauses {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl AnnouncementPauses {
    fn next(&mut self) -> Duration {
        let next = (2 * self.0).min(LAST_PAUSE);
        std::mem::replace(&mut self.0, next)
    }
}

impl Peers {
    /// Records why the recipient cannot take an offer now, for [`take_refusal`](Self::take_refusal), and pauses. Returns
    /// whether to announce the offer again on this link: another one does so anyway.
    pub(super) async fn pause_announcement(
        &self,
        link: &PeerLink,
        number: OfferNumber,
        refusal: Refusal,
        pauses: &mut AnnouncementPauses,
    ) -> bool {
        debug!(%number, %refusal, "the recipient cannot take the offer now");
        let may_take_it_later = is_transient(refusal.code);
        self.0.state.lock().refusals.insert(number, refusal);
        self.notify_changed();
        if !may_take_it_later {
            return false;
        }
        let mut pause = pin!(sleep(pauses.next()));
        let mut is_over = false;
        loop {
            let changed = self.0.changed.notified();
            let now = Timestamp(Utc::now());
            let offer = self.with_store(move |store| store.outgoing_offer(number, now)).await;
            if !offer.is_ok_and(|offer| !offer.state.is_settled()) {
                return false;
            }
            if is_over {
                return true;
            }
            tokio::select! {
                () = &mut pause => is_over = true,
                () = changed => {}
                () = link.closed() => return false,
            }
        }
    }
}

/// What the sender of an offer learns about a failure here.
pub(crate) fn refusal_for(error: &ClientError) -> Refusal {
    match error.code() {
        _ if matches!(error, ClientError::Peer(PeerError::LessThanOffered { .. })) => {
            Refusal::new(RefusalCode::Changed, "there is less than was offered")
        }
        ErrorCode::LocalDisk => {
            Refusal::new(RefusalCode::NoSpace, "the files cannot be stored there")
        }
        ErrorCode::Partial => Refusal::new(RefusalCode::Internal, "some files were not received"),
        _ if matches!(error, ClientError::Peer(PeerError::MoreThanOffered { .. })) => {
            Refusal::new(RefusalCode::TooLarge, "there is more than was offered")
        }
        _ => Refusal::new(RefusalCode::Internal, "the files were not received"),
    }
}
