//! Other clients, for interfaces: messages, offers in both directions, comparison of keys.

use std::path::absolute;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::{ClientName, Fingerprint, FolderPath, OfferId, Timestamp};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::Client;
use super::transfers::{PreparedTransfer, RunningTransfer, TransferEnd};
use crate::download::{Download, OfferedTree};
use crate::error::{ClientError, PeerError};
use crate::event::EventKind;
use crate::journal::{ServerRef, UnfinishedFiles};
use crate::peer::{PeerSource, Peers, refusal_for};
use crate::peer_event::PeerEvent;
use crate::peer_path::PeerStatus;
use crate::peer_store::{
    IncomingOffer, IncomingState, OfferLock, OfferNumber, OutgoingOffer, OutgoingState, PeerStore,
    PeerStoreError,
};
use crate::reconnecting::{LONGEST_SERVER_PAUSE, ReconnectingSession};
use crate::request::{AcceptRequest, OfferRequest};
use crate::tasks::blocking;
use crate::transfers::TransferStatus;
use crate::tree::ItemCount;

/// The pauses between attempts to reach the recipient of an offer: the first, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(15);

/// How long the sender of an offer may take to receive the outcome: a direct path that was lost is noticed after five
/// seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of a message to one of several clients.
pub type TellOutcome = (ClientName, Result<(), ClientError>);

impl Client {
    /// Takes introductions from now on, so that other clients can reach this one. Offers that were accepted before
    /// are fetched as soon as their senders are connected.
    ///
    /// # Errors
    /// [`ClientError`], also if the server is too old, or this client has no key.
    pub async fn listen(&self) -> Result<(), ClientError> {
        self.peers().listen().await
    }

    /// Sends a message to another client, and waits until it has confirmed it.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::MessageUnknown`] if the connection ended before the confirmation.
    pub async fn tell(&self, to: &ClientName, text: &str) -> Result<(), ClientError> {
        self.peers().tell(to, text).await
    }

    /// Sends a message to every other client that can be reached. Returns the outcome for each.
    ///
    /// # Errors
    /// [`ClientError`] if the list of clients cannot be read.
    pub async fn tell_all(&self, text: &str) -> Result<Vec<TellOutcome>, ClientError> {
        let own = self.welcome()?.name.key();
        let (mut rows, mut names) = (self.status().await?, Vec::new());
        while let Some(row) = rows.next().await? {
            if row.end.is_none() && row.reachable && row.name.key() != own {
                names.push(row.name);
            }
        }
        let mut outcomes = Vec::new();
        for name in names {
            let told = self.tell(&name, text).await;
            outcomes.push((name, told));
        }
        Ok(outcomes)
    }

    /// Records an offer of files, so that it is announced whenever its recipient is connected.
    ///
    /// # Errors
    /// [`PeerError::NotOfferable`], [`PeerError::BadOfferName`].
    pub async fn offer(&self, request: OfferRequest) -> Result<OutgoingOffer, ClientError> {
        self.peers().make_offer(request).await
    }

    /// Announces an offer until it is settled: connects with the recipient, and again after a loss. Without
    /// `wait_for_recipient` it fails if the recipient cannot be reached at first.
    ///
    /// # Errors
    /// [`ClientError`]: [`PeerError::Declined`], [`PeerError::NotStored`] and others. The offer stays open unless it
    /// is settled.
    pub async fn deliver(
        &self,
        number: OfferNumber,
        wait_for_recipient: bool,
    ) -> Result<(), ClientError> {
        let peers = self.peers();
        let (mut may_wait, mut pause) = (wait_for_recipient, FIRST_PAUSE);
        let mut reported = None;
        loop {
            let changed = peers.changed();
            let now = Timestamp(Utc::now());
            let offer = peers.with_store(move |store| store.outgoing_offer(number, now)).await?;
            let to = offer.recipient.clone();
            match offer.state {
                OutgoingState::Open | OutgoingState::Accepted => {}
                OutgoingState::Delivered => return Ok(()),
                OutgoingState::Declined => return Err(PeerError::Declined(to).into()),
                OutgoingState::Withdrawn => {
                    // This process may end now.
                    let _ = timeout(ANSWER_TIMEOUT, peers.wait_for_withdrawals()).await;
                    return Err(PeerError::Withdrawn(number).into());
                }
                OutgoingState::Expired => return Err(PeerError::Expired(number).into()),
                OutgoingState::Failed(why) => {
                    return Err(PeerError::OfferFailed { number, why }.into());
                }
            }
            if let Some(refusal) = peers.take_refusal(number) {
                return Err(PeerError::NotStored { name: to, refusal }.into());
            }
            if peers.link_with(&to, offer.key).is_some() {
                (may_wait, pause) = (true, FIRST_PAUSE);
                // The records may be changed by another process.
                let _ = timeout(Duration::from_secs(1), changed).await;
                continue;
            }
            let connected = self.connect_recipient(&peers, &to, offer.key).await;
            let Err(error) = connected else { continue };
            if !may_wait || !is_worth_waiting(&error) {
                return Err(error);
            }
            let error = Arc::new(error);
            if reported.replace(error.to_string()) != Some(error.to_string()) {
                let event = PeerEvent::OfferWaiting { number, to, why: error };
                self.reporter().publish(EventKind::Peer(event)).await;
            }
            let _ = timeout(pause, changed).await;
            // Without a server, each attempt dials it: the recipient may be there once the network is back.
            let last = if self.is_connected() { LAST_PAUSE } else { LONGEST_SERVER_PAUSE };
            pause = (2 * pause).min(last);
        }
    }

