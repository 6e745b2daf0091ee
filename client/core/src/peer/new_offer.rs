//! Makes offers: of files and folders, or of a stream that is copied to a temporary file while its recipient is asked.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use chrono::Utc;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{FilePath, OfferId, OfferedEntry, Timestamp};
use quiver_transfer::file_system::sync_file;
use tokio::sync::{oneshot, watch};
use tracing::debug;

use super::offer_source::OfferSource;
use super::offered_paths::{self, CountedPaths};
use super::{Peers, random_id};
use crate::error::{ClientError, InvalidRequest, PeerError};
use crate::peer_event::PeerEvent;
use crate::peer_store::{
    NewOffer, OfferCounts, OfferLock, OfferNumber, OfferedContent, OutgoingOffer, OutgoingState,
    PeerStore,
};
use crate::request::{OfferRequest, UploadContent};
use crate::tasks::blocking;
use crate::unix;

impl Peers {
    /// Records an offer, and announces it on the links with its recipient.
    ///
    /// # Errors
    /// [`PeerError::NotOfferable`], [`PeerError::BadOfferName`], [`InvalidRequest`], [`PeerError::Store`].
    pub(crate) async fn make_offer(
        &self,
        request: OfferRequest,
    ) -> Result<OutgoingOffer, ClientError> {
        let OfferRequest { to, content, offered_as } = request;
        match content {
            UploadContent::Paths(paths) => {
                if offered_as.is_some() && paths.len() != 1 {
                    return Err(InvalidRequest::NameForSeveral.into());
                }
                let counted =
                    blocking(move || offered_paths::count_paths(&paths, offered_as.as_deref()));
                let CountedPaths { paths, entries, counts, files } = counted.await?;
                let new = self.new_offer(to, OfferedContent::Paths(paths), counts)?;
                let offer = self.with_store(move |store| store.add_outgoing(new)).await?;
                let files = offered_paths::ready(files);
                self.add_source(OfferSource::new(offer.clone(), entries, files));
                Ok(offer)
            }
            UploadContent::Stream(stream) => {
                let name = offered_as.ok_or(InvalidRequest::StreamWithoutName)?;
                let name = offered_paths::offered_name(&name)
                    .map_err(|why| PeerError::BadOfferName { name, why })?;
                self.offer_stream(to, name, stream).await
            }
        }
    }

    fn new_offer(
        &self,
        recipient: quiver_protocol::ClientName,
        content: OfferedContent,
        counts: OfferCounts,
    ) -> Result<NewOffer, ClientError> {
        let (id, server) = (OfferId(random_id()?), self.session()?.server_ref().clone());
        let created = Timestamp(Utc::now());
        Ok(NewOffer { id, server, recipient, key: None, content, counts, created })
    }

    async fn offer_stream(
        &self,
        to: quiver_protocol::ClientName,
        name: FilePath,
        stream: Box<dyn Read + Send>,
    ) -> Result<OutgoingOffer, ClientError> {
        let counts = OfferCounts { count: 1, files: 1, bytes: None };
        let content = OfferedContent::Spool(name.clone());
        let new = self.new_offer(to, content, counts)?;
        let added = self.with_store(move |store| {
            let (offer, lock) = store.add_spooled(new)?;
            let spool = store.spool_path(offer.number);
            Ok((offer, lock, spool))
        });
        let (offer, lock, spool) = added.await?;
        let number = offer.number;
        let entry = OfferedEntry { name: name.clone(), kind: EntryKind::File, size: None };
        let (ready, files) = watch::channel(None);
        let copied = copy_on_thread(stream, &spool, lock)?;
        self.add_source(OfferSource::new(offer.clone(), vec![entry], files));
        let peers = self.clone();
        self.spawn(async move {
            let opened = async {
                let copied = copied.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
                let (bytes, lock) =
                    copied.map_err(|source| ClientError::Source { path: "-".into(), source })?;
                let counts = OfferCounts { bytes: Some(bytes), ..counts };
                let record = move |store: &PeerStore| {
                    store.set_outgoing_counts(number, counts)?;
                    // Not before the size is recorded: other processes would take the content for lost.
                    drop(lock);
                    Ok(())
                };
                peers.with_store(record).await?;
                blocking(move || Ok(offered_paths::open_spool(&spool, &name)?)).await
            };
            match opened.await {
                Ok(files) => {
                    drop(ready.send(Some(Arc::new(files))));
                    peers.notify_changed();
                }
                Err(error) => {
                    debug!(%error, "standard input cannot be offered");
                    peers.fail_offer(number, error.to_string()).await;
                }
            }
        });
        Ok(offer)
    }

    /// Ends an offer that cannot be served, and tells its recipient, who might accept it else.
    pub(super) async fn fail_offer(&self, number: OfferNumber, why: String) {
        let (state, now) = (OutgoingState::Failed(why), Timestamp(Utc::now()));
        let failed = self.with_store(move |store| store.set_outgoing_state(number, state, now));
        let OutgoingOffer { id, recipient: to, key, state, .. } = match failed.await {
            Ok(offer) => offer,
            Err(error) => {
                debug!(%error, "an offer was settled before");
                return;
            }
        };
        self.remove_source(id);
        self.publish(PeerEvent::OfferEnded { number, to: to.clone(), state }).await;
        for link in self.links().iter().filter(|link| link.is_with(&to) && key == Some(link.key()))
        {
            self.tell_withdrawn(link, id).await;
        }
        self.notify_changed();
    }
}

/// Copies a stream to a private file on a thread of its own, which the program does not wait for: a pipe may never
/// end. Returns the size of the file, which is flushed to the disk, and the lock of its offer.
fn copy_on_thread(
    mut stream: Box<dyn Read + Send>,
    spool: &Path,
    lock: OfferLock,
) -> Result<oneshot::Receiver<io::Result<(u64, OfferLock)>>, ClientError> {
    let (sender, copied) = oneshot::channel();
    let path = spool.to_owned();
    let copy = move || {
        let copied = unix::create_private(&path).and_then(|mut file| {
            let bytes = io::copy(&mut stream, &mut file)?;
            sync_file(&file)?;
            Ok((bytes, lock))
        });
        // Fails if the client has ended.
        let _ = sender.send(copied);
    };
    let failed = |source| ClientError::System { what: "cannot read standard input", source };
    thread::Builder::new().name("spool".to_owned()).spawn(copy).map_err(failed)?;
    Ok(copied)
}
