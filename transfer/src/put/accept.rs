//! The receiving end of `put`: a file that is verified and stored before its sender is told.

use std::time::Duration;

use quiver_protocol::reply::Ready;
use quiver_protocol::{
    Bottleneck, ContentEnd, EofPayload as _, FrameError, FrameKind, PlainEnd, PutRequest, Received,
    Reply, limits,
};
use quiver_transport::{CommandStream, FrameReader, FrameWriter, StreamError};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::Staging;
use crate::receive::{ContentSize, ReceiveError, ReceiveProgress, receive, receive_small};
use crate::response::run_until_interrupted;
use crate::timings::TransferTimings;
use crate::{HashedPrefix, Observer, SMALL, TransferBottleneck};

/// What a sender is granted.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLimits {
    /// How long it may be silent while content is due.
    pub timeout: Duration,
    /// How long it may take to read Ready: room for the file is reserved meanwhile.
    pub ready_timeout: Duration,
    /// Bytes a second of its file that it must be able to hash, to find out whether they are those that were kept
    /// here.
    pub proof_rate: u64,
    /// Bytes of the largest file whose size it does not tell.
    pub max_size: u64,
    /// How often it is told how far the file is.
    pub progress_interval: Duration,
}

/// A file all of which was received and is what was sent, and that is not stored yet.
#[derive(Debug)]
pub struct VerifiedUpload<S> {
    staging: S,
    content: ReceivedContent,
}

/// Why a file was not received.
#[derive(Debug, Error)]
pub enum AcceptError<E> {
    /// The sender said something before it was asked for content, or gave up.
    #[error(transparent)]
    Interrupted(StreamError),
    /// What an earlier attempt left could not be read.
    #[error(transparent)]
    Partial(E),
    /// The sender could not be told that content may be sent.
    #[error(transparent)]
    Ready(StreamError),
    /// There is nothing the content can be written to.
    #[error(transparent)]
    Sink(E),
    /// The content was not received to its end, or is not what was sent, or could not be written.
    #[error(transparent)]
    Content(ReceiveError),
}

/// Why a file that was received was not stored, or its sender does not know that it is.
#[derive(Debug, Error)]
pub enum StoreError<E> {
    /// It is not stored.
    #[error(transparent)]
    Staging(E),
    /// It is stored. The sender could not be told.
    #[error(transparent)]
    Stream(StreamError),
}

/// Content that was received whole and verified.
#[derive(Debug)]
struct ReceivedContent {
    /// All of it, of a small file; else it is in the sink.
    bytes: Option<Vec<u8>>,
    end: ContentEnd,
    times: TransferTimings,
}

/// What is to be received, and where to.
struct UploadRequestParts<'a, S, O> {
    put: &'a PutRequest,
    staging: &'a S,
    limits: &'a AcceptLimits,
    observer: &'a O,
}

impl<E> AcceptError<E> {
    /// Whether what was received so far is of use to the next attempt: nothing but the rest is missing.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        match self {
            Self::Sink(_) => false,
            Self::Content(ReceiveError::Stream(StreamError::Frame(error))) => {
                matches!(error, FrameError::Truncated)
            }
            Self::Content(error) => matches!(error, ReceiveError::Stream(_)),
            Self::Interrupted(_) | Self::Partial(_) | Self::Ready(_) => true,
        }
    }
}

/// Receives a file: 2. receiver -> Ready  3. sender -> Content, Data*, Eof, meanwhile receiver -> Progress*.
/// `observer` hears of what was received; an error of this is told to it by the caller.
///
/// What the caller holds for the content, as memory, is not needed any more when this returns; then follows
/// [`VerifiedUpload::store`]. Where the error is not [resumable](AcceptError::is_resumable), what was received is
/// removed; else, and where this is dropped, it is kept.
///
/// # Errors
/// [`AcceptError`]. The stream has no end then: the caller says why, in an Error.
pub async fn accept<S: Staging>(
    stream: &mut CommandStream,
    put: &PutRequest,
    staging: S,
    limits: &AcceptLimits,
    observer: &impl Observer,
) -> Result<VerifiedUpload<S>, AcceptError<S::Error>> {
    let upload = UploadRequestParts { put, staging: &staging, limits, observer };
    match upload.receive(stream).await {
        Ok(content) => Ok(VerifiedUpload { staging, content }),
        Err(error) => {
            if !error.is_resumable() {
                staging.discard().await;
            }
            Err(error)
        }
    }
}