    /// Connects with a client, after reconnecting to the server if that connection is lost.
    async fn connect_recipient(
        &self,
        peers: &Peers,
        name: &ClientName,
        key: Option<Fingerprint>,
    ) -> Result<(), ClientError> {
        self.session()?.reconnect().await?;
        peers.connect_to(name, key).await.map(drop)
    }

    /// Bytes of an offer that this process has sent.
    #[must_use]
    pub fn sent_bytes(&self, offer: OfferId) -> u64 {
        self.peers().sent_bytes(offer)
    }

    /// The offers to this person, and those of this person, by number.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub async fn offers(&self) -> Result<(Vec<IncomingOffer>, Vec<OutgoingOffer>), ClientError> {
        let now = Timestamp(Utc::now());
        let peers = self.peers();
        let read =
            move |store: &PeerStore| Ok((store.incoming_offers(now)?, store.outgoing_offers(now)?));
        peers.with_store(read).await
    }

    /// Accepts an offer, and starts to fetch it from its sender. An offer that was accepted before and is not stored
    /// yet is continued.
    ///
    /// # Errors
    /// [`ClientError`]: [`PeerError::OfferInProgress`], or the sender cannot be reached. The offer then stays accepted,
    /// and is fetched when its sender connects.
    pub async fn accept_offer(
        &self,
        number: OfferNumber,
        request: AcceptRequest,
    ) -> Result<RunningTransfer, ClientError> {
        let failed = |source| ClientError::Target { path: request.folder.clone(), source };
        let folder = absolute(&request.folder).map_err(failed)?;
        // Before the offer is accepted, because a folder that does not exist is a mistake.
        let checked = folder.clone();
        let metadata = blocking(move || Ok(checked.metadata())).await?.map_err(failed)?;
        if !metadata.is_dir() {
            return Err(failed(std::io::ErrorKind::NotADirectory.into()));
        }
        let now = Timestamp(Utc::now());
        let peers = self.peers();
        // Locked first, so that no other process fetches it in between.
        let lock = self.lock_offer(number).await?;
        let accepted =
            peers.with_store(move |store| match store.accept_offer(number, &folder, now) {
                Err(PeerStoreError::IncomingSettled {
                    state: IncomingState::Accepted { .. },
                    ..
                }) => store.incoming_offer(number, now),
                accepted => accepted,
            });
        let offer = accepted.await?;
        peers.notify_changed();
        self.fetch_offer(offer, lock, request).await
    }

    async fn lock_offer(&self, number: OfferNumber) -> Result<OfferLock, ClientError> {
        // Fails here already without such an offer, and leaves no file.
        let now = Timestamp(Utc::now());
        let peers = self.peers();
        let locked = peers.with_store(move |store| {
            store.incoming_offer(number, now)?;
            store.lock_offer(number)
        });
        locked.await?.ok_or_else(|| PeerError::OfferInProgress(number).into())
    }

    /// Declines an offer, also an accepted one that no process fetches now. If this process has received it, the sender
    /// knows when this returns, or cannot be reached.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::OfferInProgress`] while a process fetches the offer.
    pub async fn decline_offer(&self, number: OfferNumber) -> Result<IncomingOffer, ClientError> {
        let (peers, now) = (self.peers(), Timestamp(Utc::now()));
        let declined = peers.with_store(move |store| {
            // Fails here already without such an offer, and leaves no file.
            store.incoming_offer(number, now)?;
            // Locked until it is declined, so that no process begins to fetch it in between.
            let Some(_lock) = store.lock_offer(number)? else { return Ok(None) };
            store.decline_offer(number, now).map(Some)
        });
        let declined = declined.await?.ok_or(PeerError::OfferInProgress(number))?;
        // Expected first: an answer after this is noticed, and one before it is not waited for.
        let expected_answer = peers.expect_answer(number);
        peers.notify_changed();
        if peers.is_announced(number) {
            // This process may end now, as `receive --once` does.
            let _ = timeout(ANSWER_TIMEOUT, expected_answer.wait(declined.key)).await;
        }
        Ok(declined)
    }

    /// Withdraws an offer of this person.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw_offer(&self, number: OfferNumber) -> Result<(), ClientError> {
        self.peers().withdraw_outgoing(number).await
    }

    /// Compares keys with another client: both people see the same twelve digits. Returns whether the other person
    /// has confirmed them too.
    ///
    /// # Errors
    /// [`ClientError`]; [`PeerError::DigitsDiffer`] if this person sees other digits.
    pub async fn verify(&self, name: &ClientName) -> Result<bool, ClientError> {
        self.peers().verify(name).await
    }

    /// The connections with other clients.
    #[must_use]
    pub fn peer_statuses(&self) -> Vec<PeerStatus> {
        self.peers().statuses()
    }

    /// Connects with another client, unless there is a connection.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn connect_peer(&self, name: &ClientName) -> Result<PeerStatus, ClientError> {
        Ok(self.peers().connect(name).await?.status())
    }

    /// Fetches an accepted offer from its sender.
    async fn fetch_offer(
        &self,
        offer: IncomingOffer,
        lock: OfferLock,
        request: AcceptRequest,
    ) -> Result<RunningTransfer, ClientError> {
        let peers = self.peers();
        let number = offer.number;
        let IncomingState::Accepted { folder } = offer.state.clone() else {
            return Err(PeerError::UnknownOffer(number).into());
        };
        let expected_answer = peers.expect_answer(number);
        let link = peers.connect_to(&offer.sender, Some(offer.key)).await?;
        peers.accept_contact(&link).await?;
        let root = FolderPath::parse(&offer.id.to_string())
            .map_err(|rule| ClientError::refused("cannot fetch the offer", rule.into()))?;
        let stored = Arc::new(OnceLock::new());
        let tree = OfferedTree {
            stored: stored.clone(),
            from: offer.sender.clone(),
            root,
            files: offer.counts.files,
            bytes: offer.counts.bytes,
        };
        let options = request.options();
        let download = Download::of_offer(tree, &folder, options)?;
        let source = PeerSource::new(peers.clone(), offer.sender.clone(), offer.key);
        let handle = link.handle(self.settings().timeout).ok_or(ClientError::Interrupted)?;
        // The sender's key identifies partial files, in place of a server's.
        let sender = ServerRef { fingerprint: offer.key, ..offer.server.clone() };
        // A resume command does not continue it: accepting the offer again does.
        let (unfinished, reporter) = (UnfinishedFiles::default(), self.reporter().clone());
        let (best, source) = (source.best(), Box::new(source));
        let session =
            ReconnectingSession::with_peer(source, best, handle, sender, unfinished, reporter);
        let prepared = PreparedTransfer::of_offer(download, number, offer.sender.clone());
        let finish = move |_: TransferStatus, end: TransferEnd| async move {
            let _lock = lock;
            let is_answer = !matches!(end, TransferEnd::Cancelled);
            match end {
                TransferEnd::Done => {
                    let now = Timestamp(Utc::now());
                    // Set by each download that succeeds.
                    let ItemCount { files, bytes } = stored.get().copied().unwrap_or_default();
                    let recorded =
                        peers.with_store(move |store| store.mark_stored(number, files, bytes, now));
                    if let Err(error) = recorded.await {
                        debug!(%error, "cannot record that an offer is stored");
                    }
                }
                TransferEnd::Failed(error) => {
                    peers.set_failure(&offer, refusal_for(&error));
                }
                // Else this or another process would start to fetch it again at once. The lock is still held.
                TransferEnd::Cancelled => {
                    let now = Timestamp(Utc::now());
                    let reopened = peers.with_store(move |store| store.reopen_offer(number, now));
                    if let Err(error) = reopened.await {
                        debug!(%error, "cannot record that a transfer was cancelled");
                    }
                }
            }
            peers.notify_changed();
            if is_answer {
                // This process may end now, and the sender would not learn the outcome.
                let _ = timeout(ANSWER_TIMEOUT, expected_answer.wait(offer.key)).await;
            }
        };
        self.start_in(session, prepared, finish)
    }
}

