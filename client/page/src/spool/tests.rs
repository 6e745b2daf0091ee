//! The spool on a disk, without HTTP: what is stored, refused, used and removed.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use quiver_protocol::FilePath;

use super::*;

const ONE: DropId = DropId(1);
const TWO: DropId = DropId(2);

fn spool(folder: &Path, limit: u64) -> Arc<Spool> {
    let cache = folder.to_owned();
    let variable = move |name: &str| (name == "XDG_CACHE_HOME").then(|| cache.clone().into());
    Arc::new(Spool::new(&Folders::new(variable, None), limit))
}

fn store(spool: &Spool, id: DropId, path: &str, content: &str) -> Result<(), SpoolError> {
    let mut file = spool.start_file(id, content.len() as u64)?;
    let mut part = file.create()?;
    let (start, rest) = content.split_at(content.len() / 2);
    part.write_all(start.as_bytes())?;
    let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
    Ok(file.store(part, rest.as_bytes(), &FilePath::parse(path).unwrap(), modified)?)
}

impl Spool {
    fn has(&self, id: DropId) -> bool {
        self.drops.lock().drops.contains_key(&id)
    }
}

/// The files below a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn a_drop_has_16_hex_digits() {
    assert_eq!(DropId::parse("00000000000000aF"), Some(DropId(0xaf)));
    for text in [
        "",
        "af",
        "00000000000000ag",
        "../../../../../../",
        "+000000000000001",
        "00000000000000000",
    ] {
        assert_eq!(DropId::parse(text), None, "{text}");
    }
}

#[test]
fn files_keep_their_paths_and_times() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    store(&spool, ONE, "a.txt", "one").unwrap();
    store(&spool, ONE, "b/c/d.txt", "three").unwrap();
    store(&spool, ONE, "b/empty", "").unwrap();
    let lease = spool.lease(ONE).unwrap();
    let names: Vec<_> = lease.paths.iter().map(|path| path.file_name().unwrap()).collect();
    assert_eq!(names, ["a.txt", "b"]);
    let path = lease.paths[1].join("c/d.txt");
    assert_eq!(fs::read_to_string(&path).unwrap(), "three");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_millis(1500));
}

#[test]
fn no_file_takes_the_path_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    store(&spool, ONE, "a", "first").unwrap();
    for path in ["a", "a/b", "a/b/c"] {
        let error = store(&spool, ONE, path, "second").unwrap_err();
        assert!(matches!(error, SpoolError::Duplicate), "{path}: {error:?}");
    }
    store(&spool, ONE, "b/c", "third").unwrap();
    assert!(matches!(store(&spool, ONE, "b", "").unwrap_err(), SpoolError::Duplicate));
    store(&spool, TWO, "a", "other").unwrap();
    let lease = spool.lease(ONE).unwrap();
    assert_eq!(fs::read_to_string(&lease.paths[0]).unwrap(), "first");
    // Nothing is left of those that were refused.
    let spooled = files(folder.path());
    assert_eq!(spooled.iter().filter(|path| path.extension().is_none()).count(), 3, "{spooled:?}");
    assert!(spooled.iter().all(|path| !path.to_string_lossy().ends_with(".part")), "{spooled:?}");
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_received() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 20_000);
    assert!(matches!(store(&spool, ONE, "a", &"a".repeat(16_000)).unwrap_err(), SpoolError::Full));
    store(&spool, ONE, "a", &"a".repeat(10_000)).unwrap();
    assert!(matches!(spool.start_file(ONE, 5000).unwrap_err(), SpoolError::Full));
    // A file that is not received to its end gives its space back.
    drop(spool.start_file(ONE, 500).unwrap());
    assert!(spool.start_file(ONE, 500).is_ok());
}

#[tokio::test]
async fn a_discarded_drop_frees_its_space_and_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 30_000);
    store(&spool, ONE, "a", &"a".repeat(10_000)).unwrap();
    let mut receiving = spool.start_file(ONE, 10).unwrap();
    let part = receiving.create().unwrap();
    assert!(matches!(spool.lease(ONE).unwrap_err(), SpoolError::InUse));
    spool.discard(ONE).unwrap();
    receiving.discarded().await;
    // The page tries again with the same id.
    store(&spool, ONE, "b", "new").unwrap();
    assert!(matches!(spool.start_file(ONE, 10_000).unwrap_err(), SpoolError::Full));
    drop((receiving, part));
    let mut removed = spool.removed.lock().take().unwrap();
    let RemovedDrop { path, cost } = removed.recv().await.unwrap();
    run_folder::remove_drop(&path).unwrap();
    spool.quota.lock().release(cost);
    assert!(spool.start_file(ONE, 10_000).is_ok());
    assert_eq!(spool.lease(ONE).unwrap().paths[0].file_name().unwrap(), "b");
}

#[test]
fn a_drop_is_used_once_and_again_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    assert!(matches!(spool.lease(ONE).unwrap_err(), SpoolError::Unknown));
    store(&spool, ONE, "a", "content").unwrap();
    let lease = spool.lease(ONE).unwrap();
    assert!(matches!(spool.lease(ONE).unwrap_err(), SpoolError::InUse));
    assert!(matches!(spool.start_file(ONE, 1).unwrap_err(), SpoolError::InUse));
    assert!(matches!(spool.discard(ONE).unwrap_err(), SpoolError::InUse));
    drop(lease);
    spool.lease(ONE).unwrap().set_use(DropUse::Transfer(TransferId(7)));
    spool.settle_transfers(|_| DropFate::Needed);
    spool.lease(ONE).unwrap().set_use(DropUse::Transfer(TransferId(8)));
    spool
        .settle_transfers(|id| if id == TransferId(7) { DropFate::Over } else { DropFate::Needed });
    assert!(spool.has(ONE));
    spool.settle_transfers(|_| DropFate::Over);
    assert!(!spool.has(ONE));
}

#[test]
fn a_drop_that_is_offered_outlives_the_process_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    store(&spool, ONE, "a", "offered").unwrap();
    store(&spool, TWO, "b", "not used").unwrap();
    let lease = spool.lease(ONE).unwrap();
    lease.flush().unwrap();
    lease.set_use(DropUse::Offer(OfferNumber(3)));
    spool.settle_offers(&BTreeSet::from([OfferNumber(2)]));
    spool.close();
    let left = files(&folder.path().join("quiver/spool"));
    assert_eq!(left.iter().filter(|path| path.ends_with("files/a")).count(), 1, "{left:?}");
    assert_eq!(left.iter().filter(|path| path.ends_with("files/b")).count(), 0, "{left:?}");
}

#[test]
fn a_drop_whose_offer_is_settled_goes() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    store(&spool, ONE, "a", "offered").unwrap();
    spool.lease(ONE).unwrap().set_use(DropUse::Offer(OfferNumber(3)));
    spool.settle_offers(&BTreeSet::from([OfferNumber(3)]));
    assert!(!spool.has(ONE));
    spool.close();
    assert!(files(folder.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_drop_of_a_closed_tab_goes_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 1 << 30);
    store(&spool, ONE, "a", "content").unwrap();
    let receiving = spool.start_file(TWO, 1).unwrap();
    let later = Instant::now() + IDLE_LIMIT + Duration::from_secs(1);
    spool.remove_idle(Instant::now() + IDLE_LIMIT / 2);
    assert!(spool.has(ONE));
    spool.remove_idle(later);
    assert!(!spool.has(ONE) && spool.has(TWO));
    drop(receiving);
}
