//! `get` between two peers: whole, resumed and small files, and transfers that end early.

use std::fs::File;
use std::future::pending;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentHash, FrameError, FrameKind, Refusal, RefusalCode, Request, limits};
use quiver_transfer::get::{
    self, GetError, IncomingFile, ReceivedFile, ServeError, ServedFile, StoreOutcome,
};
use quiver_transfer::{
    HashedPrefix, PARTIAL_PREFIX, PARTIAL_SUFFIX, ProofLimits, ReceiveProgress, ReplacePolicy,
    ResumableFile, SMALL, SendError, Source, StorageTarget, TransferThrottle, store_new_file,
};
use quiver_transport::{CommandStream, StreamError};
use tokio::sync::Semaphore;

use crate::peers::{
    RecordingObserver, Requester, Responder, TIMEOUT, TransferOutcome, content, path,
    with_either_dialler,
};

/// More than is read ahead, and not a multiple of the block size.
const SIZE: usize = 5 * BLOCK + 12_345;

/// The outcome of serving a file.
#[derive(Debug)]
enum ServeOutcome {
    Confirmed,
    NotConfirmed(StreamError),
    NotSent(ServeError),
}

/// Responds to one get with `source`.
async fn serve(
    responder: &Responder,
    source: Source,
    proofs: ProofLimits<'_>,
    observer: &RecordingObserver,
) -> ServeOutcome {
    let (request, stream) = responder.request().await;
    respond(request, stream, source, proofs, observer).await
}

async fn respond(
    request: Request,
    mut stream: CommandStream,
    source: Source,
    proofs: ProofLimits<'_>,
    observer: &RecordingObserver,
) -> ServeOutcome {
    let Request::Get { path, have } = request else { panic!("{request:?}") };
    let file = ServedFile { path, source, have, block: BLOCK, proofs, prefix_cache: None };
    match get::serve(&mut stream, file, observer).await {
        Ok(sent) => match sent.confirm(&mut stream.reader, TIMEOUT, observer.clone()).await {
            Ok(()) => ServeOutcome::Confirmed,
            Err(error) => ServeOutcome::NotConfirmed(error),
        },
        Err(error) => {
            let refusal = Refusal::new(RefusalCode::Changed, error.to_string());
            // The receiver may have closed the stream.
            let _ = stream.refuse(&refusal).await;
            ServeOutcome::NotSent(error)
        }
    }
}

/// A file of the responder.
fn source(responder: &Responder, bytes: &[u8]) -> Source {
    responder.folder.write("file", bytes);
    Source::new(File::open(responder.folder.path("file")).unwrap()).unwrap().load().unwrap()
}

async fn fetch(requester: &Requester, have: &HashedPrefix) -> IncomingFile {
    let have = (have.length() > 0).then(|| have.prefix());
    get::fetch(&requester.channel, &path("file"), have, TIMEOUT).await.unwrap()
}

/// Where the requester stores the file.
fn target(requester: &Requester) -> StorageTarget {
    StorageTarget {
        folder: requester.folder.dir.clone(),
        name: "file".to_owned(),
        path: "file".into(),
        replace: ReplacePolicy::Never,
    }
}

/// The requester's partial file, with the content of an earlier attempt.
async fn partial(requester: &Requester, kept: &[u8]) -> ResumableFile {
    if !kept.is_empty() {
        requester.folder.write(&format!("{PARTIAL_PREFIX}{:016x}{PARTIAL_SUFFIX}", 1), kept);
    }
    let file = ResumableFile::open(&target(requester), 1, false).await.unwrap();
    assert_eq!(file.stored_bytes().get(), kept.len() as u64);
    file
}

/// Receives a file into its partial file, which has the prefix `prefix`, and stores it.
async fn store(
    requester: &Requester,
    file: IncomingFile,
    partial: &ResumableFile,
    prefix: HashedPrefix,
    progress: impl FnMut(ReceiveProgress),
) -> Result<ReceivedFile, GetError> {
    let (target, throttle) = (target(requester), TransferThrottle::default());
    match file.store(partial, prefix, &target, &throttle, pending(), progress).await? {
        StoreOutcome::Stored(stored) => Ok(stored),
        StoreOutcome::Moved => panic!("moved without a reason"),
    }
}

