//! The sender of `put`: one file, which counts as stored once the receiver has verified it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{HashedPrefix, SendError, Source, TransferBottleneck, send};
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::reply::ResumePoint;
use quiver_protocol::{
    ContentEnd, ContentHash, EofPayload as _, FilePath, FrameError, FrameKind, PlainEnd,
    PutRequest, Received, Refusal, RefusalCode, Reply, Request, limits,
};
use quiver_transport::stream::{FrameReader, FrameWriter};
use quiver_transport::{Channel, CommandStream, StreamError};
use thiserror::Error;
use tokio::time::{Instant, timeout};

use super::send_progress::SendProgress;
use crate::prefix::PROOF_RATE;
use crate::rate_limit::{RateLimit, TransferThrottle};
use crate::{ResponsePart, ResponseReader, unexpected_reply};

/// Timeout for telling the receiver why no more content is sent.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(2);

/// Block size for a pipe, in bytes: small, because a slow pipe must not keep the receiver waiting.
const PIPE_BLOCK: usize = 64 * 1024;

/// The error text for a confirmation that is received too early.
const EARLY_CONFIRMATION: &str = "a confirmation before all content was sent";

/// How a file is to be stored.
#[derive(Debug, Clone)]
pub struct PutOffer {
    /// The path under which the file is stored.
    pub path: FilePath,
    /// Whether an existing file with this path is replaced.
    pub replace: bool,
    /// Whether to resume a partial file of an earlier attempt.
    pub resume: bool,
}

/// A file that is about to be sent: the receiver is ready, and the offset of the content is agreed.
#[derive(Debug)]
pub struct OutgoingFile {
    stream: CommandStream,
    source: Source,
    from: HashedPrefix,
    /// Whether the receiver had a partial file, and it was to be resumed.
    had_partial: bool,
    idle_timeout: Duration,
    send_progress: Arc<SendProgress>,
}

/// Counts the bytes sent of a file; can be read after the transfer was aborted.
#[derive(Debug, Clone)]
pub struct SentBytes(Arc<SendProgress>);

/// Progress at the receiver, in bytes of the whole file, including those that it already had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiverProgress {
    /// Bytes that the receiver has received.
    pub received: u64,
    /// Bytes that the receiver has written to its disk, but may still lose.
    pub stored: u64,
}

/// The receiver's confirmation that it has verified, flushed and stored the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Size of the whole file in bytes.
    pub size: u64,
    /// Hash of the whole file.
    pub blake3: ContentHash,
    /// Bytes that were passed to the connection.
    pub sent: u64,
    /// Offset at which the content began: bytes that the receiver already had.
    pub resumed_at: u64,
    /// What limited the last stream; `None` if that is unknown.
    pub limited_by: Option<TransferBottleneck>,
}

/// Why a file was not stored. An existing file at the receiver is unchanged, unless the receiver
/// was lost after the last byte.
#[derive(Debug, Error)]
pub enum PutError {
    /// The file shrank or was rewritten while it was sent.
    #[error("the file changed while it was sent")]
    Changed,
    /// The file ends before the size that its file system reports: it can be sent
    /// [without](Source::without_size) one.
    #[error("the file ends before the size that its file system reports")]
    WrongSize,
    /// The file could not be read.
    #[error("{0}")]
    Source(io::Error),
    /// The hash that the receiver confirms is not that of the sent content.
    #[error("the receiver's hash does not match the sent content")]
    Mismatch,
    /// The receiver refused, or the stream failed.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

/// Offers a file and agrees on the offset of its content: 1. sender -> Put  2. receiver -> Ready
/// 3. sender -> Content.
///
/// # Errors
/// [`PutError`].
pub async fn offer(
    connection: &Channel,
    source: Source,
    offer: &PutOffer,
    idle_timeout: Duration,
) -> Result<OutgoingFile, PutError> {
    let request = Request::Put(PutRequest {
        path: offer.path.clone(),
        size: source.size(),
        modified: source.modified().map(Into::into),
        executable: source.is_executable(),
        replace: offer.replace,
    });
    let mut response = ResponseReader::send_request(connection, &request, idle_timeout).await?;
    // The receiver first hashes its partial file, which may have nearly the size of the file.
    let max_partial = source.size().filter(|_| offer.resume).unwrap_or(0);
    response.idle_timeout = idle_timeout + Duration::from_secs(max_partial / PROOF_RATE);
    let ResponsePart::Reply(Reply::Ready(ready)) = response.next::<PlainEnd>().await? else {
        return Err(unexpected_reply("expected a Ready reply").into());
    };
    if ready.path != offer.path {
        return Err(unexpected_reply("a Ready reply for another file").into());
    }
    let mut stream = response.stream;
    let from = match resumable_prefix(&source, &ready, offer.resume).await {
        Ok(from) => from,
        Err(error) => {
            send_refusal(&mut stream.writer, RefusalCode::Internal, "the file cannot be read")
                .await;
            return Err(PutError::Source(error));
        }
    };
    let content = Reply::Content { offset: from.length() };
    stream.writer.write_frame(FrameKind::Reply, &content.encode()).await?;
    if source.size().is_none() {
        // It is unknown when there is content to send together with it.
        stream.writer.flush().await?;
    }
    let had_partial = offer.resume && ready.have.is_some();
    let send_progress = Arc::new(SendProgress::new(from.length(), source.size()));
    Ok(OutgoingFile { stream, source, from, had_partial, idle_timeout, send_progress })
}

/// The receiver's partial file, if it is a prefix of this file.
async fn resumable_prefix(
    source: &Source,
    ready: &ResumePoint,
    resume: bool,
) -> io::Result<HashedPrefix> {
    let Some(have) = ready.have.filter(|_| resume) else { return Ok(HashedPrefix::empty()) };
    Ok(source.verify_prefix(have, None).await?.unwrap_or_default())
}

impl OutgoingFile {
    /// Size of the whole file in bytes; `None` for a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.source.size()
    }

