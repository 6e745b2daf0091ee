//! Serves the files of offers: the sender's end of `list` and `get`. Announces nothing.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentPrefix, FilePath, FolderPath, OfferId, RefusalCode, Timestamp};
use quiver_transfer::get::{self, ServeError, ServedFile};
use quiver_transfer::list::{self, ListError};
use quiver_transfer::offered_files::OfferedFiles;
use quiver_transfer::response::run_until_interrupted;
use quiver_transfer::served_folder::{FixedMemory, ServedPathError};
use quiver_transfer::{Observer, ProofLimits, SendError, TransferBottleneck, blocking};
use tokio::time::timeout;
use tracing::debug;

use super::conversation::Conversation;
use super::offer_source::OfferSource;
use super::requests::RequestError;
use super::{PeerLink, Peers};
use crate::error::{ClientError, PeerError};
use crate::transfers::TransferCounters;

/// How long the receiver of a file may take to store it.
const RECEIVED_TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes for the names of a folder that is listed.
const NAMES_MEMORY: usize = 1024 * 1024;

/// How often the records are read while a pipe is read, by this process or another one.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

impl Peers {
    /// Serves a list of an offer's folder.
    pub(super) async fn serve_list(
        &self,
        link: &PeerLink,
        path: FolderPath,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let (id, below) = path.split_first().ok_or_else(not_found)?;
        let (reader, writer) = (&mut conversation.stream.reader, &mut conversation.stream.writer);
        let stopped = writer.stopped();
        let serve = async {
            let (source, files) = self.find_files(link, id).await?;
            let lane = self.0.list_pool.lane(source.offer.number.0);
            let memory = FixedMemory::new(NAMES_MEMORY);
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
        let below = below.ok_or_else(not_found)?;
        let (source, files) = {
            let stream = &mut conversation.stream;
            let stopped = stream.writer.stopped();
            let found = self.find_files(link, id);
            run_until_interrupted(&mut stream.reader, stopped, found).await??
        };
        let opened = blocking::run(move || files.open(&below)).await;
        let content =
            opened.map_err(|_| RequestError::from(ClientError::Interrupted))?.map_err(refusal)?;
        let lane = Some(self.0.proof_pool.lane(source.offer.number.0));
        let proofs = ProofLimits { lane, permits: None };
        let prefix_cache = Some(self.prefix_cache());
        let block = BLOCK;
        let served = ServedFile { path, source: content, have, block, proofs, prefix_cache };
        let observer = SentBytes(source.counters.clone());
        let stream = &mut conversation.stream;
        let sent = tokio::select! {
            sent = get::serve(stream, served, &observer) => sent,
            () = source.ended() => {
                let why = "the offer has ended";
                return Err(RequestError::refused(RefusalCode::NotFound, why));
            }
        };
        let sent = sent.map_err(|error| match error {
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

    /// The offer with this id and its files, if it is for the client of the link and not settled. Waits while its pipe is
    /// read.
    async fn find_files(
        &self,
        link: &PeerLink,
        id: &str,
    ) -> Result<(OfferSource, Arc<OfferedFiles>), RequestError> {
        let id = OfferId::parse(id).ok_or_else(not_found)?;
        loop {
            let changed = self.changed();
            if let Some(source) = self.find_source(link, id).await?
                && let Some(files) = source.files()
            {
                return Ok((source, files));
            }
            let _ = timeout(POLL_INTERVAL, changed).await;
        }
    }

    /// The offer with this id, if it is for the client of the link and not settled. `None` while another process reads
    /// its pipe.
    async fn find_source(
        &self,
        link: &PeerLink,
        id: OfferId,
    ) -> Result<Option<OfferSource>, RequestError> {
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
struct SentBytes(Arc<TransferCounters>);

impl Observer for SentBytes {
    fn transferred(&self, bytes: u64) {
        self.0.add_served(bytes);
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