/// Fetches accepted offers whose senders announce them again, as after a restart. Ends with the queue.
pub(super) async fn fetch_accepted(
    client: std::sync::Weak<super::ClientInner>,
    mut accepted: mpsc::Receiver<OfferNumber>,
) {
    while let Some(number) = accepted.recv().await {
        let Some(client) = client.upgrade().map(Client) else { return };
        let fetched = async {
            let now = Timestamp(Utc::now());
            let lock = move |store: &PeerStore| {
                // Not locked if its transfer was cancelled, so that the person can accept it again at any time.
                if !matches!(
                    store.incoming_offer(number, now)?.state,
                    IncomingState::Accepted { .. }
                ) {
                    return Ok(None);
                }
                // `None` if this or another process fetches it already.
                let lock = store.lock_offer(number)?;
                Ok(lock.zip(Some(store.incoming_offer(number, now)?)))
            };
            let locked = client.peers().with_store(lock).await?;
            let (lock, offer) = locked.ok_or(PeerError::UnknownOffer(number))?;
            client.fetch_offer(offer, lock, AcceptRequest::default()).await
        };
        if let Err(error) = fetched.await {
            debug!(%error, "an accepted offer cannot be fetched now");
        }
    }
}

/// Whether a recipient may be reachable later.
fn is_worth_waiting(error: &ClientError) -> bool {
    error.is_unreachable_peer() || error.is_transient()
}
