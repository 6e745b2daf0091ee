//! The sending end of `put`: one file, which counts as stored once the receiver has verified it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::{HashedPrefix, SendError, Source, TransferBottleneck, send};
use quiver_protocol::chunk::BLOCK;
use quiver_protocol::reply::Ready;
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

/// How long it may take to tell the receiver why no more is sent.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bytes of a block that comes out of a pipe: a slow one must not keep the receiver waiting for long.
const PIPED: usize = 64 * 1024;

/// What is to become of a file.
#[derive(Debug, Clone)]
pub struct PutOffer {
    /// The path under which it is stored.
    pub path: FilePath,
    /// Whether a file that has this path is replaced.
    pub replace: bool,
    /// Whether to go on where an earlier attempt stopped.
    pub resume: bool,
}

/// A file that is being sent: the receiver is ready for it, and where content begins is settled.
#[derive(Debug)]
pub struct OutgoingFile {
    stream: CommandStream,
    source: Source,
    from: HashedPrefix,
    /// Whether the receiver had kept something of it, and it was to be resumed.
    had_partial: bool,
    patience: Duration,
    send_progress: Arc<SendProgress>,
}

/// What became of a file that is being sent, so far: also when that was broken off.
#[derive(Debug, Clone)]
pub struct SentBytes(Arc<SendProgress>);

/// How far a file is, in its bytes, with those that the receiver had before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReceiverProgress {
    /// What the receiver has received.
    pub received: u64,
    /// What it has written to its disk, which is not yet a promise.
    pub stored: u64,
}

/// What the receiver has verified, flushed, and stored under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredReceipt {
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file.
    pub blake3: ContentHash,
    /// Bytes that were handed to the connection.
    pub sent: u64,
    /// Where content began: what the receiver had before.
    pub resumed_at: u64,
    /// What limited it, on the last stream; `None` where it cannot be told.
    pub limited_by: Option<TransferBottleneck>,
}

/// Why a file was not stored. What the receiver had under its name is unchanged, but where the receiver was lost
/// after the last byte.
#[derive(Debug, Error)]
pub enum PutError {
    /// The file shrank or was rewritten meanwhile.
    #[error("the file changed while it was sent")]
    Changed,
    /// The file ends before the size that its file system gives: it can be sent [without](Source::without_size).
    #[error("the file ends before its size, as its file system gives it")]
    WrongSize,
    /// The file could not be read.
    #[error("{0}")]
    Source(io::Error),
    /// The receiver says that it has something else than was sent.
    #[error("what was stored is not what was sent")]
    Mismatch,
    /// The receiver refused, or the conversation broke off.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

/// Offers a file, and settles where its content begins: 1. sender -> Put  2. receiver -> Ready  3. sender -> Content.
///
/// # Errors
/// [`PutError`].
pub async fn offer(
    connection: &Channel,
    source: Source,
    offer: &PutOffer,
    patience: Duration,
) -> Result<OutgoingFile, PutError> {
    let request = Request::Put(PutRequest {
        path: offer.path.clone(),
        size: source.size(),
        modified: source.modified().map(Into::into),
        executable: source.is_executable(),
        replace: offer.replace,
    });
    let mut answer = ResponseReader::send_request(connection, &request, patience).await?;
    // The receiver first hashes what it kept, which may be nearly all of the file.
    let kept = source.size().filter(|_| offer.resume).unwrap_or(0);
    answer.patience = patience + Duration::from_secs(kept / PROOF_RATE);
    let ResponsePart::Reply(Reply::Ready(ready)) = answer.next::<PlainEnd>().await? else {
        return Err(unexpected_reply("something else than that it is ready").into());
    };
    if ready.path != offer.path {
        return Err(unexpected_reply("readiness for another file").into());
    }
    let mut stream = answer.stream;
    let from = match beginning(&source, &ready, offer.resume).await {
        Ok(from) => from,
        Err(error) => {
            tell(&mut stream.writer, RefusalCode::Internal, "the file cannot be read").await;
            return Err(PutError::Source(error));
        }
    };
    let content = Reply::Content { offset: from.length() };
    stream.writer.write_frame(FrameKind::Reply, &content.encode()).await?;
    if source.size().is_none() {
        // When there is content to send along with it is not known.
        stream.writer.flush().await?;
    }
    let had_partial = offer.resume && ready.have.is_some();
    let send_progress = Arc::new(SendProgress::new(from.length(), source.size()));
    Ok(OutgoingFile { stream, source, from, had_partial, patience, send_progress })
}

/// What the receiver has already, if it is the beginning of this file.
async fn beginning(source: &Source, ready: &Ready, resume: bool) -> io::Result<HashedPrefix> {
    let Some(have) = ready.have.filter(|_| resume) else { return Ok(HashedPrefix::empty()) };
    Ok(source.verify_prefix(have, None).await?.unwrap_or_default())
}

impl OutgoingFile {
    /// Bytes of the whole file; `None` of a pipe.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.source.size()
    }

