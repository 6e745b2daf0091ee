//! What ends a `put` between two bare ends early, and what each of them then knows.

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

use crate::ends::{Ending, Heard, PATIENCE, content, path, whoever_dialled};
use crate::put::{Accepted, LIMITS, PIECE, SIZE, accept, offer, pipe, send, source};
use crate::staging::{Partial, kept, leave};

/// What asks for a put of so many bytes, for a sender that breaks the rules afterwards.
fn request(size: usize) -> Vec<u8> {
    let (path, size) = (path("file"), Some(size as u64));
    let put = PutRequest { path, size, modified: None, executable: false, replace: false };
    Request::Put(put).encode()
}

#[tokio::test]
async fn a_pipe_that_holds_more_than_may_be_stored_is_refused() {
    whoever_dialled(async |asking, answering| {
        let limits = AcceptLimits { max_size: BLOCK as u64, ..LIMITS };
        let source = Source::from_pipe(io::repeat(7));
        let received = Heard::default();
        let (accepted, stored) =
            tokio::join!(accept(&answering, &limits, &received, |_| {}), send(&asking, source),);
        let Accepted::NotReceived(error) = accepted else { panic!("{accepted:?}") };
        assert!(!error.is_resumable(), "{error:?}");
        assert!(matches!(stored, Err(PutError::Stream(StreamError::Refused(_)))), "{stored:?}");
        assert_eq!(answering.folder.names(), 0);
    })
    .await;
}

#[tokio::test]
async fn content_that_does_not_match_its_hash_is_neither_stored_nor_kept() {
    for size in [SIZE, 1000] {
        whoever_dialled(async |asking, answering| {
            let bytes = content(size);
            // No end of this crate sends a wrong hash.
            let send = async {
                let mut stream = asking.channel.open().await.unwrap();
                let writer = &mut stream.writer;
                writer.write_frame(FrameKind::Request, &request(size)).await.unwrap();
                writer.flush().await.unwrap();
                stream.reader.read_answer(limits::FRAME, PATIENCE).await.unwrap();
                let begins = Reply::Content { offset: 0 }.encode();
                writer.write_frame(FrameKind::Reply, &begins).await.unwrap();
                writer.gather_content(&bytes).unwrap();
                let end = ContentEnd {
                    size: size as u64,
                    blake3: ContentHash(*blake3::hash(b"other").as_bytes()),
                    slowed_by: None,
                };
                writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
                loop {
                    match stream.reader.read_answer(limits::FRAME, PATIENCE).await {
                        Ok(frame) => assert_eq!(frame.kind, FrameKind::Reply),
                        Err(StreamError::Refused(refusal)) => break refusal,
                        Err(error) => panic!("{error:?}"),
                    }
                }
            };
            let received = Heard::default();
            let (accepted, refusal) =
                tokio::join!(accept(&answering, &LIMITS, &received, |_| {}), send);
            let Accepted::NotReceived(error) = accepted else { panic!("{accepted:?}") };
            assert!(matches!(error, AcceptError::Content(ReceiveError::Mismatch)), "{error:?}");
            assert_eq!(refusal.message, error.to_string());
            assert_eq!(answering.folder.names(), 0);
            assert_eq!(received.end(), None, "the end that accepts has the words for it");
        })
        .await;
    }
}

