//! `put` between two bare ends: a file whole, small, resumed, a pipe.

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

use crate::ends::{Answering, Asking, Ending, Heard, PATIENCE, content, path, whoever_dialled};
use crate::staging::{Partial, leave};

/// More than what may wait to be written, and no whole number of blocks.
pub(crate) const SIZE: usize = 5 * BLOCK + 12_345;

/// What is sent of a pipe at once.
pub(crate) const PIECE: usize = 64 * 1024;

pub(crate) const LIMITS: AcceptLimits = AcceptLimits {
    timeout: PATIENCE,
    ready_timeout: PATIENCE,
    proof_rate: 1024 * 1024,
    max_size: 64 * 1024 * 1024,
    progress_interval: Duration::from_millis(5),
};

/// How accepting a file ended.
#[derive(Debug)]
pub(crate) enum Accepted {
    Stored,
    NotStored(StoreError<io::Error>),
    NotReceived(AcceptError<io::Error>),
}

/// Answers one put; `prepare` sees where it will be stored before.
pub(crate) async fn accept(
    answering: &Answering,
    limits: &AcceptLimits,
    observer: &Heard,
    prepare: impl FnOnce(&mut Partial),
) -> Accepted {
    let (request, mut stream) = answering.request().await;
    let Request::Put(put) = request else { panic!("{request:?}") };
    let mut staging = Partial::open(&answering.folder, &put);
    prepare(&mut staging);
    match put::accept(&mut stream, &put, staging, limits, observer).await {
        Ok(verified) => match verified.store(&mut stream.writer, observer.clone()).await {
            Ok(()) => Accepted::Stored,
            Err(error) => {
                let refusal = Refusal::new(RefusalCode::Exists, error.to_string());
                let _ = stream.refuse(&refusal).await;
                Accepted::NotStored(error)
            }
        },
        Err(error) => {
            let refusal = Refusal::new(RefusalCode::BadRequest, error.to_string());
            // The sender may have gone.
            let _ = stream.refuse(&refusal).await;
            Accepted::NotReceived(error)
        }
    }
}

/// A file of the asking end.
pub(crate) fn source(asking: &Asking, bytes: &[u8]) -> Source {
    asking.folder.write("file", bytes);
    Source::new(File::open(asking.folder.path("file")).unwrap()).unwrap().load().unwrap()
}

pub(crate) async fn offer(asking: &Asking, source: Source) -> Result<OutgoingFile, PutError> {
    let offer = PutOffer { path: path("file"), replace: false, resume: true };
    put::offer(&asking.channel, source, &offer, PATIENCE).await
}

pub(crate) async fn send(asking: &Asking, source: Source) -> Result<StoredReceipt, PutError> {
    offer(asking, source).await?.send(None, &|| false, |_| {}).await
}

/// Gives a piece each time it is read. Only one thread does.
struct Pieces(Mutex<mpsc::Receiver<Vec<u8>>>);

/// A pipe, and where what comes out of it is put in. It ends once that is dropped.
pub(crate) fn pipe() -> (mpsc::Sender<Vec<u8>>, Source) {
    let (more, pieces) = mpsc::channel();
    (more, Source::from_pipe(Pieces(Mutex::new(pieces))))
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.0.get_mut().recv_timeout(PATIENCE).unwrap_or_default();
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[tokio::test]
async fn a_file_is_verified_and_stored_before_it_is_acknowledged() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        let received = Heard::default();
        let (accepted, stored) = tokio::join!(
            accept(&answering, &LIMITS, &received, |_| {}),
            send(&asking, source(&asking, &bytes)),
        );
        assert!(matches!(accepted, Accepted::Stored), "{accepted:?}");
        let stored = stored.unwrap();
        assert_eq!((stored.size, stored.sent), (SIZE as u64, SIZE as u64));
        assert_eq!(stored.blake3, ContentHash(*blake3::hash(&bytes).as_bytes()));
        assert_eq!(answering.folder.read("file"), bytes);
        assert_eq!(answering.folder.names(), 1);
        let end = Some(Ending::Succeeded(SIZE as u64));
        assert_eq!((received.moved(), received.end()), (SIZE as u64, end));
    })
    .await;
}

