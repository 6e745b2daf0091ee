//! The receiver of `get`: one file, verified and stored under its final name before the sender is
//! told.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::file_system::UnsetAttributes;
use crate::{
    ContentSize, FileAttributes, HashedPrefix, ReceiveError, ReceiveProgress, SMALL,
    TransferBottleneck, TransferTimings, receive, receive_small,
};
use quiver_protocol::reply::FileHeader;
use quiver_protocol::{
    ContentEnd, ContentHash, ContentPrefix, EofPayload as _, FilePath, FrameError, FrameKind,
    PlainEnd, Received, RefusalCode, Reply, Request,
};
use quiver_transport::{Channel, CommandStream, StreamError};
use thiserror::Error;

use crate::prefix::PROOF_RATE;
use crate::rate_limit::TransferThrottle;
use crate::receive::{EarlyEnd, UnfinishedContent, receive_until};
use crate::{ResponsePart, ResponseReader, ResumableFile, StorageTarget, unexpected_reply};

/// Timeout for delivering the acknowledgement; the file is already stored.
const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(5);

/// A file whose content is about to be received; its size is known.
#[derive(Debug)]
pub struct IncomingFile {
    stream: CommandStream,
    head: FileHeader,
    idle_timeout: Duration,
}

/// A file that was received and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedFile {
    /// Size of the whole file in bytes.
    pub size: u64,
    /// Hash of the whole file.
    pub blake3: ContentHash,
    /// Offset at which the content of the last stream began: bytes that this end already had.
    pub offset: u64,
    /// What limited the last stream; `None` if that is unknown.
    pub limited_by: Option<TransferBottleneck>,
    /// The attributes of the stored file that could not be set.
    pub unset: UnsetAttributes,
}

/// How [`IncomingFile::store`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The file is stored.
    Stored(ReceivedFile),
    /// The rest is to be requested on another connection.
    Moved,
}

/// Content that was received completely and verified, but not yet acknowledged.
#[derive(Debug)]
pub struct VerifiedContent {
    end: ContentEnd,
    timings: TransferTimings,
    unset: UnsetAttributes,
}

/// Why a file was not received. A file that had its name before is unchanged.
#[derive(Debug, Error)]
pub enum GetError {
    /// All content was received, but its hash does not match.
    #[error("the content does not match its hash")]
    Mismatch,
    /// The content is shorter or longer than announced.
    #[error("the content has {found} bytes where {announced} were announced")]
    Length {
        /// The announced bytes.
        announced: u64,
        /// The received bytes.
        found: u64,
    },
    /// The file is larger than the receiver accepts. Nothing of it was received.
    #[error("the file has {found} bytes where {accepted} are accepted")]
    TooLarge {
        /// The accepted bytes.
        accepted: u64,
        /// The bytes of the file.
        found: u64,
    },
    /// The content could not be written.
    #[error("{0}")]
    Disk(io::Error),
    /// The sender's response is for another file, or for another range of the file.
    #[error("the response is for another file")]
    OtherFile,
    /// The sender refused, or the stream failed.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

impl GetError {
    /// Whether the received content must be discarded, so that the next attempt cannot resume: it
    /// differs from the sender's file, or the sender violated the protocol. A stream that only
    /// ended early leaves a resumable partial file.
    #[must_use]
    pub fn invalidates_partial(&self) -> bool {
        match self {
            Self::Mismatch | Self::Length { .. } | Self::OtherFile => true,
            Self::Stream(StreamError::Refused(refusal)) => refusal.code == RefusalCode::Changed,
            Self::Stream(StreamError::Frame(error)) => !matches!(error, FrameError::Truncated),
            Self::TooLarge { .. } | Self::Disk(_) | Self::Stream(_) => false,
        }
    }
}

/// Requests a file: 1. receiver -> Get. The sender sends content from the end of `have` if its file
/// has that prefix, else from the start.
///
/// # Errors
/// [`GetError::Stream`], [`GetError::OtherFile`].
pub async fn fetch(
    connection: &Channel,
    path: &FilePath,
    have: Option<ContentPrefix>,
    idle_timeout: Duration,
) -> Result<IncomingFile, GetError> {
    let offered = have.map_or(0, |have| have.size);
    let request = Request::Get { path: path.clone(), have };
    let hashing = Duration::from_secs(offered / PROOF_RATE);
    let mut response = ResponseReader::send_request(connection, &request, idle_timeout).await?;
    response.idle_timeout = idle_timeout + hashing;
    let ResponsePart::Reply(Reply::File(head)) = response.next::<PlainEnd>().await? else {
        return Err(unexpected_reply("expected a File reply").into());
    };
    let is_offset = head.offset == 0 || (head.offset == offered && offered <= head.size);
    if head.path != *path || !is_offset {
        return Err(GetError::OtherFile);
    }
    Ok(IncomingFile { stream: response.stream, head, idle_timeout })
}

impl IncomingFile {
    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Number of bytes that this end already has, which are not sent again.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.head.offset
    }

