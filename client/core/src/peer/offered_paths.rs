//! The files of an offer: their names, how much there is, and the folder from which they are served.

use std::fs;
use std::io;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

use chrono::Utc;
use quiver_protocol::reply::EntryKind;
use quiver_protocol::text::display_path;
use quiver_protocol::{FilePath, OfferedEntry, Timestamp, limits};
use quiver_transfer::file_system::is_readable;
use quiver_transfer::is_partial_name;
use quiver_transfer::offered_files::{OfferedContent as ServedContent, OfferedFiles};
use tokio::sync::watch;

use super::Peers;
use super::offer_source::OfferSource;
use crate::error::{ClientError, PeerError};
use crate::peer_store::{
    OfferCounts, OfferedContent, OfferedPath, OutgoingOffer, PeerStore, SpoolState,
};
use crate::tasks::blocking;

/// What is offered, counted.
#[derive(Debug)]
pub(super) struct CountedPaths {
    pub(super) paths: Vec<OfferedPath>,
    pub(super) entries: Vec<OfferedEntry>,
    pub(super) counts: OfferCounts,
    pub(super) files: OfferedFiles,
}

/// Files and bytes below a path.
#[derive(Debug, Default, Clone, Copy)]
struct Amount {
    files: u64,
    bytes: u64,
}

/// Checks and counts paths as a person typed them. `offered_as` is the name of the only one, if it differs. Blocks.
///
/// # Errors
/// [`PeerError::NotOfferable`], [`PeerError::BadOfferName`], and [`ClientError::Source`] for a file or folder that cannot
/// be read.
pub(super) fn count_paths(
    typed: &[PathBuf],
    offered_as: Option<&str>,
) -> Result<CountedPaths, ClientError> {
    let mut paths = Vec::new();
    for path in typed {
        if let Err(source) = fs::metadata(path) {
            return Err(ClientError::Source { path: path.clone(), source });
        }
        let refused = |why: String| PeerError::NotOfferable { name: shown(path), why };
        let badly_named = |why: String| PeerError::BadOfferName { name: shown(path), why };
        // A path such as `..` or `photos/.` has no name of its own.
        let full = absolute(path).map_err(|error| refused(error.to_string()))?;
        let full = if full.file_name().is_none() || path.ends_with(".") || path.ends_with("..") {
            full.canonicalize().map_err(|error| refused(error.to_string()))?
        } else {
            full
        };
        let name = match (offered_as, full.file_name()) {
            (Some(name), _) => name.to_owned(),
            (None, Some(name)) => {
                let name =
                    name.to_str().ok_or_else(|| badly_named("its name is not UTF-8".into()))?;
                name.to_owned()
            }
            (None, None) => return Err(badly_named("it has no name".to_owned()).into()),
        };
        let name = offered_name(&name).map_err(badly_named)?;
        paths.push(OfferedPath { path: full, name });
    }
    let files = open_paths(&paths)?;
    let (mut entries, mut total) = (Vec::new(), Amount::default());
    for OfferedPath { path, name } in &paths {
        let kind = if path.is_dir() { EntryKind::Folder } else { EntryKind::File };
        let amount = count(path)?;
        total.files += amount.files;
        total.bytes = total.bytes.saturating_add(amount.bytes);
        if entries.len() < limits::OFFERED_NAMES {
            entries.push(OfferedEntry { name: name.clone(), kind, size: Some(amount.bytes) });
        }
    }
    let counts =
        OfferCounts { count: paths.len() as u64, files: total.files, bytes: Some(total.bytes) };
    Ok(CountedPaths { paths, entries, counts, files })
}

/// Checks a name at the top of an offer.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn offered_name(name: &str) -> Result<FilePath, String> {
    let path = FilePath::parse(name).map_err(|rule| rule.to_string())?;
    if path.parts().count() != 1 {
        return Err("it is a path where a name is expected".to_owned());
    }
    if name.starts_with('.') {
        return Err("names that begin with a dot are refused by the other side".to_owned());
    }
    Ok(path)
}

