//! `get` between two bare ends: a file whole, resumed, small; and what ends it early.

use std::fs::File;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentHash, FrameError, FrameKind, Refusal, RefusalCode, Request, limits};
use quiver_transfer::get::{self, GetError, IncomingFile, ReceivedFile, ServeError, ServedFile};
use quiver_transfer::{
    HashedPrefix, PARTIAL_PREFIX, PARTIAL_SUFFIX, ProofLimits, ReceiveProgress, ReplacePolicy,
    ResumableFile, SMALL, SendError, Source, StorageTarget, TransferThrottle, store_new_file,
};
use quiver_transport::{CommandStream, StreamError};
use tokio::sync::Semaphore;

use crate::ends::{Answering, Asking, Ending, Heard, PATIENCE, content, path, whoever_dialled};

/// More than what is read ahead, and no whole number of blocks.
const SIZE: usize = 5 * BLOCK + 12_345;

/// How serving a file ended.
#[derive(Debug)]
enum Served {
    Confirmed,
    NotConfirmed(StreamError),
    NotSent(ServeError),
}

/// Answers one get with `source`.
async fn serve(
    answering: &Answering,
    source: Source,
    proofs: ProofLimits<'_>,
    observer: &Heard,
) -> Served {
    let (request, stream) = answering.request().await;
    answer(request, stream, source, proofs, observer).await
}

async fn answer(
    request: Request,
    mut stream: CommandStream,
    source: Source,
    proofs: ProofLimits<'_>,
    observer: &Heard,
) -> Served {
    let Request::Get { path, have } = request else { panic!("{request:?}") };
    let file = ServedFile { path, source, have, block: BLOCK, proofs };
    match get::serve(&mut stream, file, observer).await {
        Ok(sent) => match sent.confirm(&mut stream.reader, PATIENCE, observer.clone()).await {
            Ok(()) => Served::Confirmed,
            Err(error) => Served::NotConfirmed(error),
        },
        Err(error) => {
            let refusal = Refusal::new(RefusalCode::Changed, error.to_string());
            // The receiver may have gone.
            let _ = stream.refuse(&refusal).await;
            Served::NotSent(error)
        }
    }
}

/// A file of the answering end.
fn source(answering: &Answering, bytes: &[u8]) -> Source {
    answering.folder.write("file", bytes);
    Source::new(File::open(answering.folder.path("file")).unwrap()).unwrap().load().unwrap()
}

async fn fetch(asking: &Asking, have: &HashedPrefix) -> IncomingFile {
    let have = (have.length() > 0).then(|| have.prefix());
    get::fetch(&asking.channel, &path("file"), have, PATIENCE).await.unwrap()
}

/// The partial file of the asking end, with what an earlier attempt left in it.
async fn partial(asking: &Asking, left: &[u8]) -> ResumableFile {
    if !left.is_empty() {
        asking.folder.write(&format!("{PARTIAL_PREFIX}{:016x}{PARTIAL_SUFFIX}", 1), left);
    }
    let file = ResumableFile::open(asking.folder.dir.clone(), 1, false).await.unwrap();
    assert_eq!(file.stored_bytes().get(), left.len() as u64);
    file
}

/// Receives a file into its partial file, which begins with `beginning`, and stores it.
async fn store(
    asking: &Asking,
    file: IncomingFile,
    partial: &ResumableFile,
    beginning: HashedPrefix,
    progress: impl FnMut(ReceiveProgress),
) -> Result<ReceivedFile, GetError> {
    let target = StorageTarget {
        folder: asking.folder.dir.clone(),
        name: "file".to_owned(),
        path: "file".into(),
        replace: ReplacePolicy::Never,
    };
    file.store(partial, beginning, &target, &TransferThrottle::default(), progress).await
}

