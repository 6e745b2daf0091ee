//! A running `get` that moves to another connection, or continues there after a loss: neither end
//! hashes content twice.

use std::fs::{self, File};
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use quiver_protocol::Request;
use quiver_protocol::chunk::BLOCK;
use quiver_transfer::get::{self, GetError, ServedFile, StoreOutcome};
use quiver_transfer::{
    HashedPrefix, PrefixCache, ProofLimits, ReceiveProgress, ReplacePolicy, ResumableFile, Source,
    StorageTarget, TransferThrottle,
};
use quiver_transport::StreamError;
use tokio::sync::{Notify, Semaphore};

use crate::peers::{
    Folder, RecordingObserver, Requester, Responder, TIMEOUT, TransferOutcome, content, path,
    with_two_connections,
};

const BLOCK_BYTES: u64 = BLOCK as u64;

/// More than can be in flight and read ahead, and not a multiple of the block size.
const SIZE: usize = 64 * BLOCK + 12_345;

/// What must be received before the file moves.
const MOVED_AT: u64 = 20 * BLOCK_BYTES + 1;

/// A file that is sent over both connections.
struct Sender {
    file: PathBuf,
    cache: PrefixCache,
    /// Without a permit, no prefix can be hashed.
    proof_permits: Semaphore,
}

/// A file that is received over both connections.
struct Receiver {
    partial: ResumableFile,
    target: StorageTarget,
}

impl Sender {
    /// Sends a file that `responder` has, without hashing any prefix.
    fn new(responder: &Responder) -> Self {
        let file = responder.folder.path("file");
        Self { file, cache: PrefixCache::default(), proof_permits: Semaphore::new(0) }
    }

    /// Responds to one get. Returns whether the requester confirmed the file.
    async fn serve(&self, responder: &Responder, observer: &RecordingObserver) -> bool {
        let (request, mut stream) = responder.request().await;
        let Request::Get { path, have } = request else { panic!("{request:?}") };
        let source = Source::new(File::open(&self.file).unwrap()).unwrap();
        let proofs = ProofLimits { lane: None, permits: Some(&self.proof_permits) };
        let prefix_cache = Some(&self.cache);
        let file = ServedFile { path, source, have, block: BLOCK, proofs, prefix_cache };
        let Ok(sent) = get::serve(&mut stream, file, observer).await else { return false };
        sent.confirm(&mut stream.reader, TIMEOUT, observer.clone()).await.unwrap();
        true
    }
}

impl Receiver {
    async fn new(folder: &Folder) -> Self {
        let target = StorageTarget {
            folder: Arc::clone(&folder.dir),
            name: "file".to_owned(),
            path: "file".into(),
            replace: ReplacePolicy::Never,
        };
        let partial = ResumableFile::open(&target, 1, false).await.unwrap();
        Self { partial, target }
    }

