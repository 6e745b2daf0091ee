//! The receiver of `put`: a file that is verified and stored before its sender is told.

use std::time::Duration;

use quiver_protocol::reply::ResumePoint;
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

/// Timeouts and limits of a sender.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLimits {
    /// Idle timeout while content is expected.
    pub timeout: Duration,
    /// Timeout for reading Ready: space for the file is reserved meanwhile.
    pub ready_timeout: Duration,
    /// Bytes per second that the sender must be able to hash of its file, to find out whether it
    /// has the prefix in the partial file.
    pub proof_rate: u64,
    /// Maximum size in bytes of a file whose size the sender does not announce.
    pub max_size: u64,
    /// Interval of the progress reports to the sender.
    pub progress_interval: Duration,
}

/// A file that was received completely and verified, but is not yet stored.
#[derive(Debug)]
pub struct VerifiedUpload<S> {
    staging: S,
    content: ReceivedContent,
}

/// Why a file was not received.
#[derive(Debug, Error)]
pub enum AcceptError<E> {
    /// The sender sent a frame before it was asked for content, or gave up.
    #[error(transparent)]
    Interrupted(StreamError),
    /// The partial file of an earlier attempt could not be read.
    #[error(transparent)]
    Partial(E),
    /// Ready could not be sent.
    #[error(transparent)]
    Ready(StreamError),
    /// The partial file could not be opened for writing.
    #[error(transparent)]
    Sink(E),
    /// The content was not received to its end, did not match its hash, or could not be written.
    #[error(transparent)]
    Content(ReceiveError),
}

/// Why a received file was not stored, or why the sender does not know that it is.
#[derive(Debug, Error)]
pub enum StoreError<E> {
    /// The file is not stored.
    #[error(transparent)]
    Staging(E),
    /// The file is stored, but the acknowledgement could not be sent.
    #[error(transparent)]
    Stream(StreamError),
}

/// Content that was received completely and verified.
#[derive(Debug)]
struct ReceivedContent {
    /// The content of a small file; `None` if it is in the sink.
    bytes: Option<Vec<u8>>,
    end: ContentEnd,
    timings: TransferTimings,
}

/// Receives the content of one upload.
struct UploadReceiver<'a, S, O> {
    put: &'a PutRequest,
    staging: &'a S,
    limits: &'a AcceptLimits,
    observer: &'a O,
}

