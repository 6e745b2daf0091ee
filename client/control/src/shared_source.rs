//! What the connections with other processes share: the transfers of this one, and their numbers.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::numbers::TransferNumbers;
use crate::socket_folder::SocketFolder;
use crate::source::TransferSource;
use crate::view::TransferView;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct SharedSource {
    pub(crate) source: Arc<dyn TransferSource>,
    folder: Arc<SocketFolder>,
    numbers: Mutex<TransferNumbers>,
}

impl SharedSource {
    pub(crate) fn new(source: Arc<dyn TransferSource>, folder: Arc<SocketFolder>) -> Self {
        Self { source, folder, numbers: Mutex::default() }
    }

    /// The transfers with their numbers.
    pub(crate) async fn transfers(&self) -> Vec<TransferView> {
        let mut transfers = self.source.transfers();
        self.numbers.lock().await.set(&self.folder, &mut transfers).await;
        transfers
    }

    /// The entries of the journal that this process runs.
    pub(crate) fn journal(&self) -> Vec<String> {
        self.source.journal_ids().into_iter().map(|id| format!("{id:016x}")).collect()
    }
}