impl<S: Staging, O: Observer> UploadRequestParts<'_, S, O> {
    async fn receive(
        &self,
        stream: &mut CommandStream,
    ) -> Result<ReceivedContent, AcceptError<S::Error>> {
        let CommandStream { reader, writer } = stream;
        let ready = run_until_interrupted(reader, writer.stopped(), self.ready(writer)).await;
        let kept = ready.map_err(AcceptError::Interrupted)??;
        match self.put.size.filter(|size| *size <= SMALL && !self.staging.has_partial()) {
            Some(size) => self.small(size, reader).await.map_err(AcceptError::Content),
            None => self.large(kept, reader, writer).await,
        }
    }

    /// 2. receiver -> Ready {have}
    async fn ready(&self, writer: &mut FrameWriter) -> Result<HashedPrefix, AcceptError<S::Error>> {
        let kept = if self.staging.has_partial() {
            self.staging.hash_partial().await.map_err(AcceptError::Partial)?
        } else {
            HashedPrefix::empty()
        };
        let have = (kept.length() > 0).then(|| kept.prefix());
        let ready = Reply::Ready(Ready { path: self.put.path.clone(), have });
        let said = async {
            writer.write_frame(FrameKind::Reply, &ready.encode()).await?;
            writer.flush().await
        };
        // A sender that does not read must not keep the room that is reserved for its file.
        let patience = self.limits.ready_timeout;
        let said = timeout(patience, said).await.unwrap_or(Err(StreamError::Silent(patience)));
        said.map_err(AcceptError::Ready)?;
        Ok(kept)
    }

    /// 3. sender -> Content, Data*, Eof {size, blake3}, meanwhile receiver -> Progress*
    async fn large(
        &self,
        kept: HashedPrefix,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
    ) -> Result<ReceivedContent, AcceptError<S::Error>> {
        let content = AcceptError::Content;
        let offset = self.offset(reader, kept.length()).await.map_err(content)?;
        let from = if offset == 0 { HashedPrefix::empty() } else { kept };
        let sink = self.staging.open_sink(offset).await.map_err(AcceptError::Sink)?;
        let expected =
            self.put.size.map_or(ContentSize::AtMost(self.limits.max_size), ContentSize::Known);
        let (arrived, seen) = watch::channel(ReceiveProgress { received: offset, stored: offset });
        let mut before = offset;
        let received = receive(reader, expected, from, sink, self.limits.timeout, |arrival| {
            self.observer.transferred(arrival.received - before);
            before = arrival.received;
            arrived.send_replace(arrival);
        });
        let received = tokio::select! {
            biased;
            received = received => received,
            error = report(writer, seen, self.limits.progress_interval) => {
                Err(ReceiveError::Stream(error))
            }
        };
        // The sink is dropped: the file is committed by name.
        let (_, end, times) = received.map_err(content)?;
        Ok(ReceivedContent { bytes: None, end, times })
    }

    /// The same of a small file, into memory: it is received before its sender could be told how far it is.
    async fn small(
        &self,
        size: u64,
        reader: &mut FrameReader,
    ) -> Result<ReceivedContent, ReceiveError> {
        self.offset(reader, 0).await?;
        let (bytes, end, times) = receive_small(reader, size, self.limits.timeout).await?;
        self.observer.transferred(end.size);
        Ok(ReceivedContent { bytes: Some(bytes), end, times })
    }

    /// Where the content begins: at the end of what was kept, or at 0.
    async fn offset(&self, reader: &mut FrameReader, kept: u64) -> Result<u64, ReceiveError> {
        // The sender may have to read as much as was kept.
        let proving = Duration::from_secs(kept / self.limits.proof_rate);
        let frame = reader.read_answer(limits::RECEIVED, self.limits.timeout + proving).await?;
        if frame.kind != FrameKind::Reply {
            return Err(FrameError::Unexpected { found: frame.kind, expected: "a Reply" }.into());
        }
        match Reply::decode(&frame.payload)? {
            Reply::Content { offset } if offset == 0 || offset == kept => Ok(offset),
            Reply::Content { .. } => Err(malformed("it begins where nothing ended").into()),
            _ => Err(malformed("it is another reply").into()),
        }
    }
}

impl<S: Staging> VerifiedUpload<S> {
    /// Stores the file and acknowledges it: 4. receiver -> Received, Eof. `observer` is told how the transfer ended,
    /// also where this is dropped while the disk is waited for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn store(
        self,
        writer: &mut FrameWriter,
        observer: impl Observer,
    ) -> Result<(), StoreError<S::Error>> {
        let Self { staging, content: ReceivedContent { bytes, end, mut times } } = self;
        let since = Instant::now();
        let there = end.slowed_by;
        let done = move |result: &Result<(), S::Error>| match result {
            Ok(()) => {
                let slowed_by = flushed(&mut times, since);
                observer.succeeded(end.size, TransferBottleneck::of(slowed_by, there));
            }
            Err(error) => observer.failed(error),
        };
        let stored = match bytes {
            Some(bytes) => staging.commit_small(bytes, done).await,
            None => staging.commit(end.size, done).await,
        };
        stored.map_err(StoreError::Staging)?;
        let slowed_by = flushed(&mut times, since);
        let received = Received { blake3: end.blake3, slowed_by };
        acknowledge(writer, &received).await.map_err(StoreError::Stream)
    }
}

/// What held this end back, now that the disk has been waited for too.
fn flushed(times: &mut TransferTimings, since: Instant) -> Option<Bottleneck> {
    times.flushed(since.elapsed());
    times.bottleneck(times.took())
}

async fn acknowledge(writer: &mut FrameWriter, received: &Received) -> Result<(), StreamError> {
    writer.write_frame(FrameKind::Received, &received.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await
}

fn malformed(why: &str) -> FrameError {
    FrameError::Malformed { what: "content", why: why.to_owned() }
}

/// Tells the sender how far its file is, `every` so often where that has changed. Returns only where it cannot be
/// told.
async fn report(
    writer: &mut FrameWriter,
    mut seen: watch::Receiver<ReceiveProgress>,
    every: Duration,
) -> StreamError {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !matches!(seen.has_changed(), Ok(true)) {
            continue;
        }
        let ReceiveProgress { received, stored } = *seen.borrow_and_update();
        let progress = Reply::Progress { received, stored }.encode();
        let said = async {
            writer.write_frame(FrameKind::Reply, &progress).await?;
            writer.flush().await
        };
        if let Err(error) = said.await {
            return error;
        }
    }
}