    /// Requests the content after `prefix`, and stores the file unless `moved` resolves.
    async fn receive(
        &self,
        requester: &Requester,
        prefix: HashedPrefix,
        moved: impl Future<Output = ()>,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<StoreOutcome, GetError> {
        let have = (prefix.length() > 0).then(|| prefix.prefix());
        let file = get::fetch(&requester.channel, &path("file"), have, TIMEOUT).await.unwrap();
        let throttle = TransferThrottle::default();
        file.store(&self.partial, prefix, &self.target, &throttle, moved, progress).await
    }

    /// Requests the file, until it moves after `moved_at` bytes.
    async fn receive_until_moved(&self, requester: &Requester, moved_at: u64) {
        let moved = Notify::new();
        let progress = |progress: ReceiveProgress| {
            if progress.received >= moved_at {
                moved.notify_one();
            }
        };
        let outcome = self.receive(requester, HashedPrefix::empty(), moved.notified(), progress);
        assert_eq!(outcome.await.unwrap(), StoreOutcome::Moved);
    }

    /// The hash state that the partial file kept: that of its content, which is whole blocks.
    async fn kept_hash(&self) -> HashedPrefix {
        let kept = self.partial.kept_hash().await.unwrap().unwrap();
        let (length, file) = self.partial.content().await.unwrap();
        assert_eq!(length % BLOCK_BYTES, 0);
        assert!((MOVED_AT - BLOCK_BYTES..SIZE as u64).contains(&length), "{length}");
        let hashed = HashedPrefix::hash_file(&file, length).await.unwrap().unwrap();
        assert_eq!(kept.prefix(), hashed.prefix());
        kept
    }
}

#[tokio::test]
async fn a_running_file_moves_to_another_connection_at_a_block_boundary() {
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        let bytes = content(SIZE);
        responder.folder.write("file", &bytes);
        let (sender, receiver) = (Sender::new(&responder), Receiver::new(&requester.folder).await);
        let sent = RecordingObserver::default();
        let (is_confirmed, ()) = tokio::join!(
            sender.serve(&responder, &sent),
            receiver.receive_until_moved(&requester, MOVED_AT)
        );
        assert!(!is_confirmed && !requester.folder.path("file").exists());

        let kept = receiver.kept_hash().await;
        let (offset, sent) = (kept.length(), RecordingObserver::default());
        let (is_confirmed, outcome) = tokio::join!(
            sender.serve(&other_responder, &sent),
            receiver.receive(&other_requester, kept, pending(), |_| {}),
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
async fn a_file_continues_after_a_loss_without_being_hashed_again() {
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        let bytes = content(SIZE);
        responder.folder.write("file", &bytes);
        let (sender, receiver) = (Sender::new(&responder), Receiver::new(&requester.folder).await);
        let sent = RecordingObserver::default();
        let progress = |progress: ReceiveProgress| {
            if progress.received >= MOVED_AT {
                responder.close();
            }
        };
        let (is_confirmed, outcome) = tokio::join!(
            sender.serve(&responder, &sent),
            receiver.receive(&requester, HashedPrefix::empty(), pending(), progress),
        );
        let error = outcome.unwrap_err();
        assert!(matches!(error, GetError::Stream(StreamError::Lost(_))), "{error:?}");
        assert!(!is_confirmed);

        let kept = receiver.kept_hash().await;
        let (is_confirmed, outcome) = tokio::join!(
            sender.serve(&other_responder, &sent),
            receiver.receive(&other_requester, kept, pending(), |_| {}),
        );
        assert!(is_confirmed && matches!(outcome.unwrap(), StoreOutcome::Stored(_)));
        assert_eq!(requester.folder.read("file"), bytes);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_changed_before_it_moved_is_hashed_and_sent_from_the_start() {
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        responder.folder.write("file", &content(SIZE));
        let (sender, receiver) = (Sender::new(&responder), Receiver::new(&requester.folder).await);
        let sent = RecordingObserver::default();
        let (_, ()) = tokio::join!(
            sender.serve(&responder, &sent),
            receiver.receive_until_moved(&requester, MOVED_AT)
        );

        // The same size and time of modification.
        let modified = fs::metadata(&sender.file).unwrap().modified().unwrap();
        let changed = vec![7; SIZE];
        responder.folder.write("file", &changed);
        File::options().write(true).open(&sender.file).unwrap().set_modified(modified).unwrap();
        sender.proof_permits.add_permits(1);
        let kept = receiver.kept_hash().await;
        let (_, outcome) = tokio::join!(
            sender.serve(&other_responder, &sent),
            receiver.receive(&other_requester, kept, pending(), |_| {}),
        );
        let StoreOutcome::Stored(stored) = outcome.unwrap() else { panic!("moved again") };
        assert_eq!(stored.offset, 0);
        assert_eq!(requester.folder.read("file"), changed);
    })
    .await;
}

/// Bytes that this process has read from files.
fn read_bytes() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}

#[tokio::test]
async fn nothing_is_read_again_after_a_move() {
    const LARGE: u64 = 256 * BLOCK_BYTES;
    if std::env::var_os("NEXTEST").is_none() {
        println!("SKIPPED: other tests in this process read files too");
        return;
    }
    with_two_connections(async |requester, responder, other_requester, other_responder| {
        responder.folder.write("file", &[]);
        let (sender, receiver) = (Sender::new(&responder), Receiver::new(&requester.folder).await);
        File::options().write(true).open(&sender.file).unwrap().set_len(LARGE).unwrap();
        let (first, second) = (RecordingObserver::default(), RecordingObserver::default());
        let before = read_bytes();
        let (_, ()) = tokio::join!(
            sender.serve(&responder, &first),
            receiver.receive_until_moved(&requester, LARGE * 3 / 10)
        );
        let kept = receiver.partial.kept_hash().await.unwrap().unwrap();
        let offset = kept.length();
        let (is_confirmed, outcome) = tokio::join!(
            sender.serve(&other_responder, &second),
            receiver.receive(&other_requester, kept, pending(), |_| {}),
        );
        assert!(is_confirmed && matches!(outcome.unwrap(), StoreOutcome::Stored(_)));
        let read = read_bytes() - before;
        let (sent, rest) = (first.transferred_bytes(), second.transferred_bytes());
        println!("{read} bytes read; {sent} sent, {offset} of them stored, then {rest} sent");
        assert_eq!(rest, LARGE - offset);
        assert!(sent > offset, "nothing was on its way");
        assert!((LARGE..LARGE + 300 * 1024).contains(&read));
    })
    .await;
}