#[tokio::test]
async fn a_file_that_changes_is_not_stored_and_its_beginning_is_kept() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        leave(&answering.folder, &bytes[..BLOCK]);
        let send = async {
            let file = offer(&asking, source(&asking, &bytes)).await.unwrap();
            assert_eq!(file.offset(), BLOCK as u64);
            asking.folder.write("file", b"other");
            file.send(None, &|| false, |_| {}).await
        };
        let received = Heard::default();
        let (accepted, stored) = tokio::join!(accept(&answering, &LIMITS, &received, |_| {}), send);
        assert!(matches!(stored, Err(PutError::Changed)), "{stored:?}");
        let Accepted::NotReceived(error) = accepted else { panic!("{accepted:?}") };
        let AcceptError::Content(ReceiveError::Stream(StreamError::Refused(refusal))) = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(refusal.code, RefusalCode::Changed);
        assert!(error.is_resumable());
        assert!(!answering.folder.path("file").exists());
        assert_eq!(kept(&answering.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_cannot_write_refuses_and_the_sender_hears_why() {
    whoever_dialled(async |asking, answering| {
        let received = Heard::default();
        let (accepted, stored) = tokio::join!(
            accept(&answering, &LIMITS, &received, |partial| partial.has_no_sink = true),
            send(&asking, source(&asking, &content(SIZE))),
        );
        let Accepted::NotReceived(error) = accepted else { panic!("{accepted:?}") };
        assert!(matches!(error, AcceptError::Sink(_)), "{error:?}");
        assert!(!error.is_resumable());
        let Err(PutError::Stream(StreamError::Refused(refusal))) = stored else {
            panic!("{stored:?}")
        };
        assert_eq!(refusal.message, error.to_string());
        assert_eq!(answering.folder.names(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_meanwhile_is_told_to_both_ends() {
    for size in [SIZE, 1000] {
        whoever_dialled(async |asking, answering| {
            answering.folder.write("file", b"older");
            let received = Heard::default();
            let (accepted, stored) = tokio::join!(
                accept(&answering, &LIMITS, &received, |_| {}),
                send(&asking, source(&asking, &content(size))),
            );
            let Accepted::NotStored(StoreError::Staging(error)) = accepted else {
                panic!("{accepted:?}")
            };
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(received.end(), Some(Ending::Failed(error.to_string())));
            let Err(PutError::Stream(StreamError::Refused(refusal))) = stored else {
                panic!("{stored:?}")
            };
            assert_eq!(refusal.code, RefusalCode::Exists);
            assert_eq!(answering.folder.read("file"), b"older");
        })
        .await;
    }
}

#[tokio::test]
async fn what_came_of_a_sender_that_gives_up_is_kept() {
    whoever_dialled(async |asking, answering| {
        let (more, source) = pipe();
        for piece in content(BLOCK + PIECE).chunks(PIECE) {
            more.send(piece.to_vec()).unwrap();
        }
        let send = async {
            let file = offer(&asking, source).await.unwrap();
            let (reached, stored) = oneshot::channel();
            let mut reached = Some(reached);
            let finish = file.send(None, &|| true, |progress| {
                if progress.received == (BLOCK + PIECE) as u64
                    && let Some(reached) = reached.take()
                {
                    reached.send(()).unwrap();
                }
            });
            tokio::select! {
                finished = finish => panic!("{finished:?}"),
                reached = stored => reached.unwrap(),
            }
            // The pipe ends for the thread that reads it, but only now.
            drop(more);
        };
        let received = Heard::default();
        let (accepted, ()) = tokio::join!(accept(&answering, &LIMITS, &received, |_| {}), send);
        let Accepted::NotReceived(error) = accepted else { panic!("{accepted:?}") };
        assert!(error.is_resumable(), "{error:?}");
        assert!(!answering.folder.path("file").exists());
        assert_eq!(received.moved(), (BLOCK + PIECE) as u64);
        // Whole blocks.
        assert_eq!(kept(&answering.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn a_sender_that_gives_up_ends_the_proof_of_what_was_kept() {
    whoever_dialled(async |asking, answering| {
        let bytes = content(SIZE);
        leave(&answering.folder, &bytes[..BLOCK]);
        let (proving, begun) = oneshot::channel();
        let received = Heard::default();
        let accept = accept(&answering, &LIMITS, &received, |partial| {
            partial.proves_forever = true;
            proving.send(()).unwrap();
        });
        let send = async {
            tokio::select! {
                offered = offer(&asking, source(&asking, &bytes)) => panic!("{offered:?}"),
                begun = begun => begun.unwrap(),
            }
        };
        let (accepted, ()) = tokio::join!(accept, send);
        assert!(
            matches!(accepted, Accepted::NotReceived(AcceptError::Interrupted(_))),
            "{accepted:?}"
        );
        assert_eq!(kept(&answering.folder), BLOCK as u64);
    })
    .await;
}

#[tokio::test]
async fn content_before_it_is_asked_for_is_refused() {
    whoever_dialled(async |asking, answering| {
        leave(&answering.folder, &content(BLOCK));
        let send = async {
            let mut stream = asking.channel.open().await.unwrap();
            let writer = &mut stream.writer;
            writer.write_frame(FrameKind::Request, &request(SIZE)).await.unwrap();
            let begins = Reply::Content { offset: 0 }.encode();
            writer.write_frame(FrameKind::Reply, &begins).await.unwrap();
            writer.flush().await.unwrap();
            let error = stream.reader.read_answer(limits::FRAME, PATIENCE).await.unwrap_err();
            assert!(matches!(error, StreamError::Refused(_)), "{error:?}");
        };
        let received = Heard::default();
        let prepare = |partial: &mut Partial| partial.proves_forever = true;
        let (accepted, ()) = tokio::join!(accept(&answering, &LIMITS, &received, prepare), send);
        assert!(
            matches!(accepted, Accepted::NotReceived(AcceptError::Interrupted(_))),
            "{accepted:?}"
        );
    })
    .await;
}
