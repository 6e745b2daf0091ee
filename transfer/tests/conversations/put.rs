//! `put` between two peers: whole, small and resumed files, and pipes.

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{ContentHash, Refusal, RefusalCode, Request};
use quiver_transfer::put::{
    self, AcceptError, AcceptLimits, OutgoingFile, PutError, PutOffer, StoreError, StoredReceipt,
};
use quiver_transfer::{SMALL, Source};

use crate::peers::{
    RecordingObserver, Requester, Responder, TIMEOUT, TransferOutcome, content, path,
    with_either_dialler,
};
use crate::staging::{PartialStaging, write_partial};

/// More than may wait to be written, and not a multiple of the block size.
pub(crate) const SIZE: usize = 5 * BLOCK + 12_345;

/// Bytes of a pipe that are sent at once.
pub(crate) const PIECE: usize = 64 * 1024;

pub(crate) const LIMITS: AcceptLimits = AcceptLimits {
    timeout: TIMEOUT,
    ready_timeout: TIMEOUT,
    proof_rate: 1024 * 1024,
    max_size: 64 * 1024 * 1024,
    progress_interval: Duration::from_millis(5),
};

/// The outcome of accepting a file.
#[derive(Debug)]
pub(crate) enum AcceptOutcome {
    Stored,
    NotStored(StoreError<io::Error>),
    NotReceived(AcceptError<io::Error>),
}

/// Responds to one put; `prepare` may change its staging before.
pub(crate) async fn accept(
    responder: &Responder,
    limits: &AcceptLimits,
    observer: &RecordingObserver,
    prepare: impl FnOnce(&mut PartialStaging),
) -> AcceptOutcome {
    let (request, mut stream) = responder.request().await;
    let Request::Put(put) = request else { panic!("{request:?}") };
    let mut staging = PartialStaging::open(&responder.folder, &put);
    prepare(&mut staging);
    match put::accept(&mut stream, &put, staging, limits, observer).await {
        Ok(verified) => match verified.store(&mut stream.writer, observer.clone()).await {
            Ok(()) => AcceptOutcome::Stored,
            Err(error) => {
                let refusal = Refusal::new(RefusalCode::Exists, error.to_string());
                let _ = stream.refuse(&refusal).await;
                AcceptOutcome::NotStored(error)
            }
        },
        Err(error) => {
            let refusal = Refusal::new(RefusalCode::BadRequest, error.to_string());
            // The sender may have closed the stream.
            let _ = stream.refuse(&refusal).await;
            AcceptOutcome::NotReceived(error)
        }
    }
}

/// A file of the requester.
pub(crate) fn source(requester: &Requester, bytes: &[u8]) -> Source {
    requester.folder.write("file", bytes);
    Source::new(File::open(requester.folder.path("file")).unwrap()).unwrap().load().unwrap()
}

pub(crate) async fn offer(requester: &Requester, source: Source) -> Result<OutgoingFile, PutError> {
    let offer = PutOffer { path: path("file"), replace: false, resume: true };
    put::offer(&requester.channel, source, &offer, TIMEOUT).await
}

pub(crate) async fn send(requester: &Requester, source: Source) -> Result<StoredReceipt, PutError> {
    offer(requester, source).await?.send(None, &|| false, |_| {}).await
}

/// Returns one piece for each read, on one thread at a time.
struct PiecePipe(Mutex<mpsc::Receiver<Vec<u8>>>);

/// A pipe, and the sender of its content. The pipe ends when the sender is dropped.
pub(crate) fn pipe() -> (mpsc::Sender<Vec<u8>>, Source) {
    let (pipe_writer, pieces) = mpsc::channel();
    (pipe_writer, Source::from_pipe(PiecePipe(Mutex::new(pieces))))
}

impl Read for PiecePipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.get_mut().recv_timeout(TIMEOUT).unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[tokio::test]
async fn a_file_is_verified_and_stored_before_it_is_acknowledged() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        let received = RecordingObserver::default();
        let (outcome, stored) = tokio::join!(
            accept(&responder, &LIMITS, &received, |_| {}),
            send(&requester, source(&requester, &bytes)),
        );
        assert!(matches!(outcome, AcceptOutcome::Stored), "{outcome:?}");
        let stored = stored.unwrap();
        assert_eq!((stored.size, stored.sent), (SIZE as u64, SIZE as u64));
        assert_eq!(stored.blake3, ContentHash(*blake3::hash(&bytes).as_bytes()));
        assert_eq!(responder.folder.read("file"), bytes);
        assert_eq!(responder.folder.names(), 1);
        let end = Some(TransferOutcome::Succeeded(SIZE as u64));
        assert_eq!((received.transferred_bytes(), received.outcome()), (SIZE as u64, end));
    })
    .await;
}