    /// Where content begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.from.length()
    }

    /// Whether the receiver had kept something of it; where content begins at 0, that was of no use.
    #[must_use]
    pub fn had_partial(&self) -> bool {
        self.had_partial
    }

    /// What was sent of it, to be asked later.
    #[must_use]
    pub fn sent_bytes(&self) -> SentBytes {
        SentBytes(self.send_progress.clone())
    }

    /// Sends the content and waits for the receiver to confirm that it is stored. `progress` hears of what the
    /// receiver reports meanwhile, never less than before. `waits` tells whether the source has nothing to send at
    /// the moment: the receiver's silence does not count then.
    ///
    /// # Errors
    /// [`PutError`].
    pub async fn send(
        mut self,
        limit: Option<&RateLimit>,
        waits: &(dyn Fn() -> bool + Sync),
        progress: impl FnMut(ReceiverProgress) + Send,
    ) -> Result<StoredReceipt, PutError> {
        let began = Instant::now();
        let resumed_at = self.from.length();
        let send_progress = self.send_progress.clone();
        let result = self.converse(limit, waits, &send_progress, progress).await;
        match &result {
            Err(PutError::Changed) => {
                let writer = &mut self.stream.writer;
                tell(writer, RefusalCode::Changed, "the file changed while it was sent").await;
            }
            Err(PutError::WrongSize) => {
                let writer = &mut self.stream.writer;
                tell(writer, RefusalCode::Changed, "the file has another size than announced")
                    .await;
            }
            Err(PutError::Source(_)) => {
                let writer = &mut self.stream.writer;
                tell(writer, RefusalCode::Internal, "the file cannot be read").await;
            }
            _ => {}
        }
        let (SentContent { end, took: sent }, received) = result?;
        let Received { blake3, slowed_by: there } = received;
        if blake3 != end.blake3 {
            return Err(PutError::Mismatch);
        }
        let limited_by = TransferBottleneck::of_sender(end.slowed_by, sent, began.elapsed(), there);
        Ok(StoredReceipt {
            size: end.size,
            blake3,
            sent: send_progress.sent(),
            resumed_at,
            limited_by,
        })
    }

    /// Both directions at once: what was sent, and what the receiver says it has.
    async fn converse(
        &mut self,
        limit: Option<&RateLimit>,
        waits: &(dyn Fn() -> bool + Sync),
        send_progress: &SendProgress,
        progress: impl FnMut(ReceiverProgress) + Send,
    ) -> Result<(SentContent, Received), PutError> {
        let CommandStream { reader, writer } = &mut self.stream;
        let source = std::mem::replace(&mut self.source, Source::from_pipe(io::empty()));
        let from = std::mem::take(&mut self.from);
        let sent = send_content(writer, source, from, limit, send_progress);
        let received = read_confirmation(reader, send_progress, progress);
        let silence = send_progress.silence(self.patience, waits);
        tokio::pin!(sent, received, silence);
        let (mut end, mut stopped) = (None, false);
        loop {
            tokio::select! {
                // An Error explains why the receiver stopped reading.
                biased;
                received = &mut received => {
                    let received = received?;
                    let end = end.ok_or_else(|| unexpected_reply("that it has what was not sent"))?;
                    return Ok((end, received));
                }
                sent = &mut sent, if end.is_none() && !stopped => match sent {
                    Ok(sent) => end = Some(sent),
                    // Its reason is on the way.
                    Err(SendError::Stream(StreamError::Stopped)) => stopped = true,
                    Err(SendError::Stream(error)) => return Err(error.into()),
                    Err(SendError::Changed) => return Err(PutError::Changed),
                    Err(SendError::WrongSize) => return Err(PutError::WrongSize),
                    Err(SendError::Disk(error)) => return Err(PutError::Source(error)),
                },
                () = &mut silence => return Err(StreamError::Silent(self.patience).into()),
            }
        }
    }
}