impl<E> AcceptError<E> {
    /// Whether the next attempt can resume: the received content is valid, only the rest is
    /// missing.
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

/// Receives a file: 2. receiver -> Ready  3. sender -> Content, Data*, Eof, meanwhile receiver ->
/// Progress*. `observer` is told of the received bytes; the caller reports an error to it.
///
/// When this returns, the caller can release what it holds for the content, such as memory. It then
/// calls [`VerifiedUpload::store`]. If the error is not [resumable](AcceptError::is_resumable), the
/// received content is removed. Otherwise it is kept, also if this future is dropped.
///
/// # Errors
/// [`AcceptError`]. The stream is then without an end: the caller sends an Error with the reason.
pub async fn accept<S: Staging>(
    stream: &mut CommandStream,
    put: &PutRequest,
    staging: S,
    limits: &AcceptLimits,
    observer: &impl Observer,
) -> Result<VerifiedUpload<S>, AcceptError<S::Error>> {
    let upload = UploadReceiver { put, staging: &staging, limits, observer };
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

impl<S: Staging, O: Observer> UploadReceiver<'_, S, O> {
    async fn receive(
        &self,
        stream: &mut CommandStream,
    ) -> Result<ReceivedContent, AcceptError<S::Error>> {
        let CommandStream { reader, writer } = stream;
        let ready = run_until_interrupted(reader, writer.stopped(), self.send_ready(writer)).await;
        let partial = ready.map_err(AcceptError::Interrupted)??;
        match self.put.size.filter(|size| *size <= SMALL && !self.staging.has_partial()) {
            Some(size) => self.receive_small(size, reader).await.map_err(AcceptError::Content),
            None => self.receive_large(partial, reader, writer).await,
        }
    }

    /// 2. receiver -> Ready {have}
    async fn send_ready(
        &self,
        writer: &mut FrameWriter,
    ) -> Result<HashedPrefix, AcceptError<S::Error>> {
        let partial = if self.staging.has_partial() {
            self.staging.hash_partial().await.map_err(AcceptError::Partial)?
        } else {
            HashedPrefix::empty()
        };
        let have = (partial.length() > 0).then(|| partial.prefix());
        let ready = Reply::Ready(ResumePoint { path: self.put.path.clone(), have });
        let written = async {
            writer.write_frame(FrameKind::Reply, &ready.encode()).await?;
            writer.flush().await
        };
        // A sender that does not read must not keep the reserved space.
        let ready_timeout = self.limits.ready_timeout;
        let written = timeout(ready_timeout, written)
            .await
            .unwrap_or(Err(StreamError::TimedOut(ready_timeout)));
        written.map_err(AcceptError::Ready)?;
        Ok(partial)
    }

    /// 3. sender -> Content, Data*, Eof {size, blake3}, meanwhile receiver -> Progress*
    async fn receive_large(
        &self,
        partial: HashedPrefix,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
    ) -> Result<ReceivedContent, AcceptError<S::Error>> {
        let content = AcceptError::Content;
        let offset = self.read_offset(reader, partial.length()).await.map_err(content)?;
        let from = if offset == 0 { HashedPrefix::empty() } else { partial };
        let sink = self.staging.open_sink(offset).await.map_err(AcceptError::Sink)?;
        let expected =
            self.put.size.map_or(ContentSize::AtMost(self.limits.max_size), ContentSize::Known);
        let (progress_sender, progress_receiver) =
            watch::channel(ReceiveProgress { received: offset, stored: offset });
        let mut before = offset;
        let received = receive(reader, expected, from, sink, self.limits.timeout, |progress| {
            self.observer.transferred(progress.received - before);
            before = progress.received;
            progress_sender.send_replace(progress);
        });
        let received = tokio::select! {
            biased;
            received = received => received,
            error = report_progress(writer, progress_receiver, self.limits.progress_interval) => {
                Err(ReceiveError::Stream(error))
            }
        };
        // The sink is dropped: the file is committed by its name.
        let (_, end, timings) = received.map_err(content)?;
        Ok(ReceivedContent { bytes: None, end, timings })
    }

    /// Like [`receive_large`](Self::receive_large), for a small file, into memory and without
    /// progress reports.
    async fn receive_small(
        &self,
        size: u64,
        reader: &mut FrameReader,
    ) -> Result<ReceivedContent, ReceiveError> {
        self.read_offset(reader, 0).await?;
        let (bytes, end, timings) = receive_small(reader, size, self.limits.timeout).await?;
        self.observer.transferred(end.size);
        Ok(ReceivedContent { bytes: Some(bytes), end, timings })
    }

    /// Reads where the content begins: at the end of the partial file, or at 0.
    async fn read_offset(
        &self,
        reader: &mut FrameReader,
        partial_length: u64,
    ) -> Result<u64, ReceiveError> {
        // The sender may have to hash as many bytes as the partial file has.
        let proving = Duration::from_secs(partial_length / self.limits.proof_rate);
        let frame = reader.read_response(limits::RECEIVED, self.limits.timeout + proving).await?;
        if frame.kind != FrameKind::Reply {
            return Err(FrameError::Unexpected { found: frame.kind, expected: "a Reply" }.into());
        }
        match Reply::decode(&frame.payload)? {
            Reply::Content { offset } if offset == 0 || offset == partial_length => Ok(offset),
            Reply::Content { .. } => Err(malformed("its offset was not offered").into()),
            _ => Err(malformed("expected a Content reply").into()),
        }
    }
}

impl<S: Staging> VerifiedUpload<S> {
    /// Stores the file and acknowledges it: 4. receiver -> Received, Eof. `observer` is told the
    /// outcome, also if this future is dropped while the disk is busy.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn store(
        self,
        writer: &mut FrameWriter,
        observer: impl Observer,
    ) -> Result<(), StoreError<S::Error>> {
        let Self { staging, content: ReceivedContent { bytes, end, mut timings } } = self;
        let commit_started = Instant::now();
        let done = move |result: &Result<(), S::Error>| match result {
            Ok(()) => {
                let slowed_by = record_flush(&mut timings, commit_started);
                observer
                    .succeeded(end.size, TransferBottleneck::combine_at_receiver(slowed_by, &end));
            }
            Err(error) => observer.failed(error),
        };
        let stored = match bytes {
            Some(bytes) => staging.commit_small(bytes, done).await,
            None => staging.commit(end.size, done).await,
        };
        stored.map_err(StoreError::Staging)?;
        let slowed_by = record_flush(&mut timings, commit_started);
        let received = Received { blake3: end.blake3, slowed_by };
        acknowledge(writer, &received).await.map_err(StoreError::Stream)
    }
}

/// Records the time for the flush, and returns the bottleneck of this end.
fn record_flush(timings: &mut TransferTimings, commit_started: Instant) -> Option<Bottleneck> {
    timings.record_flush(commit_started.elapsed());
    timings.bottleneck(timings.elapsed())
}

async fn acknowledge(writer: &mut FrameWriter, received: &Received) -> Result<(), StreamError> {
    writer.write_frame(FrameKind::Received, &received.encode()).await?;
    writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await
}

fn malformed(why: &str) -> FrameError {
    FrameError::Malformed { what: "content", why: why.to_owned() }
}

/// Sends the sender a progress report every `interval` if there is progress. Returns only if that
/// fails.
async fn report_progress(
    writer: &mut FrameWriter,
    mut progress_receiver: watch::Receiver<ReceiveProgress>,
    interval: Duration,
) -> StreamError {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if !matches!(progress_receiver.has_changed(), Ok(true)) {
            continue;
        }
        let ReceiveProgress { received, stored } = *progress_receiver.borrow_and_update();
        let progress = Reply::Progress { received, stored }.encode();
        let written = async {
            writer.write_frame(FrameKind::Reply, &progress).await?;
            writer.flush().await
        };
        if let Err(error) = written.await {
            return error;
        }
    }
}