    /// Offset at which the content begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.from.length()
    }

    /// Whether the receiver had a partial file; if the content begins at 0, it could not be
    /// resumed.
    #[must_use]
    pub fn had_partial(&self) -> bool {
        self.had_partial
    }

    /// The number of bytes sent so far, which can be read at any time.
    #[must_use]
    pub fn sent_bytes(&self) -> SentBytes {
        SentBytes(self.send_progress.clone())
    }

    /// Sends the content and waits for the receiver to confirm that the file is stored. `progress`
    /// gets the receiver's progress, which never decreases. `is_source_idle` tells whether the
    /// source has nothing to send at the moment: then the receiver may be silent.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn send(
        mut self,
        limit: Option<&RateLimit>,
        is_source_idle: &(dyn Fn() -> bool + Sync),
        progress: impl FnMut(ReceiverProgress) + Send,
    ) -> Result<StoredReceipt, PutError> {
        let started = Instant::now();
        let resumed_at = self.from.length();
        let send_progress = self.send_progress.clone();
        let result = self.exchange(limit, is_source_idle, &send_progress, progress).await;
        match &result {
            Err(PutError::Changed) => {
                let writer = &mut self.stream.writer;
                send_refusal(writer, RefusalCode::Changed, "the file changed while it was sent")
                    .await;
            }
            Err(PutError::WrongSize) => {
                let writer = &mut self.stream.writer;
                send_refusal(
                    writer,
                    RefusalCode::Changed,
                    "the file has another size than announced",
                )
                .await;
            }
            Err(PutError::Source(_)) => {
                let writer = &mut self.stream.writer;
                send_refusal(writer, RefusalCode::Internal, "the file cannot be read").await;
            }
            _ => {}
        }
        let (SentContent { end, duration: send_duration }, received) = result?;
        let Received { blake3, slowed_by: remote } = received;
        if blake3 != end.blake3 {
            return Err(PutError::Mismatch);
        }
        let limited_by =
            TransferBottleneck::combine_at_sender(&end, send_duration, started.elapsed(), remote);
        Ok(StoredReceipt {
            size: end.size,
            blake3,
            sent: send_progress.sent(),
            resumed_at,
            limited_by,
        })
    }

    /// Runs both directions at once: sending content, and reading the receiver's reports.
    async fn exchange(
        &mut self,
        limit: Option<&RateLimit>,
        is_source_idle: &(dyn Fn() -> bool + Sync),
        send_progress: &SendProgress,
        progress: impl FnMut(ReceiverProgress) + Send,
    ) -> Result<(SentContent, Received), PutError> {
        let CommandStream { reader, writer } = &mut self.stream;
        let source = std::mem::replace(&mut self.source, Source::from_pipe(io::empty()));
        let from = std::mem::take(&mut self.from);
        let sent = send_content(writer, source, from, limit, send_progress);
        let received = read_confirmation(reader, send_progress, progress);
        let silence = send_progress.wait_for_silence(self.idle_timeout, is_source_idle);
        tokio::pin!(sent, received, silence);
        let (mut end, mut stopped) = (None, false);
        loop {
            tokio::select! {
                // An Error explains why the receiver stopped reading.
                biased;
                received = &mut received => {
                    let received = received?;
                    let end = end.ok_or_else(|| unexpected_reply(EARLY_CONFIRMATION))?;
                    return Ok((end, received));
                }
                sent = &mut sent, if end.is_none() && !stopped => match sent {
                    Ok(sent) => end = Some(sent),
                    // The receiver's Error with the reason follows.
                    Err(SendError::Stream(StreamError::Stopped)) => stopped = true,
                    Err(SendError::Stream(error)) => return Err(error.into()),
                    Err(SendError::Changed) => return Err(PutError::Changed),
                    Err(SendError::WrongSize) => return Err(PutError::WrongSize),
                    Err(SendError::Disk(error)) => return Err(PutError::Source(error)),
                },
                () = &mut silence => return Err(StreamError::TimedOut(self.idle_timeout).into()),
            }
        }
    }
}

