//! A running `get` that moves to another connection, or continues there after a loss: neither end
//! hashes content twice.

use std::fs::File;
use std::future::pending;
use std::path::PathBuf;

use quiver_protocol::Request;
use quiver_protocol::chunk::BLOCK;
use quiver_transfer::get::{self, GetError, ServedFile, StoreOutcome};
use quiver_transfer::{
    HashedPrefix, ProofLimits, ReceiveProgress, ReplacePolicy, ResumableFile, Source,
    StorageTarget, TransferThrottle,
};
use quiver_transport::StreamError;
use tokio::sync::Notify;

use crate::peers::{
    RecordingObserver, Requester, Responder, TIMEOUT, TransferOutcome, content, path,
    with_two_connections,
};

/// More than can be in flight and read ahead, and not a multiple of the block size.
const SIZE: usize = 64 * BLOCK + 12_345;

/// What must be received before the file moves.
const MOVED_AT: u64 = 20 * BLOCK as u64 + 1;

/// Responds to one get with the file at `file`. Returns whether the requester confirmed it.
async fn serve(
    responder: &Responder,
    file: PathBuf,
    proofs: ProofLimits<'_>,
    observer: &RecordingObserver,
) -> bool {
    let (request, mut stream) = responder.request().await;
    let Request::Get { path, have } = request else { panic!("{request:?}") };
    let source = Source::new(File::open(file).unwrap()).unwrap();
    let file = ServedFile { path, source, have, block: BLOCK, proofs };
    match get::serve(&mut stream, file, observer).await {
        Ok(sent) => {
            sent.confirm(&mut stream.reader, TIMEOUT, observer.clone()).await.unwrap();
            true
        }
        Err(_) => false,
    }
}

/// Requests the file and stores it in the folder of `target`, until `moved` is notified.
async fn receive(
    requester: &Requester,
    partial: &ResumableFile,
    prefix: HashedPrefix,
    target: &StorageTarget,
    moved: impl Future<Output = ()>,
    progress: impl FnMut(ReceiveProgress),
) -> Result<StoreOutcome, GetError> {
    let have = (prefix.length() > 0).then(|| prefix.prefix());
    let file = get::fetch(&requester.channel, &path("file"), have, TIMEOUT).await.unwrap();
    assert_eq!(file.offset(), prefix.length());
    file.store(partial, prefix, target, &TransferThrottle::default(), moved, progress).await
}

fn target(requester: &Requester) -> StorageTarget {
    StorageTarget {
        folder: requester.folder.dir.clone(),
        name: "file".to_owned(),
        path: "file".into(),
        replace: ReplacePolicy::Never,
    }
}

/// Checks that the partial file keeps the hash state of its content: whole blocks.
async fn kept_prefix(partial: &ResumableFile) -> HashedPrefix {
    let kept = partial.kept_hash().await.unwrap().unwrap();
    let (length, file) = partial.content().await.unwrap();
    assert_eq!(length % BLOCK as u64, 0);
    assert!((MOVED_AT - BLOCK as u64..SIZE as u64).contains(&length), "{length}");
    let hashed = HashedPrefix::hash_file(&file, length).await.unwrap().unwrap();
    assert_eq!(kept.prefix(), hashed.prefix());
    kept
}

#[tokio::test]
async fn a_running_file_moves_to_another_connection_at_a_block_boundary() {
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        let bytes = content(SIZE);
        responder.folder.write("file", &bytes);
        let (served, target) = (responder.folder.path("file"), target(&requester));
        let partial = ResumableFile::open(requester.folder.dir.clone(), 1, false).await.unwrap();

        let (sent, moved) = (RecordingObserver::default(), Notify::new());
        let progress = |progress: ReceiveProgress| {
            if progress.received >= MOVED_AT {
                moved.notify_one();
            }
        };
        let nothing = HashedPrefix::empty();
        let (is_confirmed, outcome) = tokio::join!(
            serve(&responder, served.clone(), ProofLimits::default(), &sent),
            receive(&requester, &partial, nothing, &target, moved.notified(), progress),
        );
        assert_eq!((is_confirmed, outcome.unwrap()), (false, StoreOutcome::Moved));
        assert!(!requester.folder.path("file").exists());

        let kept = kept_prefix(&partial).await;
        let (offset, sent) = (kept.length(), RecordingObserver::default());
        let (is_confirmed, outcome) = tokio::join!(
            serve(&other_responder, served, ProofLimits::default(), &sent),
            receive(&other_requester, &partial, kept, &target, pending(), |_| {}),
        );
        let StoreOutcome::Stored(stored) = outcome.unwrap() else { panic!("moved again") };
        assert!(is_confirmed);
        assert_eq!((stored.size, stored.offset), (SIZE as u64, offset));
        assert_eq!(sent.transferred_bytes(), SIZE as u64 - offset);
        assert_eq!(sent.outcome(), Some(TransferOutcome::Succeeded(SIZE as u64)));
        assert_eq!(requester.folder.read("file"), bytes);
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_leaves_the_hash_of_the_partial_file() {
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        let bytes = content(SIZE);
        responder.folder.write("file", &bytes);
        let (served, target) = (responder.folder.path("file"), target(&requester));
        let partial = ResumableFile::open(requester.folder.dir.clone(), 1, false).await.unwrap();

        let sent = RecordingObserver::default();
        let progress = |progress: ReceiveProgress| {
            if progress.received >= MOVED_AT {
                responder.close();
            }
        };
        let nothing = HashedPrefix::empty();
        let (_, outcome) = tokio::join!(
            serve(&responder, served.clone(), ProofLimits::default(), &sent),
            receive(&requester, &partial, nothing, &target, pending(), progress),
        );
        let error = outcome.unwrap_err();
        assert!(matches!(error, GetError::Stream(StreamError::Lost(_))), "{error:?}");

        let kept = kept_prefix(&partial).await;
        let (is_confirmed, outcome) = tokio::join!(
            serve(&other_responder, served, ProofLimits::default(), &sent),
            receive(&other_requester, &partial, kept, &target, pending(), |_| {}),
        );
        assert!(is_confirmed && matches!(outcome.unwrap(), StoreOutcome::Stored(_)));
        assert_eq!(requester.folder.read("file"), bytes);
    })
    .await;
}