#[tokio::test]
async fn a_file_is_sent_completely_and_confirmed() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&responder, &bytes), RecordingObserver::default());
        let receive = async {
            let file = fetch(&requester, &HashedPrefix::empty()).await;
            assert_eq!((file.size(), file.offset()), (SIZE as u64, 0));
            let partial = partial(&requester, &[]).await;
            let mut stored_bytes = 0;
            let empty = HashedPrefix::empty();
            let progress = |progress: ReceiveProgress| stored_bytes = progress.stored;
            let stored = store(&requester, file, &partial, empty, progress).await.unwrap();
            assert_eq!(stored.blake3, ContentHash(*blake3::hash(&bytes).as_bytes()));
            assert_eq!(stored_bytes, SIZE as u64);
        };
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        assert!(matches!(outcome, ServeOutcome::Confirmed), "{outcome:?}");
        assert_eq!(requester.folder.read("file"), bytes);
        assert_eq!(
            (sent.transferred_bytes(), sent.outcome()),
            (SIZE as u64, Some(TransferOutcome::Succeeded(SIZE as u64)))
        );
    })
    .await;
}

#[tokio::test]
async fn a_verified_prefix_is_not_sent_again() {
    const PREFIX: usize = 2 * BLOCK + 77;
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&responder, &bytes), RecordingObserver::default());
        let permits = Semaphore::new(1);
        let proofs = ProofLimits { lane: None, permits: Some(&permits) };
        let receive = async {
            let have = HashedPrefix::hash_bytes(&bytes[..PREFIX]);
            let partial = partial(&requester, &bytes[..PREFIX]).await;
            let file = fetch(&requester, &have).await;
            assert_eq!(file.offset(), PREFIX as u64);
            let stored = store(&requester, file, &partial, have, |_| {});
            assert_eq!(stored.await.unwrap().offset, PREFIX as u64);
        };
        let (outcome, ()) = tokio::join!(serve(&responder, source, proofs, &sent), receive);
        assert!(matches!(outcome, ServeOutcome::Confirmed), "{outcome:?}");
        assert_eq!(requester.folder.read("file"), bytes);
        assert_eq!(sent.transferred_bytes(), (SIZE - PREFIX) as u64);
        assert_eq!(sent.outcome(), Some(TransferOutcome::Succeeded(SIZE as u64)));
    })
    .await;
}

#[tokio::test]
async fn a_file_with_another_prefix_is_sent_from_the_start() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&responder, &bytes), RecordingObserver::default());
        let receive = async {
            let other = vec![1; BLOCK];
            let partial = partial(&requester, &other).await;
            let have = HashedPrefix::hash_bytes(&other);
            let file = fetch(&requester, &have).await;
            assert_eq!(file.offset(), 0);
            let stored = store(&requester, file, &partial, have, |_| {});
            stored.await.unwrap();
        };
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        assert!(matches!(outcome, ServeOutcome::Confirmed), "{outcome:?}");
        assert_eq!(requester.folder.read("file"), bytes);
        assert_eq!(sent.transferred_bytes(), SIZE as u64);
    })
    .await;
}

#[tokio::test]
async fn a_small_file_is_received_in_memory() {
    for size in [0, 1, SMALL as usize] {
        with_either_dialler(async |requester, responder| {
            let bytes = content(size);
            let (source, sent) = (source(&responder, &bytes), RecordingObserver::default());
            let receive = async {
                let mut file = fetch(&requester, &HashedPrefix::empty()).await;
                assert!(file.is_small());
                let (received, verified) = file.receive_small().await.unwrap();
                // The file is not confirmed before it is stored.
                assert_eq!(sent.outcome(), None);
                store_new_file(&requester.folder.dir, "file", &received, file.attributes())
                    .unwrap();
                file.acknowledge(&verified, &TransferThrottle::default()).await;
            };
            let (outcome, ()) =
                tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
            assert!(matches!(outcome, ServeOutcome::Confirmed), "{outcome:?}");
            assert_eq!(requester.folder.read("file"), bytes);
            let end = Some(TransferOutcome::Succeeded(size as u64));
            assert_eq!((sent.transferred_bytes(), sent.outcome()), (size as u64, end));
        })
        .await;
    }
}