    /// Receives the file into `partial`, whose content is `partial_prefix`, and stores it: verified,
    /// flushed, and under its final name. `progress` gets the received bytes; `throttle` reports
    /// whether a rate limit slowed the transfer down.
    ///
    /// If `moved` resolves before all content was received, stops reading this stream, and leaves
    /// whole blocks in `partial`: at most one block that was read is dropped. Then, as after a
    /// stream that failed, the partial file [keeps](ResumableFile::kept_hash) the hash state with
    /// which the next attempt continues, on this connection or another one.
    ///
    /// # Errors
    /// [`GetError`]; `Disk` with `AlreadyExists` if another file has the name and must not be
    /// replaced.
    pub async fn store(
        mut self,
        partial: &ResumableFile,
        partial_prefix: HashedPrefix,
        target: &StorageTarget,
        throttle: &TransferThrottle,
        moved: impl Future<Output = ()>,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<StoreOutcome, GetError> {
        let from = if self.head.offset == 0 { HashedPrefix::empty() } else { partial_prefix };
        let sink = partial.sink(self.head.offset).await.map_err(GetError::Disk)?;
        let (reader, size) = (&mut self.stream.reader, ContentSize::Known(self.head.size));
        let received = receive_until(reader, size, from, sink, self.idle_timeout, moved, progress);
        let mut content = match received.await {
            Ok((_, end, timings)) => VerifiedContent::new(end, timings),
            Err(UnfinishedContent { reason, written }) => {
                if let Some(written) = written {
                    partial.keep_hash(&written);
                }
                return match reason {
                    EarlyEnd::Stopped(()) => Ok(StoreOutcome::Moved),
                    EarlyEnd::Failed(error) => Err(error.into()),
                };
            }
        };
        let commit_started = Instant::now();
        let unset = partial
            .commit(target, self.attributes(), content.end.blake3)
            .await
            .map_err(GetError::Disk)?;
        content.record_commit(commit_started.elapsed(), unset);
        Ok(StoreOutcome::Stored(self.acknowledge(&content, throttle).await))
    }

    /// Whether many files of this size fit into memory together.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.head.size <= SMALL && self.head.offset == 0
    }

    /// Receives a small file into memory. The caller stores it under its name, then
    /// [acknowledges](Self::acknowledge) it.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn receive_small(&mut self) -> Result<(Vec<u8>, VerifiedContent), GetError> {
        let reader = &mut self.stream.reader;
        let (bytes, end, timings) =
            receive_small(reader, self.head.size, self.idle_timeout).await?;
        Ok((bytes, VerifiedContent::new(end, timings)))
    }

    /// The attributes that the file gets with its final name.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        FileAttributes {
            modified: Some(self.head.modified.0.into()),
            executable: self.head.executable,
        }
    }

    /// Finishes if this end already has the whole file, according to the sender: `whole` is that
    /// file.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn verify_existing(mut self, whole: HashedPrefix) -> Result<ReceivedFile, GetError> {
        let content = self.receive(whole, io::sink(), |_| {}).await?;
        Ok(self.acknowledge(&content, &TransferThrottle::default()).await)
    }

    /// Receives the file into a pipe. The content is written before it is verified.
    ///
    /// # Errors
    /// [`GetError`]; some or all of the content may have been written.
    pub async fn write_to_pipe<W: Write + Send + 'static>(
        mut self,
        pipe: W,
        throttle: &TransferThrottle,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<ReceivedFile, GetError> {
        let content = self.receive(HashedPrefix::empty(), pipe, progress).await?;
        let content = VerifiedContent { timings: content.timings.for_pipe(), ..content };
        Ok(self.acknowledge(&content, throttle).await)
    }

    async fn receive<W: Write + Send + 'static>(
        &mut self,
        from: HashedPrefix,
        sink: W,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<VerifiedContent, GetError> {
        let size = ContentSize::Known(self.head.size);
        let reader = &mut self.stream.reader;
        let (_, end, timings) =
            receive(reader, size, from, sink, self.idle_timeout, progress).await?;
        Ok(VerifiedContent::new(end, timings))
    }

    /// Tells the sender that the file is stored: 3. receiver -> Received. A failure to deliver this
    /// changes nothing at this end.
    pub async fn acknowledge(
        &mut self,
        content: &VerifiedContent,
        throttle: &TransferThrottle,
    ) -> ReceivedFile {
        let VerifiedContent { end, timings, unset } = content;
        let elapsed = timings.elapsed();
        let slowed_by = throttle.bottleneck(elapsed).or_else(|| timings.bottleneck(elapsed));
        let received = Received { blake3: end.blake3, slowed_by }.encode();
        if self.stream.writer.end(FrameKind::Received, &received).await.is_ok() {
            self.stream.writer.delivered(ACKNOWLEDGE_TIMEOUT).await;
        }
        let limited_by = TransferBottleneck::combine_at_receiver(slowed_by, end);
        let (size, blake3, offset) = (end.size, end.blake3, self.head.offset);
        ReceivedFile { size, blake3, offset, limited_by, unset: *unset }
    }
}

impl VerifiedContent {
    fn new(end: ContentEnd, timings: TransferTimings) -> Self {
        Self { end, timings, unset: UnsetAttributes::default() }
    }

    /// Records that the file has its final name: how long the disk took to flush it, and which
    /// attributes could not be set.
    pub fn record_commit(&mut self, waited: Duration, unset: UnsetAttributes) {
        self.timings.record_flush(waited);
        self.unset = unset;
    }
}

impl From<ReceiveError> for GetError {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Mismatch => Self::Mismatch,
            ReceiveError::Length { announced, found } => Self::Length { announced, found },
            ReceiveError::Disk(error) => Self::Disk(error),
            ReceiveError::Stream(error) => Self::Stream(error),
        }
    }
}
