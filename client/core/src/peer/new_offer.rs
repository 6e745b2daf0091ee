//! Makes offers: of files and folders, or of a stream that is copied to a temporary file while its recipient is asked.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use chrono::Utc;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::{FilePath, OfferId, OfferedEntry, Timestamp};
use tokio::sync::{oneshot, watch};
use tracing::debug;

use super::offered_paths::{self, CountedPaths};
use super::outgoing::OfferSource;
use super::{Peers, random_id};
use crate::error::{ClientError, InvalidRequest, PeerError};
use crate::peer_store::{NewOffer, OfferCounts, OfferNumber, OfferedContent, OutgoingOffer};
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
                let counted = blocking(move || {
                    Ok(offered_paths::count_paths(&paths, offered_as.as_deref())?)
                });
                let CountedPaths { paths, entries, counts, files } = counted.await?;
                let offer = self.add_offer(to, OfferedContent::Paths(paths), counts).await?;
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

    async fn add_offer(
        &self,
        recipient: quiver_protocol::ClientName,
        content: OfferedContent,
        counts: OfferCounts,
    ) -> Result<OutgoingOffer, ClientError> {
        let (id, server) = (OfferId(random_id()?), self.session()?.server_ref().clone());
        let created = Timestamp(Utc::now());
        let offer = NewOffer { id, server, recipient, key: None, content, counts, created };
        self.with_store(move |store| store.add_outgoing(offer)).await
    }

    async fn offer_stream(
        &self,
        to: quiver_protocol::ClientName,
        name: FilePath,
        stream: Box<dyn Read + Send>,
    ) -> Result<OutgoingOffer, ClientError> {
        let counts = OfferCounts { count: 1, files: 1, bytes: None };
        let offer = self.add_offer(to, OfferedContent::Spool(name.clone()), counts).await?;
        let number = offer.number;
        let spool = self.with_store(move |store| Ok(store.spool_path(number))).await?;
        let entry = OfferedEntry { name: name.clone(), kind: EntryKind::File, size: None };
        let (ready, files) = watch::channel(None);
        let copied = copy_on_thread(stream, &spool)?;
        self.add_source(OfferSource::new(offer.clone(), vec![entry], files));
        let peers = self.clone();
        self.spawn(async move {
            let opened = async {
                let bytes = copied.await.unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
                let bytes =
                    bytes.map_err(|source| ClientError::Source { path: "-".into(), source })?;
                let counts = OfferCounts { bytes: Some(bytes), ..counts };
                peers.with_store(move |store| store.set_outgoing_counts(number, counts)).await?;
                blocking(move || Ok(offered_paths::open_spool(&spool, &name)?)).await
            };
            match opened.await {
                Ok(files) => drop(ready.send(Some(Arc::new(files)))),
                Err(error) => {
                    debug!(%error, "standard input cannot be offered");
                    peers.fail_offer(number, &error).await;
                }
            }
        });
        Ok(offer)
    }

    /// Ends an offer that cannot be served.
    async fn fail_offer(&self, number: OfferNumber, error: &ClientError) {
        let (state, now) =
            (crate::peer_store::OutgoingState::Failed(error.to_string()), Timestamp(Utc::now()));
        let failed = self.with_store(move |store| store.set_outgoing_state(number, state, now));
        if let Err(error) = failed.await {
            debug!(%error, "an offer was settled before");
        }
        self.notify_changed();
    }
}

/// Copies a stream to a private file on a thread of its own, which the program does not wait for: a pipe may never
/// end. Returns its size.
fn copy_on_thread(
    mut stream: Box<dyn Read + Send>,
    spool: &Path,
) -> Result<oneshot::Receiver<io::Result<u64>>, ClientError> {
    let (sender, copied) = oneshot::channel();
    let path = spool.to_owned();
    let copy = move || {
        let copied = unix::create_private(&path).and_then(|mut file| {
            let bytes = io::copy(&mut stream, &mut file)?;
            Ok(bytes)
        });
        // Fails if the client has ended.
        let _ = sender.send(copied);
    };
    let failed = |source| ClientError::System { what: "cannot read standard input", source };
    thread::Builder::new().name("spool".to_owned()).spawn(copy).map_err(failed)?;
    Ok(copied)
}