#[tokio::test]
async fn content_that_does_not_match_its_hash_is_not_stored_and_not_confirmed() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&responder, &bytes), RecordingObserver::default());
        let receive = async {
            let partial = partial(&requester, &bytes[..BLOCK]).await;
            let file = fetch(&requester, &HashedPrefix::hash_bytes(&bytes[..BLOCK])).await;
            // As if the disk had returned other bytes than those that were hashed.
            let other = HashedPrefix::hash_bytes(&vec![1; BLOCK]);
            let stored = store(&requester, file, &partial, other, |_| {});
            let error = stored.await.unwrap_err();
            assert!(
                matches!(error, GetError::Mismatch) && error.invalidates_partial(),
                "{error:?}"
            );
        };
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        let ServeOutcome::NotConfirmed(StreamError::Frame(FrameError::Truncated)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(!requester.folder.path("file").exists());
        assert!(matches!(sent.outcome(), Some(TransferOutcome::Failed(_))), "{:?}", sent.outcome());
    })
    .await;
}

#[tokio::test]
async fn the_receiver_is_told_that_the_file_changed() {
    with_either_dialler(async |requester, responder| {
        let source = source(&responder, &content(SIZE));
        responder.folder.write("file", &content(BLOCK));
        let receive = async {
            let partial = partial(&requester, &[]).await;
            let file = fetch(&requester, &HashedPrefix::empty()).await;
            let empty = HashedPrefix::empty();
            let stored = store(&requester, file, &partial, empty, |_| {});
            let error = stored.await.unwrap_err();
            let GetError::Stream(StreamError::Refused(refusal)) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(refusal.code, RefusalCode::Changed);
            assert!(error.invalidates_partial());
        };
        let sent = RecordingObserver::default();
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        let changed = ServeOutcome::NotSent(ServeError::Send(SendError::Changed));
        assert_eq!(format!("{outcome:?}"), format!("{changed:?}"));
        assert!(!requester.folder.path("file").exists());
        assert_eq!(sent.outcome(), None, "the caller of serve reports the error");
    })
    .await;
}

#[tokio::test]
async fn the_sender_stops_when_the_receiver_stops_reading() {
    // More than can be in flight and unread.
    const LARGE: usize = 32 * 1024 * 1024;
    with_either_dialler(async |requester, responder| {
        let source = source(&responder, &vec![7; LARGE]);
        let receive = async { drop(fetch(&requester, &HashedPrefix::empty()).await) };
        let sent = RecordingObserver::default();
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        let ServeOutcome::NotSent(ServeError::Send(SendError::Stream(_))) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(sent.transferred_bytes() < LARGE as u64);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_gives_up_cancels_its_proof() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let source = source(&responder, &bytes);
        // Another proof holds the only permit during the whole test.
        let permits = Semaphore::new(0);
        let proofs = ProofLimits { lane: None, permits: Some(&permits) };
        let sent = RecordingObserver::default();
        let have = HashedPrefix::hash_bytes(&bytes[..BLOCK]).prefix();
        let file = path("file");
        let (request, stream) = tokio::select! {
            _ = get::fetch(&requester.channel, &file, Some(have), TIMEOUT) => panic!("a response"),
            request = responder.request() => request,
        };
        let outcome = respond(request, stream, source, proofs, &sent).await;
        assert!(
            matches!(&outcome, ServeOutcome::NotSent(ServeError::Send(SendError::Stream(_)))),
            "{outcome:?}"
        );
        assert_eq!(sent.transferred_bytes(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_frame_from_the_receiver_during_content_ends_the_transfer() {
    // More than can be in flight and unread.
    const LARGE: usize = 32 * 1024 * 1024;
    with_either_dialler(async |requester, responder| {
        let source = source(&responder, &vec![7; LARGE]);
        let receive = async {
            let mut stream = requester.channel.open().await.unwrap();
            let request = Request::Get { path: path("file"), have: None }.encode();
            let CommandStream { reader, writer } = &mut stream;
            writer.write_frame(FrameKind::Request, &request).await.unwrap();
            writer.flush().await.unwrap();
            let head = reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
            assert_eq!(head.kind, FrameKind::Reply);
            writer.write_frame(FrameKind::Request, &request).await.unwrap();
            writer.flush().await.unwrap();
            loop {
                match reader.read_response(limits::FRAME, TIMEOUT).await {
                    Ok(frame) => assert_eq!(frame.kind, FrameKind::Data),
                    Err(StreamError::Refused(_)) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let sent = RecordingObserver::default();
        let (outcome, ()) =
            tokio::join!(serve(&responder, source, ProofLimits::default(), &sent), receive);
        let ServeOutcome::NotSent(ServeError::Send(SendError::Stream(StreamError::Frame(error)))) =
            outcome
        else {
            panic!("{outcome:?}")
        };
        assert_eq!(error, FrameError::Trailing);
        assert!(sent.transferred_bytes() < LARGE as u64);
    })
    .await;
}
