//! The sender of `offer`: announces offers on every link with their recipient, and serves their files.
//!
//! 1. sender -> Offer
//! 2. receiver -> Pending, Accepted; meanwhile List and Get, on other streams
//! 3. receiver -> Eof {files, bytes}, once it has stored everything

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{
    ContentPrefix, FilePath, FolderPath, Offer, OfferEnd, OfferId, OfferedEntry, PeerReply,
    PeerRequest, Refusal, RefusalCode, Timestamp,
};
use quiver_transfer::get::{self, ServeError, ServedFile};
use quiver_transfer::list::{self, ListError};
use quiver_transfer::offered_files::OfferedFiles;
use quiver_transfer::response::run_until_interrupted;
use quiver_transfer::served_folder::{FixedMemory, ServedPathError};
use quiver_transfer::{Observer, ProofLimits, SendError, TransferBottleneck, blocking};
use quiver_transport::StreamError;
use tokio::sync::watch;
use tracing::debug;

use super::conversation::{Conversation, PeerPart};
use super::refusals::AnnouncementPauses;
use super::requests::RequestError;
use super::{PeerLink, Peers};
use crate::error::{ClientError, PeerError};
use crate::exchange::unexpected_reply;
use crate::peer_event::PeerEvent;
use crate::peer_store::{OfferCounts, OfferNumber, OutgoingOffer, OutgoingState};

/// How long the recipient may be silent: longer than offers last.
const OFFER_TIMEOUT: Duration = Duration::from_secs(8 * 24 * 3600);

/// How long the receiver of a file may take to store it.
const RECEIVED_TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes for the names of a folder that is listed.
const NAMES_MEMORY: usize = 1024 * 1024;

/// The files of an offer that this process serves.
#[derive(Debug, Clone)]
pub(crate) struct OfferSource {
    offer: OutgoingOffer,
    /// The first top-level files and folders.
    entries: Vec<OfferedEntry>,
    /// `None` until a pipe has been read to its end.
    files: watch::Receiver<Option<Arc<OfferedFiles>>>,
    sent: Arc<AtomicU64>,
}

/// How the announcement of an offer on one link has ended.
#[derive(Debug)]
enum AnnouncementEnd {
    /// The offer is settled.
    Settled(OutgoingState),
    /// The recipient cannot take it now.
    Refused(Refusal),
    /// The link was lost, or the recipient gave up.
    Lost(StreamError),
}

impl OfferSource {
    /// The source of an offer whose files are `files`, now or later.
    pub(crate) fn new(
        offer: OutgoingOffer,
        entries: Vec<OfferedEntry>,
        files: watch::Receiver<Option<Arc<OfferedFiles>>>,
    ) -> Self {
        Self { offer, entries, files, sent: Arc::default() }
    }

    /// Bytes that this process has sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    async fn files(&self) -> Result<Arc<OfferedFiles>, RequestError> {
        let mut files = self.files.clone();
        let ready = files.wait_for(Option::is_some).await;
        let failed = || RequestError::refused(RefusalCode::Internal, "the content was not read");
        ready.ok().and_then(|files| files.clone()).ok_or_else(failed)
    }
}

impl Peers {
    /// Adds the files of an offer, and announces it on the links with its recipient.
    pub(crate) fn add_source(&self, source: OfferSource) {
        self.0.state.lock().sources.insert(source.offer.id, source);
        self.0.changed.notify_waiters();
    }

    /// Bytes of an offer that this process has sent.
    pub(crate) fn sent_bytes(&self, id: OfferId) -> u64 {
        self.0.state.lock().sources.get(&id).map_or(0, OfferSource::sent)
    }

    /// The refusal of the recipient, if it could not take the offer.
    pub(crate) fn take_refusal(&self, number: OfferNumber) -> Option<Refusal> {
        self.0.state.lock().refusals.remove(&number)
    }