/// Counts what is served below a path: regular files that are no partial files, without links.
///
/// # Errors
/// [`ClientError::Source`] for a file or folder that cannot be read: it is not served, so the recipient would not get
/// everything that this person offers.
fn count(path: &Path) -> Result<Amount, ClientError> {
    let failed = |path: &Path, source| ClientError::Source { path: path.to_owned(), source };
    // The path itself may be a link, which the person has named.
    let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
    if metadata.is_file() {
        return Ok(Amount { files: 1, bytes: metadata.len() });
    }
    let (mut amount, mut folders) = (Amount::default(), vec![path.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
        for entry in entries.flatten() {
            let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
            let is_served = |name: &str| FilePath::parse(name).is_ok() && !is_partial_name(name);
            if !name.to_str().is_some_and(is_served) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Ok(metadata) = entry.metadata()
            {
                if !is_readable(rustix::fs::CWD, &entry.path(), false) {
                    return Err(failed(&entry.path(), io::ErrorKind::PermissionDenied.into()));
                }
                amount.files += 1;
                amount.bytes = amount.bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(amount)
}

fn open_paths(paths: &[OfferedPath]) -> Result<OfferedFiles, PeerError> {
    let mut files = OfferedFiles::default();
    for OfferedPath { path, name } in paths {
        files.add(name.as_str(), ServedContent::Path(path.clone())).map_err(|error| {
            PeerError::NotOfferable { name: shown(path), why: error.to_string() }
        })?;
    }
    Ok(files)
}

/// Opens the spool file of an offer, which has all of its content. Blocks.
pub(super) fn open_spool(path: &Path, name: &FilePath) -> Result<OfferedFiles, PeerError> {
    let failed = |why: String| PeerError::NotOfferable { name: name.to_string(), why };
    let open = || -> io::Result<ServedContent> {
        let file = fs::File::open(path)?;
        let modified = file.metadata()?.modified()?;
        Ok(ServedContent::OpenFile { file, modified })
    };
    let content = open().map_err(|error| failed(error.to_string()))?;
    let mut files = OfferedFiles::default();
    files.add(name.as_str(), content).map_err(|error| failed(error.to_string()))?;
    Ok(files)
}

impl Peers {
    /// Opens the files of an offer that another process, or an earlier one, has made. `None` while another process still
    /// reads its pipe. An offer whose pipe was not read to its end has failed.
    pub(super) async fn with_files(
        &self,
        offer: OutgoingOffer,
    ) -> Result<Option<OfferSource>, ClientError> {
        let OutgoingOffer { number, .. } = offer;
        let source = match offer.content.clone() {
            OfferedContent::Paths(paths) => {
                let opened = blocking(move || {
                    let entries = first_entries(&paths);
                    Ok(OfferSource::new(offer, entries, ready(open_paths(&paths)?)))
                });
                opened.await?
            }
            OfferedContent::Spool(name) => {
                let now = Timestamp(Utc::now());
                let read = move |store: &PeerStore| {
                    Ok((store.spool_state(number, now)?, store.spool_path(number)))
                };
                let (state, spool) = self.with_store(read).await?;
                let size = match state {
                    SpoolState::Complete(size) => Some(size),
                    SpoolState::Growing => return Ok(None),
                    SpoolState::Lost => {
                        let why = "standard input was not read to its end".to_owned();
                        let peers = self.clone();
                        let failure = PeerError::NotOfferable { name: name.to_string(), why };
                        let why = failure.to_string();
                        // A task of its own, because it waits for the recipient.
                        self.spawn(async move { peers.fail_offer(number, why).await });
                        return Err(failure.into());
                    }
                };
                let entry = OfferedEntry { name: name.clone(), kind: EntryKind::File, size };
                let opened = blocking(move || Ok(open_spool(&spool, &name)?));
                OfferSource::new(offer, vec![entry], ready(opened.await?))
            }
        };
        Ok(Some(source))
    }
}

/// The entries to announce, of the first paths.
pub(super) fn first_entries(paths: &[OfferedPath]) -> Vec<OfferedEntry> {
    let entry = |OfferedPath { path, name }: &OfferedPath| {
        let kind = if path.is_dir() { EntryKind::Folder } else { EntryKind::File };
        let size = count(path).ok().map(|amount| amount.bytes);
        OfferedEntry { name: name.clone(), kind, size }
    };
    paths.iter().take(limits::OFFERED_NAMES).map(entry).collect()
}

/// Files that are there already.
pub(super) fn ready(files: OfferedFiles) -> watch::Receiver<Option<Arc<OfferedFiles>>> {
    watch::channel(Some(Arc::new(files))).1
}

fn shown(path: &Path) -> String {
    display_path(path).to_string()
}