#[tokio::test]
async fn a_file_is_sent_whole_and_confirmed() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&answering, &bytes), Heard::default());
        let receive = async {
            let file = fetch(&asking, &HashedPrefix::empty()).await;
            assert_eq!((file.size(), file.offset()), (SIZE as u64, 0));
            let partial = partial(&asking, &[]).await;
            let mut most = 0;
            let nothing = HashedPrefix::empty();
            let progress = |arrival: ReceiveProgress| most = arrival.stored;
            let stored = store(&asking, file, &partial, nothing, progress).await.unwrap();
            assert_eq!(stored.blake3, ContentHash(*blake3::hash(&bytes).as_bytes()));
            assert_eq!(most, SIZE as u64);
        };
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        assert!(matches!(served, Served::Confirmed), "{served:?}");
        assert_eq!(asking.folder.read("file"), bytes);
        assert_eq!((sent.moved(), sent.end()), (SIZE as u64, Some(Ending::Succeeded(SIZE as u64))));
    })
    .await;
}

#[tokio::test]
async fn what_the_receiver_proves_to_have_is_not_sent_again() {
    const LEFT: usize = 2 * BLOCK + 77;
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&answering, &bytes), Heard::default());
        let permits = Semaphore::new(1);
        let proofs = ProofLimits { lane: None, permits: Some(&permits) };
        let receive = async {
            let have = HashedPrefix::hash_bytes(&bytes[..LEFT]);
            let partial = partial(&asking, &bytes[..LEFT]).await;
            let file = fetch(&asking, &have).await;
            assert_eq!(file.offset(), LEFT as u64);
            let stored = store(&asking, file, &partial, have, |_| {});
            assert_eq!(stored.await.unwrap().offset, LEFT as u64);
        };
        let (served, ()) = tokio::join!(serve(&answering, source, proofs, &sent), receive);
        assert!(matches!(served, Served::Confirmed), "{served:?}");
        assert_eq!(asking.folder.read("file"), bytes);
        assert_eq!(sent.moved(), (SIZE - LEFT) as u64);
        assert_eq!(sent.end(), Some(Ending::Succeeded(SIZE as u64)));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_begins_otherwise_is_sent_from_its_beginning() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&answering, &bytes), Heard::default());
        let receive = async {
            let other = vec![1; BLOCK];
            let partial = partial(&asking, &other).await;
            let have = HashedPrefix::hash_bytes(&other);
            let file = fetch(&asking, &have).await;
            assert_eq!(file.offset(), 0);
            let stored = store(&asking, file, &partial, have, |_| {});
            stored.await.unwrap();
        };
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        assert!(matches!(served, Served::Confirmed), "{served:?}");
        assert_eq!(asking.folder.read("file"), bytes);
        assert_eq!(sent.moved(), SIZE as u64);
    })
    .await;
}

#[tokio::test]
async fn a_small_file_is_received_in_memory() {
    for size in [0, 1, SMALL as usize] {
        whoever_dialled(async |asking, answering| {
            let bytes = content(size);
            let (source, sent) = (source(&answering, &bytes), Heard::default());
            let receive = async {
                let mut file = fetch(&asking, &HashedPrefix::empty()).await;
                assert!(file.is_small());
                let (received, verified) = file.receive_small().await.unwrap();
                // Not confirmed before it is stored.
                assert_eq!(sent.end(), None);
                store_new_file(&asking.folder.dir, "file", &received, file.attributes()).unwrap();
                file.acknowledge(&verified, &TransferThrottle::default()).await;
            };
            let (served, ()) =
                tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
            assert!(matches!(served, Served::Confirmed), "{served:?}");
            assert_eq!(asking.folder.read("file"), bytes);
            let end = Some(Ending::Succeeded(size as u64));
            assert_eq!((sent.moved(), sent.end()), (size as u64, end));
        })
        .await;
    }
}

#[tokio::test]
async fn content_that_does_not_match_its_hash_is_not_stored_and_not_confirmed() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let (source, sent) = (source(&answering, &bytes), Heard::default());
        let receive = async {
            let partial = partial(&asking, &bytes[..BLOCK]).await;
            let file = fetch(&asking, &HashedPrefix::hash_bytes(&bytes[..BLOCK])).await;
            // As if the disk had given other bytes than those that were proved.
            let other = HashedPrefix::hash_bytes(&vec![1; BLOCK]);
            let stored = store(&asking, file, &partial, other, |_| {});
            let error = stored.await.unwrap_err();
            assert!(
                matches!(error, GetError::Mismatch) && error.invalidates_partial(),
                "{error:?}"
            );
        };
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        let Served::NotConfirmed(StreamError::Frame(FrameError::Truncated)) = served else {
            panic!("{served:?}")
        };
        assert!(!asking.folder.path("file").exists());
        assert!(matches!(sent.end(), Some(Ending::Failed(_))), "{:?}", sent.end());
    })
    .await;
}