    /// Withdraws an offer, and tells the recipient if it is connected.
    pub(crate) async fn withdraw_outgoing(&self, number: OfferNumber) -> Result<(), ClientError> {
        let now = Timestamp(Utc::now());
        let changed = self.with_store(move |store| {
            store.set_outgoing_state(number, OutgoingState::Withdrawn, now)
        });
        let offer = changed.await?;
        self.0.state.lock().sources.remove(&offer.id);
        self.0.changed.notify_waiters();
        let mut links = self.links();
        let is_for_key = |link: &PeerLink| offer.key.is_none_or(|key| link.key() == key);
        links.retain(|link| link.is_with(&offer.recipient) && is_for_key(link));
        if links.is_empty() && offer.key.is_some() {
            // Another process has announced it. Fails if the recipient is not connected.
            links.extend(self.connect_to(&offer.recipient, offer.key).await);
        }
        for link in links {
            self.tell_withdrawn(&link, offer.id).await;
        }
        Ok(())
    }

    /// Tells the recipient that an offer is withdrawn. Without success it learns so when it asks for the files.
    pub(crate) async fn tell_withdrawn(&self, link: &PeerLink, offer: OfferId) {
        let request = PeerRequest::Withdraw { offer };
        let told = async {
            let channel = link.channel()?;
            let mut conversation = Conversation::start(&channel, &request, self.0.timeout).await?;
            conversation.stream.writer.finish();
            conversation.next::<quiver_protocol::PlainEnd>().await.map(drop)
        };
        if let Err(error) = told.await {
            debug!(%error, "the recipient does not know that the offer is withdrawn");
        }
    }

    /// Announces the offers of this person on a link with their recipient, now and later ones, until the link ends.
    pub(super) async fn announce_offers(self, link: PeerLink) {
        let mut announced = std::collections::HashSet::new();
        loop {
            let changed = self.0.changed.notified();
            match self.offers_for(&link).await {
                Ok(offers) => {
                    for source in offers {
                        if announced.insert(source.offer.id) {
                            let (peers, link) = (self.clone(), link.clone());
                            // A task of its own outlives the link: the recipient may end right after its last
                            // answer, which must be recorded.
                            self.spawn(async move { peers.announce(&link, source).await });
                        }
                    }
                }
                Err(error) => debug!(%error, "cannot read the offers"),
            }
            tokio::select! {
                () = changed => {}
                _ = link.closed() => return,
            }
        }
    }

    /// The offers for the client of a link that are not settled, with their files.
    async fn offers_for(&self, link: &PeerLink) -> Result<Vec<OfferSource>, ClientError> {
        let (server, now) = (self.server_key()?, Timestamp(Utc::now()));
        let offers = self.with_store(move |store| store.unsettled_outgoing(server, now)).await?;
        let mut sources = Vec::new();
        for offer in offers {
            let is_for_key = offer.key.is_none_or(|key| key == link.key());
            if !link.is_with(&offer.recipient) || !is_for_key {
                continue;
            }
            match self.source_of(offer).await {
                Ok(source) => sources.push(source),
                Err(error) => debug!(%error, "an offer cannot be announced"),
            }
        }
        Ok(sources)
    }

    /// The files of an offer: those of this process, or opened by their paths for an offer of an earlier process.
    async fn source_of(&self, offer: OutgoingOffer) -> Result<OfferSource, ClientError> {
        if let Some(source) = self.0.state.lock().sources.get(&offer.id) {
            return Ok(source.clone());
        }
        let server = self.session()?;
        debug!(number = %offer.number, server = %server.server_ref().address, "opening an offer");
        let source = self.with_files(offer).await?;
        self.0.state.lock().sources.insert(source.offer.id, source.clone());
        Ok(source)
    }

