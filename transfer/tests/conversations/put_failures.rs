//! `put` between two peers that ends early, and what each of them learns.

use std::io;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{
    ContentEnd, ContentHash, EofPayload as _, FrameKind, PutRequest, RefusalCode, Reply, Request,
    limits,
};
use quiver_transfer::put::{AcceptError, AcceptLimits, PutError, StoreError};
use quiver_transfer::{ReceiveError, Source};
use quiver_transport::StreamError;
use tokio::sync::oneshot;

use crate::peers::{
    RecordingObserver, TIMEOUT, TransferOutcome, content, path, with_either_dialler,
};
use crate::put::{AcceptOutcome, LIMITS, PIECE, SIZE, accept, offer, pipe, send, source};
use crate::staging::{PartialStaging, partial_size, write_partial};

/// A put request for `size` bytes, for a sender that violates the protocol.
fn request(size: usize) -> Vec<u8> {
    let (path, size) = (path("file"), Some(size as u64));
    let put = PutRequest { path, size, modified: None, executable: false, replace: false };
    Request::Put(put).encode()
}

#[tokio::test]
async fn a_pipe_larger_than_the_limit_is_refused() {
    with_either_dialler(async |requester, responder| {
        let limits = AcceptLimits { max_size: BLOCK as u64, ..LIMITS };
        let source = Source::from_pipe(io::repeat(7));
        let received = RecordingObserver::default();
        let (outcome, stored) =
            tokio::join!(accept(&responder, &limits, &received, |_| {}), send(&requester, source),);
        let AcceptOutcome::NotReceived(error) = outcome else { panic!("{outcome:?}") };
        assert!(!error.is_resumable(), "{error:?}");
        assert!(matches!(stored, Err(PutError::Stream(StreamError::Refused(_)))), "{stored:?}");
        assert_eq!(responder.folder.names(), 0);
    })
    .await;
}