#[tokio::test]
async fn a_receiver_is_told_that_the_file_changed() {
    whoever_dialled(async |asking, answering| {
        let source = source(&answering, &content(SIZE));
        answering.folder.write("file", &content(BLOCK));
        let receive = async {
            let partial = partial(&asking, &[]).await;
            let file = fetch(&asking, &HashedPrefix::empty()).await;
            let nothing = HashedPrefix::empty();
            let stored = store(&asking, file, &partial, nothing, |_| {});
            let error = stored.await.unwrap_err();
            let GetError::Stream(StreamError::Refused(refusal)) = &error else {
                panic!("{error:?}")
            };
            assert_eq!(refusal.code, RefusalCode::Changed);
            assert!(error.invalidates_partial());
        };
        let sent = Heard::default();
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        let changed = Served::NotSent(ServeError::Send(SendError::Changed));
        assert_eq!(format!("{served:?}"), format!("{changed:?}"));
        assert!(!asking.folder.path("file").exists());
        assert_eq!(sent.end(), None, "the end that serves has the words for it");
    })
    .await;
}

#[tokio::test]
async fn a_sender_stops_where_the_receiver_reads_no_further() {
    // More than may be on its way and unread.
    const LARGE: usize = 32 * 1024 * 1024;
    whoever_dialled(async |asking, answering| {
        let source = source(&answering, &vec![7; LARGE]);
        let receive = async { drop(fetch(&asking, &HashedPrefix::empty()).await) };
        let sent = Heard::default();
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        let Served::NotSent(ServeError::Send(SendError::Stream(_))) = served else {
            panic!("{served:?}")
        };
        assert!(sent.moved() < LARGE as u64);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_gives_up_ends_the_proof_it_waits_for() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let source = source(&answering, &bytes);
        // Another proof has the only permit for all of the test.
        let permits = Semaphore::new(0);
        let proofs = ProofLimits { lane: None, permits: Some(&permits) };
        let sent = Heard::default();
        let have = HashedPrefix::hash_bytes(&bytes[..BLOCK]).prefix();
        let file = path("file");
        let (request, stream) = tokio::select! {
            _ = get::fetch(&asking.channel, &file, Some(have), PATIENCE) => panic!("an answer"),
            request = answering.request() => request,
        };
        let served = answer(request, stream, source, proofs, &sent).await;
        assert!(
            matches!(&served, Served::NotSent(ServeError::Send(SendError::Stream(_)))),
            "{served:?}"
        );
        assert_eq!(sent.moved(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_speaks_while_content_is_sent_ends_it() {
    // More than may be on its way and unread.
    const LARGE: usize = 32 * 1024 * 1024;
    whoever_dialled(async |asking, answering| {
        let source = source(&answering, &vec![7; LARGE]);
        let receive = async {
            let mut stream = asking.channel.open().await.unwrap();
            let request = Request::Get { path: path("file"), have: None }.encode();
            let CommandStream { reader, writer } = &mut stream;
            writer.write_frame(FrameKind::Request, &request).await.unwrap();
            writer.flush().await.unwrap();
            let head = reader.read_answer(limits::FRAME, PATIENCE).await.unwrap();
            assert_eq!(head.kind, FrameKind::Reply);
            writer.write_frame(FrameKind::Request, &request).await.unwrap();
            writer.flush().await.unwrap();
            loop {
                match reader.read_answer(limits::FRAME, PATIENCE).await {
                    Ok(frame) => assert_eq!(frame.kind, FrameKind::Data),
                    Err(StreamError::Refused(_)) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let sent = Heard::default();
        let (served, ()) =
            tokio::join!(serve(&answering, source, ProofLimits::default(), &sent), receive);
        let Served::NotSent(ServeError::Send(SendError::Stream(StreamError::Frame(error)))) =
            served
        else {
            panic!("{served:?}")
        };
        assert_eq!(error, FrameError::Trailing);
        assert!(sent.moved() < LARGE as u64);
    })
    .await;
}
