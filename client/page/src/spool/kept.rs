//! Drops of runs that have ended: they go, unless an offer that is not settled needs them. Another process may deliver
//! it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::Utc;
use quiver_client::folders::Folders;
use quiver_client::peer_store::{OfferNumber, OfferedContent, OutgoingOffer, PeerStore};
use quiver_protocol::Timestamp;

use super::quota::SpoolCost;
use super::run_folder;

/// A drop that an offer needs.
#[derive(Debug)]
pub(super) struct KeptDrop {
    pub(super) path: PathBuf,
    pub(super) cost: SpoolCost,
    pub(super) offers: BTreeSet<OfferNumber>,
}

/// Removes the drops of runs that have ended, and returns those that offers need. Removes none if it is not known what
/// is offered. Blocks.
pub(super) fn sweep(spool: &Path, folders: &Folders) -> Vec<KeptDrop> {
    if !spool.exists() {
        return Vec::new();
    }
    let now = Timestamp(Utc::now());
    let offers = PeerStore::from_folders(folders).and_then(|store| store.outgoing_offers(now));
    let Ok(mut offers) = offers else { return Vec::new() };
    offers.retain(|offer| !offer.state.is_settled());
    let kept = run_folder::sweep(spool, |path| offers.iter().any(|offer| uses(offer, path)));
    let describe = |path: PathBuf| {
        let needed_by = offers.iter().filter(|offer| uses(offer, &path));
        let offers = needed_by.map(|offer| offer.number).collect();
        KeptDrop { cost: measure(&path), path, offers }
    };
    kept.into_iter().map(describe).collect()
}

fn uses(offer: &OutgoingOffer, folder: &Path) -> bool {
    match &offer.content {
        OfferedContent::Paths(paths) => {
            paths.iter().any(|offered| offered.path.starts_with(folder))
        }
        OfferedContent::Spool(_) => false,
    }
}

/// What the files below a folder take.
fn measure(folder: &Path) -> SpoolCost {
    let (mut cost, mut folders) = (SpoolCost::default(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => cost = cost.plus(SpoolCost::of_file(metadata.len())),
                // It is gone.
                Err(_) => {}
            }
        }
    }
    cost
}