#[tokio::test]
async fn content_that_does_not_match_its_hash_is_neither_stored_nor_kept() {
    for size in [SIZE, 1000] {
        with_either_dialler(async |requester, responder| {
            let bytes = content(size);
            // The sender of this crate never sends a wrong hash.
            let send = async {
                let mut stream = requester.channel.open().await.unwrap();
                let writer = &mut stream.writer;
                writer.write_frame(FrameKind::Request, &request(size)).await.unwrap();
                writer.flush().await.unwrap();
                stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
                let first_reply = Reply::Content { offset: 0 }.encode();
                writer.write_frame(FrameKind::Reply, &first_reply).await.unwrap();
                writer.buffer_content(&bytes).unwrap();
                let end = ContentEnd {
                    size: size as u64,
                    blake3: ContentHash(*blake3::hash(b"other").as_bytes()),
                    slowed_by: None,
                    network: None,
                };
                writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
                loop {
                    match stream.reader.read_response(limits::FRAME, TIMEOUT).await {
                        Ok(frame) => assert_eq!(frame.kind, FrameKind::Reply),
                        Err(StreamError::Refused(refusal)) => break refusal,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            };
            let received = RecordingObserver::default();
            let (outcome, refusal) =
                tokio::join!(accept(&responder, &LIMITS, &received, |_| {}), send);
            let AcceptOutcome::NotReceived(error) = outcome else { panic!("{outcome:?}") };
            assert!(matches!(error, AcceptError::Content(ReceiveError::Mismatch)), "{error:?}");
            assert_eq!(refusal.message, error.to_string());
            assert_eq!(responder.folder.names(), 0);
            assert_eq!(received.outcome(), None, "the caller of accept reports the error");
        })
        .await;
    }
}

#[tokio::test]
async fn a_file_that_changes_is_not_stored_and_its_prefix_is_kept() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        write_partial(&responder.folder, &bytes[..BLOCK]);
        let send = async {
            let file = offer(&requester, source(&requester, &bytes)).await.unwrap();
            assert_eq!(file.offset(), BLOCK as u64);
            requester.folder.write("file", b"other");
            file.send(None, &|| false, |_| {}).await
        };
        let received = RecordingObserver::default();
        let (outcome, stored) = tokio::join!(accept(&responder, &LIMITS, &received, |_| {}), send);
        assert!(matches!(stored, Err(PutError::Changed)), "{stored:?}");
        let AcceptOutcome::NotReceived(error) = outcome else { panic!("{outcome:?}") };
        let AcceptError::Content(ReceiveError::Stream(StreamError::Refused(refusal))) = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(refusal.code, RefusalCode::Changed);
        assert!(error.is_resumable());
        assert!(!responder.folder.path("file").exists());
        assert_eq!(partial_size(&responder.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_cannot_write_sends_the_reason() {
    with_either_dialler(async |requester, responder| {
        let received = RecordingObserver::default();
        let (outcome, stored) = tokio::join!(
            accept(&responder, &LIMITS, &received, |staging| staging.has_no_sink = true),
            send(&requester, source(&requester, &content(SIZE))),
        );
        let AcceptOutcome::NotReceived(error) = outcome else { panic!("{outcome:?}") };
        assert!(matches!(error, AcceptError::Sink(_)), "{error:?}");
        assert!(!error.is_resumable());
        let Err(PutError::Stream(StreamError::Refused(refusal))) = stored else {
            panic!("{stored:?}")
        };
        assert_eq!(refusal.message, error.to_string());
        assert_eq!(responder.folder.names(), 0);
    })
    .await;
}

#[tokio::test]
async fn both_ends_are_told_that_the_name_exists() {
    for size in [SIZE, 1000] {
        with_either_dialler(async |requester, responder| {
            responder.folder.write("file", b"older");
            let received = RecordingObserver::default();
            let (outcome, stored) = tokio::join!(
                accept(&responder, &LIMITS, &received, |_| {}),
                send(&requester, source(&requester, &content(size))),
            );
            let AcceptOutcome::NotStored(StoreError::Staging(error)) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(received.outcome(), Some(TransferOutcome::Failed(error.to_string())));
            let Err(PutError::Stream(StreamError::Refused(refusal))) = stored else {
                panic!("{stored:?}")
            };
            assert_eq!(refusal.code, RefusalCode::Exists);
            assert_eq!(responder.folder.read("file"), b"older");
        })
        .await;
    }
}

#[tokio::test]
async fn the_content_of_a_sender_that_gives_up_is_kept() {
    with_either_dialler(async |requester, responder| {
        let (pipe_writer, source) = pipe();
        for piece in content(BLOCK + PIECE).chunks(PIECE) {
            pipe_writer.send(piece.to_vec()).unwrap();
        }
        let send = async {
            let file = offer(&requester, source).await.unwrap();
            let (reached_sender, is_reached) = oneshot::channel();
            let mut reached_sender = Some(reached_sender);
            let finish = file.send(None, &|| true, |progress| {
                if progress.received == (BLOCK + PIECE) as u64
                    && let Some(sender) = reached_sender.take()
                {
                    sender.send(()).unwrap();
                }
            });
            tokio::select! {
                finished = finish => panic!("{finished:?}"),
                reached = is_reached => reached.unwrap(),
            }
            // The pipe ends for its reading thread only now.
            drop(pipe_writer);
        };
        let received = RecordingObserver::default();
        let (outcome, ()) = tokio::join!(accept(&responder, &LIMITS, &received, |_| {}), send);
        let AcceptOutcome::NotReceived(error) = outcome else { panic!("{outcome:?}") };
        assert!(error.is_resumable(), "{error:?}");
        assert!(!responder.folder.path("file").exists());
        assert_eq!(received.transferred_bytes(), (BLOCK + PIECE) as u64);
        // Only complete blocks are written.
        assert_eq!(partial_size(&responder.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_gives_up_cancels_the_hashing_of_the_partial_file() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(SIZE);
        write_partial(&responder.folder, &bytes[..BLOCK]);
        let (hashing_sender, started) = oneshot::channel();
        let received = RecordingObserver::default();
        let accept = accept(&responder, &LIMITS, &received, |staging| {
            staging.hashing_never_ends = true;
            hashing_sender.send(()).unwrap();
        });
        let send = async {
            tokio::select! {
                offered = offer(&requester, source(&requester, &bytes)) => panic!("{offered:?}"),
                started = started => started.unwrap(),
            }
        };
        let (outcome, ()) = tokio::join!(accept, send);
        assert!(
            matches!(outcome, AcceptOutcome::NotReceived(AcceptError::Interrupted(_))),
            "{outcome:?}"
        );
        assert_eq!(partial_size(&responder.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn content_before_ready_is_refused() {
    with_either_dialler(async |requester, responder| {
        write_partial(&responder.folder, &content(BLOCK));
        let send = async {
            let mut stream = requester.channel.open().await.unwrap();
            let writer = &mut stream.writer;
            writer.write_frame(FrameKind::Request, &request(SIZE)).await.unwrap();
            let first_reply = Reply::Content { offset: 0 }.encode();
            writer.write_frame(FrameKind::Reply, &first_reply).await.unwrap();
            writer.flush().await.unwrap();
            let error = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap_err();
            assert!(matches!(error, StreamError::Refused(_)), "{error:?}");
        };
        let received = RecordingObserver::default();
        let prepare = |staging: &mut PartialStaging| staging.hashing_never_ends = true;
        let (outcome, ()) = tokio::join!(accept(&responder, &LIMITS, &received, prepare), send);
        assert!(
            matches!(outcome, AcceptOutcome::NotReceived(AcceptError::Interrupted(_))),
            "{outcome:?}"
        );
    })
    .await;
}