#[tokio::test]
async fn a_small_file_is_stored_in_one_step() {
    for size in [0, 1, SMALL as usize] {
        whoever_dialled(async |asking, answering| {
            let bytes = content(size);
            let received = Heard::default();
            let (accepted, stored) = tokio::join!(
                // No sink is asked for.
                accept(&answering, &LIMITS, &received, |partial| partial.has_no_sink = true),
                send(&asking, source(&asking, &bytes)),
            );
            assert!(matches!(accepted, Accepted::Stored), "{accepted:?}");
            assert_eq!(stored.unwrap().size, size as u64);
            assert_eq!(answering.folder.read("file"), bytes);
            let end = Some(Ending::Succeeded(size as u64));
            assert_eq!((received.moved(), received.end()), (size as u64, end));
        })
        .await;
    }
}

#[tokio::test]
async fn what_was_kept_is_not_sent_again() {
    const LEFT: usize = 2 * BLOCK + 77;
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        leave(&answering.folder, &bytes[..LEFT]);
        let received = Heard::default();
        let (accepted, stored) = tokio::join!(
            accept(&answering, &LIMITS, &received, |_| {}),
            send(&asking, source(&asking, &bytes)),
        );
        assert!(matches!(accepted, Accepted::Stored), "{accepted:?}");
        let stored = stored.unwrap();
        assert_eq!((stored.resumed_at, stored.sent), (LEFT as u64, (SIZE - LEFT) as u64));
        assert_eq!(answering.folder.read("file"), bytes);
        assert_eq!(received.moved(), (SIZE - LEFT) as u64);
    })
    .await;
}

#[tokio::test]
async fn what_was_kept_of_another_file_is_replaced() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        leave(&answering.folder, &vec![1; BLOCK]);
        let received = Heard::default();
        let (accepted, stored) = tokio::join!(
            accept(&answering, &LIMITS, &received, |_| {}),
            send(&asking, source(&asking, &bytes)),
        );
        assert!(matches!(accepted, Accepted::Stored), "{accepted:?}");
        assert_eq!(stored.unwrap().resumed_at, 0);
        assert_eq!(answering.folder.read("file"), bytes);
    })
    .await;
}

#[tokio::test]
async fn the_sender_of_a_pipe_hears_how_far_it_is_and_when_it_is_stored() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(4 * PIECE);
        let (more, source) = pipe();
        let mut left = bytes.chunks(PIECE).map(<[u8]>::to_vec).collect::<Vec<_>>();
        left.reverse();
        more.send(left.pop().unwrap()).unwrap();
        let send = async {
            let mut due = PIECE as u64;
            let mut more = Some(more);
            let file = offer(&asking, source).await.unwrap();
            let stored = file.send(None, &|| true, |progress| {
                // The next piece is not there before all of the last one has been reported.
                if progress.received == due {
                    due += PIECE as u64;
                    match left.pop() {
                        Some(piece) => more.as_ref().unwrap().send(piece).unwrap(),
                        None => drop(more.take()),
                    }
                }
            });
            let stored = stored.await.unwrap();
            assert_eq!(stored.size, bytes.len() as u64);
            assert!(left.is_empty(), "{} pieces are left", left.len());
        };
        let received = Heard::default();
        let (accepted, ()) = tokio::join!(accept(&answering, &LIMITS, &received, |_| {}), send);
        assert!(matches!(accepted, Accepted::Stored), "{accepted:?}");
        assert_eq!(answering.folder.read("file"), bytes);
        assert_eq!(received.end(), Some(Ending::Succeeded(bytes.len() as u64)));
    })
    .await;
}