#[tokio::test]
async fn a_small_file_is_stored_in_one_step() {
    for size in [0, 1, SMALL as usize] {
        with_either_dialler(async |requester, responder| {
            let bytes = content(size);
            let received = RecordingObserver::default();
            let (outcome, stored) = tokio::join!(
                // The sink is not used.
                accept(&responder, &LIMITS, &received, |staging| staging.has_no_sink = true),
                send(&requester, source(&requester, &bytes)),
            );
            assert!(matches!(outcome, AcceptOutcome::Stored), "{outcome:?}");
            assert_eq!(stored.unwrap().size, size as u64);
            assert_eq!(responder.folder.read("file"), bytes);
            let end = Some(TransferOutcome::Succeeded(size as u64));
            assert_eq!((received.transferred_bytes(), received.outcome()), (size as u64, end));
        })
        .await;
    }
}

#[tokio::test]
async fn the_content_of_a_partial_file_is_not_sent_again() {
    const PREFIX: usize = 2 * BLOCK + 77;
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        write_partial(&responder.folder, &bytes[..PREFIX]);
        let received = RecordingObserver::default();
        let (outcome, stored) = tokio::join!(
            accept(&responder, &LIMITS, &received, |_| {}),
            send(&requester, source(&requester, &bytes)),
        );
        assert!(matches!(outcome, AcceptOutcome::Stored), "{outcome:?}");
        let stored = stored.unwrap();
        assert_eq!((stored.resumed_at, stored.sent), (PREFIX as u64, (SIZE - PREFIX) as u64));
        assert_eq!(responder.folder.read("file"), bytes);
        assert_eq!(received.transferred_bytes(), (SIZE - PREFIX) as u64);
    })
    .await;
}

#[tokio::test]
async fn a_partial_file_with_other_content_is_replaced() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        write_partial(&responder.folder, &vec![1; BLOCK]);
        let received = RecordingObserver::default();
        let (outcome, stored) = tokio::join!(
            accept(&responder, &LIMITS, &received, |_| {}),
            send(&requester, source(&requester, &bytes)),
        );
        assert!(matches!(outcome, AcceptOutcome::Stored), "{outcome:?}");
        assert_eq!(stored.unwrap().resumed_at, 0);
        assert_eq!(responder.folder.read("file"), bytes);
    })
    .await;
}

#[tokio::test]
async fn the_sender_of_a_pipe_gets_progress_and_a_confirmation() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(4 * PIECE);
        let (pipe_writer, source) = pipe();
        let mut remaining = bytes.chunks(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>();
        remaining.reverse();
        pipe_writer.send(remaining.pop().unwrap()).unwrap();
        let send = async {
            let mut expected = PIECE as u64;
            let mut pipe_writer = Some(pipe_writer);
            let file = offer(&requester, source).await.unwrap();
            let stored = file.send(None, &|| true, |progress| {
                // The next piece is written only after all of the last one has been reported.
                if progress.received == expected {
                    expected += PIECE as u64;
                    match remaining.pop() {
                        Some(piece) => pipe_writer.as_ref().unwrap().send(piece).unwrap(),
                        None => drop(pipe_writer.take()),
                    }
                }
            });
            let stored = stored.await.unwrap();
            assert_eq!(stored.size, bytes.len() as u64);
            assert!(remaining.is_empty(), "{} pieces are left", remaining.len());
        };
        let received = RecordingObserver::default();
        let (outcome, ()) = tokio::join!(accept(&responder, &LIMITS, &received, |_| {}), send);
        assert!(matches!(outcome, AcceptOutcome::Stored), "{outcome:?}");
        assert_eq!(responder.folder.read("file"), bytes);
        assert_eq!(received.outcome(), Some(TransferOutcome::Succeeded(bytes.len() as u64)));
    })
    .await;
}