    /// Announces an offer on a link until it is settled or the link ends.
    async fn announce(&self, link: &PeerLink, source: OfferSource) {
        let (number, key) = (source.offer.number, link.key());
        let recorded = self.with_store(move |store| store.set_recipient_key(number, key)).await;
        if !matches!(recorded, Ok(recorded) if recorded == key) {
            return;
        }
        let to = link.name().clone();
        let mut pauses = AnnouncementPauses::default();
        let end = loop {
            match self.run_announcement(link, &source).await {
                // Only its path has ended: the recipient expects the offer on another one.
                AnnouncementEnd::Lost(error @ StreamError::Lost(_)) if link.is_open() => {
                    debug!(%to, %error, "announcing an offer again");
                }
                AnnouncementEnd::Refused(refusal) => {
                    if !self.pause_announcement(link, number, refusal, &mut pauses).await {
                        return;
                    }
                }
                AnnouncementEnd::Lost(error) => break Err(error),
                AnnouncementEnd::Settled(state) => break Ok(state),
            }
        };
        match end {
            Ok(state) => {
                let (now, ended) = (Timestamp(Utc::now()), state.clone());
                let settled =
                    self.with_store(move |store| store.set_outgoing_state(number, state, now));
                match settled.await {
                    Ok(_) => {
                        self.publish(PeerEvent::OfferEnded { number, to, state: ended }).await;
                    }
                    Err(error) => debug!(%error, "an offer was settled before"),
                }
                self.0.state.lock().sources.remove(&source.offer.id);
            }
            Err(error) => debug!(%to, %error, "an announcement has ended"),
        }
        self.0.changed.notify_waiters();
    }

    async fn run_announcement(&self, link: &PeerLink, source: &OfferSource) -> AnnouncementEnd {
        let OutgoingOffer { number, id, counts, .. } = &source.offer;
        let OfferCounts { count, files, bytes } = *counts;
        let offer = Offer { offer: *id, entries: source.entries.clone(), count, files, bytes };
        let request = PeerRequest::Offer(offer);
        let start = async { Conversation::start(&link.channel()?, &request, self.0.timeout).await };
        let mut conversation = match start.await {
            Ok(conversation) => conversation,
            Err(error) => return AnnouncementEnd::Lost(error),
        };
        conversation.stream.writer.finish();
        conversation.set_idle_timeout(OFFER_TIMEOUT);
        loop {
            let (number, to) = (*number, link.name().clone());
            match conversation.next::<OfferEnd>().await {
                Ok(PeerPart::Reply(PeerReply::Pending)) => {
                    self.publish(PeerEvent::OfferPending { number, to }).await;
                }
                Ok(PeerPart::Reply(PeerReply::Accepted)) => {
                    link.set_accepted();
                    let (state, now) = (OutgoingState::Accepted, Timestamp(Utc::now()));
                    let recorded = self
                        .with_store(move |store| store.set_outgoing_state(number, state, now))
                        .await;
                    if let Err(error) = recorded {
                        debug!(%error, "an offer was settled before");
                    }
                    self.publish(PeerEvent::OfferAccepted { number, to }).await;
                }
                Ok(PeerPart::Reply(_)) => {
                    return AnnouncementEnd::Lost(unexpected_reply("expected accepted"));
                }
                Ok(PeerPart::End(_)) => return AnnouncementEnd::Settled(OutgoingState::Delivered),
                Err(StreamError::Refused(refusal)) => {
                    return match refusal.code {
                        RefusalCode::Declined => AnnouncementEnd::Settled(OutgoingState::Declined),
                        RefusalCode::BadPath => {
                            let why = refusal.to_string();
                            AnnouncementEnd::Settled(OutgoingState::Failed(why))
                        }
                        _ => AnnouncementEnd::Refused(refusal),
                    };
                }
                Err(error) => return AnnouncementEnd::Lost(error),
            }
        }
    }