impl SentBytes {
    /// Bytes that were handed to the connection.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.sent()
    }

    /// Whether those were all.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.has_sent_all()
    }
}

/// Tells the receiver why no more content is sent. Whether it learns of it changes nothing at this end.
async fn tell(writer: &mut FrameWriter, code: RefusalCode, why: &str) {
    let refusal = Refusal::new(code, why).encode();
    if let Ok(Ok(())) = timeout(FAREWELL, writer.end(FrameKind::Error, &refusal)).await {
        writer.delivered(FAREWELL).await;
    }
}

/// All content was sent.
struct SentContent {
    end: ContentEnd,
    /// How long that took.
    took: Duration,
}

/// 3. sender -> Data*, Eof
async fn send_content(
    writer: &mut FrameWriter,
    source: Source,
    from: HashedPrefix,
    limit: Option<&RateLimit>,
    send_progress: &SendProgress,
) -> Result<SentContent, SendError> {
    let (throttle, began) = (TransferThrottle::default(), Instant::now());
    let most = if source.size().is_some() { BLOCK } else { PIPED };
    let block = limit.map_or(most, |limit| limit.block().min(most));
    let taken = |length: u64| {
        send_progress.was_sent(length);
        if let Some(limit) = limit {
            let next = limit.take(length);
            throttle.pause_until(next);
            send_progress.alive_at(next);
        }
    };
    let end = throttle.run(send(writer, source, from, block, taken)).await?;
    let took = began.elapsed();
    let end = ContentEnd { slowed_by: throttle.bottleneck(took).or(end.slowed_by), ..end };
    send_progress.is_all_sent(end.size);
    writer.end(FrameKind::Eof, &end.encode()).await?;
    Ok(SentContent { end, took })
}

/// Reads what the receiver reports, up to its confirmation of what it has stored and the end of its answer.
async fn read_confirmation(
    reader: &mut FrameReader,
    send_progress: &SendProgress,
    mut progress: impl FnMut(ReceiverProgress),
) -> Result<Received, StreamError> {
    // Its silence is watched by `SendProgress`: this end may be the one that is silent.
    const NEVER: Duration = Duration::MAX;
    let mut reported = ReceiverProgress::default();
    let received = loop {
        let frame = reader.read_answer(limits::FRAME, NEVER).await?;
        send_progress.alive_at(Instant::now());
        match frame.kind {
            FrameKind::Reply => {
                let Reply::Progress { received, stored } = Reply::decode(&frame.payload)? else {
                    return Err(unexpected_reply("something else than how far it is"));
                };
                if stored > received || received > send_progress.at_most() {
                    return Err(unexpected_reply("that it has more than was sent"));
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
    if !send_progress.has_sent_all() {
        return Err(unexpected_reply("that it has what was not sent"));
    }
    let frame = reader.read_answer(limits::FRAME, NEVER).await?;
    if frame.kind != FrameKind::Eof {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "Eof" }.into());
    }
    PlainEnd::decode(&frame.payload)?;
    reader.read_end(NEVER).await?;
    Ok(received)
}
