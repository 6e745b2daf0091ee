//! A file that one client of a pair offers to the other one, which accepts it at once.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use quiver_client::TransferEnd;
use quiver_client::peer_event::PeerEvent;
use quiver_client::request::{AcceptRequest, OfferRequest, UploadContent};
use quiver_e2e::{wait_until, wait_within};
use quiver_protocol::OfferId;
use tokio::task::JoinHandle;

use crate::lab_pair::LabPair;

/// What each 32 bytes of the file begin with; the rest is their number.
pub(crate) const PATTERN: &[u8; 24] = b"part of the offered file";

/// How long a transfer may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);

/// A running transfer from Ben to Ron.
#[derive(Debug)]
pub(crate) struct OfferedFile {
    id: OfferId,
    content: Vec<u8>,
    target: PathBuf,
    delivery: JoinHandle<Result<(), String>>,
    storing: JoinHandle<TransferEnd>,
}

impl OfferedFile {
    /// Lets Ben offer a file of `size` bytes, and Ron accept it.
    pub(crate) async fn start(pair: &LabPair, size: usize) -> Self {
        let [ben, ron] = &pair.clients;
        let numbers = 0..u64::try_from(size / 32).unwrap();
        let content: Vec<u8> =
            numbers.flat_map(|number| [&PATTERN[..], &number.to_be_bytes()].concat()).collect();
        let source = pair.homes[0].folder().join("offered.bin");
        fs::write(&source, &content).unwrap();
        let folder = pair.homes[1].folder().join("received");
        fs::create_dir_all(&folder).unwrap();
        let request = OfferRequest {
            to: ron.name(),
            content: UploadContent::Paths(vec![source]),
            offered_as: None,
        };
        let offer = ben.run(|client| async move { client.offer(request).await.unwrap() }).await;
        let number = offer.number;
        let delivery = ben.spawn(move |client| async move {
            client.deliver(number, false).await.map_err(|error| error.to_string())
        });
        let incoming = ron.wait_for_event("an offer", |event| match event {
            PeerEvent::OfferReceived(offer) => Some(offer.number),
            _ => None,
        });
        let (number, target) = (incoming.await, folder.join("offered.bin"));
        let storing = ron.spawn(move |client| async move {
            let request = AcceptRequest { folder, ..AcceptRequest::default() };
            client.accept_offer(number, request).await.unwrap().wait().await
        });
        Self { id: offer.id, content, target, delivery, storing }
    }

    /// Waits until Ben has sent this share of the file.
    pub(crate) async fn wait_for_percent(&self, pair: &LabPair, percent: u64) {
        let size = self.size();
        let is_sent = || pair.clients[0].sent_bytes(self.id) * 100 >= size * percent;
        wait_until("a part of the file", is_sent).await;
    }

    /// Waits for the end of the transfer, checks the stored file, and returns how many bytes Ben has sent.
    pub(crate) async fn finish(self, pair: &LabPair) -> u64 {
        let Self { id, content, target, delivery, storing } = self;
        let mut sent = 0;
        // The client forgets the count when it has the confirmation.
        let count = async {
            loop {
                sent = sent.max(pair.clients[0].sent_bytes(id));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let stored = wait_within(TRANSFER_TIMEOUT, "a stored file", async {
            tokio::select! {
                stored = storing => stored.unwrap(),
                never = count => never,
            }
        });
        let stored = stored.await;
        assert!(matches!(stored, TransferEnd::Done), "{stored:?}");
        let delivered = wait_within(TRANSFER_TIMEOUT, "a confirmation", delivery).await;
        assert_eq!(delivered.unwrap(), Ok(()));
        assert!(fs::read(target).unwrap() == content, "the stored file differs");
        sent
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.content.len() as u64
    }
}