impl SentBytes {
    /// Bytes that were passed to the connection.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.sent()
    }

    /// Whether all content was passed to the connection.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.is_all_sent()
    }
}

/// Tells the receiver why no more content is sent. A failure to deliver this changes nothing at
/// this end.
async fn send_refusal(writer: &mut FrameWriter, code: RefusalCode, why: &str) {
    let refusal = Refusal::new(code, why).encode();
    if let Ok(Ok(())) = timeout(REFUSAL_TIMEOUT, writer.end(FrameKind::Error, &refusal)).await {
        writer.delivered(REFUSAL_TIMEOUT).await;
    }
}

/// The end of the sent content.
struct SentContent {
    end: ContentEnd,
    /// Time until all content was sent.
    duration: Duration,
}

/// 3. sender -> Data*, Eof
async fn send_content(
    writer: &mut FrameWriter,
    source: Source,
    from: HashedPrefix,
    limit: Option<&RateLimit>,
    send_progress: &SendProgress,
) -> Result<SentContent, SendError> {
    let (throttle, started) = (TransferThrottle::default(), Instant::now());
    let max_block = if source.size().is_some() { BLOCK } else { PIPE_BLOCK };
    let block = limit.map_or(max_block, |limit| limit.block_size().min(max_block));
    let on_sent = |length: u64| {
        send_progress.add_sent(length);
        if let Some(limit) = limit {
            let next = limit.take(length);
            throttle.pause_until(next);
            send_progress.mark_alive(next);
        }
    };
    let end = throttle.run(send(writer, source, from, block, on_sent)).await?;
    let duration = started.elapsed();
    let end = match throttle.bottleneck(duration) {
        Some(limit) => ContentEnd { slowed_by: Some(limit), network: None, ..end },
        None => end,
    };
    send_progress.mark_all_sent(end.size);
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(SentContent { end, duration })
}

/// Reads the receiver's reports, its confirmation that the file is stored, and the end of its
/// response.
async fn read_confirmation(
    reader: &mut FrameReader,
    send_progress: &SendProgress,
    mut progress: impl FnMut(ReceiverProgress),
) -> Result<Received, StreamError> {
    // `SendProgress` has the timeout: the receiver may be silent while this end has nothing to
    // send.
    const NEVER: Duration = Duration::MAX;
    let mut reported = ReceiverProgress::default();
    let received = loop {
        let frame = reader.read_response(limits::FRAME, NEVER).await?;
        send_progress.mark_alive(Instant::now());
        match frame.kind {
            FrameKind::Reply => {
                let Reply::Progress { received, stored } = Reply::decode(&frame.payload)? else {
                    return Err(unexpected_reply("expected a Progress reply"));
                };
                if stored > received || received > send_progress.max_received() {
                    return Err(unexpected_reply("a Progress reply beyond the sent content"));
                }
                reported.received = reported.received.max(received);
                reported.stored = reported.stored.max(stored);
                progress(reported);
            }
            FrameKind::Received => break Received::decode(&frame.payload)?,
            found => {
                let expected = "Reply, Received or Error";
                return Err(FrameError::Unexpected { found, expected }.into());
            }
        }
    };
    if !send_progress.is_all_sent() {
        return Err(unexpected_reply(EARLY_CONFIRMATION));
    }
    let frame = reader.read_response(limits::FRAME, NEVER).await?;
    if frame.kind != FrameKind::Eof {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "Eof" }.into());
    }
    PlainEnd::decode(&frame.payload)?;
    reader.read_end(NEVER).await?;
    Ok(received)
}