    /// Serves a list of an offer's folder.
    pub(super) async fn serve_list(
        &self,
        link: &PeerLink,
        path: FolderPath,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let (source, below) = match path.split_first() {
            Some((id, below)) => (self.find_source(link, id).await?, below),
            None => return Err(not_found()),
        };
        let files = source.files().await?;
        let lane = self.0.list_pool.lane(source.offer.number.0);
        let memory = FixedMemory::new(NAMES_MEMORY);
        let (reader, writer) = (&mut conversation.stream.reader, &mut conversation.stream.writer);
        let stopped = writer.stopped();
        let serve = async {
            let listing = files.list(&below, path.clone(), lane, memory).await.map_err(refusal)?;
            list::serve(listing, writer).await.map_err(|error| match error {
                ListError::Listing(error) => refusal(error),
                ListError::Stream(error) => error.into(),
            })
        };
        run_until_interrupted(reader, stopped, serve).await?
    }

    /// Serves a file of an offer.
    pub(super) async fn serve_get(
        &self,
        link: &PeerLink,
        path: FilePath,
        have: Option<ContentPrefix>,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let (id, below) = path.split_first();
        let source = self.find_source(link, id).await?;
        let below = below.ok_or_else(not_found)?;
        let files = source.files().await?;
        let opened = blocking::run(move || files.open(&below)).await;
        let content =
            opened.map_err(|_| RequestError::from(ClientError::Interrupted))?.map_err(refusal)?;
        let lane = Some(self.0.proof_pool.lane(source.offer.number.0));
        let proofs = ProofLimits { lane, permits: None };
        let prefix_cache = Some(&self.0.prefix_cache);
        let block = BLOCK;
        let served = ServedFile { path, source: content, have, block, proofs, prefix_cache };
        let observer = SentBytes(source.sent.clone());
        let stream = &mut conversation.stream;
        let sent = get::serve(stream, served, &observer).await.map_err(|error| match error {
            ServeError::NoSize => {
                RequestError::refused(RefusalCode::NotAFile, "its size is not known")
            }
            ServeError::Send(SendError::Stream(error)) => error.into(),
            ServeError::Send(SendError::Disk(error)) => {
                debug!(%error, "cannot read an offered file");
                RequestError::refused(RefusalCode::Internal, "the file cannot be read")
            }
            ServeError::Send(_) => {
                RequestError::refused(RefusalCode::Changed, "the file changed while it was sent")
            }
        })?;
        // Without the confirmation the receiver asks again.
        let _ = sent.confirm(&mut stream.reader, RECEIVED_TIMEOUT, observer).await;
        Ok(())
    }

    /// The offer with this id, if it is for the client of the link and not settled.
    async fn find_source(&self, link: &PeerLink, id: &str) -> Result<OfferSource, RequestError> {
        let id = OfferId::parse(id).ok_or_else(not_found)?;
        let now = Timestamp(Utc::now());
        let found = self.with_store(move |store| store.find_outgoing(id, now)).await?;
        let offer = found.filter(|offer| {
            !offer.state.is_settled()
                && offer.key == Some(link.key())
                && link.is_with(&offer.recipient)
        });
        let source = self.source_of(offer.ok_or_else(not_found)?).await;
        source.map_err(|error| match error {
            ClientError::Peer(PeerError::NotOfferable { .. }) => {
                debug!(%error, "an offer cannot be served");
                RequestError::refused(RefusalCode::NotFound, "the offered files are gone")
            }
            error => error.into(),
        })
    }
}

/// Counts bytes that are sent.
#[derive(Debug, Clone)]
struct SentBytes(Arc<AtomicU64>);

impl Observer for SentBytes {
    fn transferred(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn succeeded(self, _size: u64, _limited_by: Option<TransferBottleneck>) {}

    fn failed(self, _reason: &dyn std::fmt::Display) {}
}

fn not_found() -> RequestError {
    RequestError::refused(RefusalCode::NotFound, "there is no such offer")
}

fn refusal(error: ServedPathError) -> RequestError {
    let code = match &error {
        ServedPathError::NotFound => RefusalCode::NotFound,
        ServedPathError::NotAFile => RefusalCode::NotAFile,
        ServedPathError::NotAFolder => RefusalCode::NotAFolder,
        _ => RefusalCode::Forbidden,
    };
    RequestError::refused(code, error.to_string())
}
