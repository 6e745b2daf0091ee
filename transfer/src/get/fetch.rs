//! The receiving end of `get`: one file, verified, under its final name before the sender is told.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::file_system::UnsetAttributes;
use crate::{
    ContentSize, FileAttributes, HashedPrefix, ReceiveError, ReceiveProgress, SMALL,
    TransferBottleneck, TransferTimings, receive, receive_small,
};
use quiver_protocol::reply::FileHead;
use quiver_protocol::{
    ContentEnd, ContentHash, ContentPrefix, EofPayload as _, FilePath, FrameError, FrameKind,
    PlainEnd, Received, RefusalCode, Reply, Request,
};
use quiver_transport::{Channel, CommandStream, StreamError};
use thiserror::Error;

use crate::prefix::PROOF_RATE;
use crate::rate_limit::TransferThrottle;
use crate::{ResponsePart, ResponseReader, ResumableFile, StorageTarget, unexpected_reply};

/// How long the sender may take to receive the acknowledgement; the file is safe by then.
const FAREWELL: Duration = Duration::from_secs(5);

/// A file that is being received: the sender has it and has said how large it is.
#[derive(Debug)]
pub struct IncomingFile {
    stream: CommandStream,
    head: FileHead,
    patience: Duration,
}

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedFile {
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file.
    pub blake3: ContentHash,
    /// Where the content began that came on the last stream: what was here before it.
    pub offset: u64,
    /// What limited that stream; `None` where it cannot be told.
    pub limited_by: Option<TransferBottleneck>,
    /// What could not be set of the file it became.
    pub unset: UnsetAttributes,
}

/// Content that was received whole and verified, and is not acknowledged yet.
#[derive(Debug)]
pub struct VerifiedContent {
    end: ContentEnd,
    times: TransferTimings,
    unset: UnsetAttributes,
}

/// Why a file was not received. Its name is as it was before.
#[derive(Debug, Error)]
pub enum GetError {
    /// It was received whole and is not what was sent.
    #[error("the content does not match its hash")]
    Mismatch,
    /// It is shorter or longer than announced.
    #[error("the content has {found} bytes where {announced} were announced")]
    Length {
        /// The announced bytes.
        announced: u64,
        /// What came.
        found: u64,
    },
    /// It could not be written.
    #[error("{0}")]
    Disk(io::Error),
    /// The sender answered with another file, or a piece of it.
    #[error("what was sent is not what was asked for")]
    OtherFile,
    /// The sender refused, or the conversation broke off.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

impl GetError {
    /// Whether what was received so far is of no use to the next attempt: it is not what the sender has, or the
    /// sender broke the protocol. A stream that only ends early does not spoil it.
    #[must_use]
    pub fn invalidates_partial(&self) -> bool {
        match self {
            Self::Mismatch | Self::Length { .. } | Self::OtherFile => true,
            Self::Stream(StreamError::Refused(refusal)) => refusal.code == RefusalCode::Changed,
            Self::Stream(StreamError::Frame(error)) => !matches!(error, FrameError::Truncated),
            Self::Disk(_) | Self::Stream(_) => false,
        }
    }
}

/// Asks for a file: 1. receiver -> Get. Content follows from where `have` ends, if the sender's file begins so, else from
/// its beginning.
///
/// # Errors
/// [`GetError::Stream`], [`GetError::OtherFile`].
pub async fn fetch(
    connection: &Channel,
    path: &FilePath,
    have: Option<ContentPrefix>,
    patience: Duration,
) -> Result<IncomingFile, GetError> {
    let offered = have.map_or(0, |have| have.size);
    let request = Request::Get { path: path.clone(), have };
    let hashing = Duration::from_secs(offered / PROOF_RATE);
    let mut answer = ResponseReader::send_request(connection, &request, patience).await?;
    answer.patience = patience + hashing;
    let ResponsePart::Reply(Reply::File(head)) = answer.next::<PlainEnd>().await? else {
        return Err(unexpected_reply("something else than a file").into());
    };
    let is_offset = head.offset == 0 || (head.offset == offered && offered <= head.size);
    if head.path != *path || !is_offset {
        return Err(GetError::OtherFile);
    }
    Ok(IncomingFile { stream: answer.stream, head, patience })
}

impl IncomingFile {
    /// Bytes of the file.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// How many of them this end has already, which are not sent again.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.head.offset
    }

    /// Receives the file into a part that begins with `beginning`, and stores it: verified, flushed,
    /// under its final name. `progress` hears of what has arrived so far; `throttle` is what holds this up.
    ///
    /// # Errors
    /// [`GetError`]; `Disk` with `AlreadyExists` where the name is taken by another content and not to be replaced.
    pub async fn store(
        mut self,
        part: &ResumableFile,
        beginning: HashedPrefix,
        target: &StorageTarget,
        throttle: &TransferThrottle,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<ReceivedFile, GetError> {
        let from = if self.head.offset == 0 { HashedPrefix::empty() } else { beginning };
        let sink = part.sink(self.head.offset).await.map_err(GetError::Disk)?;
        let (_, mut came) = self.receive(from, sink, progress).await?;
        let since = Instant::now();
        let unset = part
            .commit(target, self.attributes(), came.end.blake3)
            .await
            .map_err(GetError::Disk)?;
        came.record_commit(since.elapsed(), unset);
        Ok(self.acknowledge(&came, throttle).await)
    }

    /// Whether it fits into memory, with many others.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.head.size <= SMALL && self.head.offset == 0
    }

    /// Receives a small file into memory. Once it stands under its name, that is to be
    /// [acknowledged](Self::acknowledge).
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn receive_small(&mut self) -> Result<(Vec<u8>, VerifiedContent), GetError> {
        let reader = &mut self.stream.reader;
        let (bytes, end, times) = receive_small(reader, self.head.size, self.patience).await?;
        Ok((bytes, VerifiedContent { end, times, unset: UnsetAttributes::default() }))
    }

    /// What the file is given with its name.
    #[must_use]
    pub fn attributes(&self) -> FileAttributes {
        FileAttributes {
            modified: Some(self.head.modified.0.into()),
            executable: self.head.executable,
        }
    }

    /// Finishes where this end has all of the file already, as the sender says: `whole` is what it has.
    ///
    /// # Errors
    /// [`GetError`].
    pub async fn verify_existing(mut self, whole: HashedPrefix) -> Result<ReceivedFile, GetError> {
        let (_, came) = self.receive(whole, io::sink(), |_| {}).await?;
        Ok(self.acknowledge(&came, &TransferThrottle::default()).await)
    }

    /// Receives the file into a pipe. What is written is not verified before all of it is written.
    ///
    /// # Errors
    /// [`GetError`]; part of the file, or all of it, may have been written.
    pub async fn write_to_pipe<W: Write + Send + 'static>(
        mut self,
        pipe: W,
        throttle: &TransferThrottle,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<ReceivedFile, GetError> {
        let (_, came) = self.receive(HashedPrefix::empty(), pipe, progress).await?;
        let came = VerifiedContent { times: came.times.of_pipe(), ..came };
        Ok(self.acknowledge(&came, throttle).await)
    }

    async fn receive<W: Write + Send + 'static>(
        &mut self,
        from: HashedPrefix,
        sink: W,
        progress: impl FnMut(ReceiveProgress),
    ) -> Result<(W, VerifiedContent), GetError> {
        let size = ContentSize::Known(self.head.size);
        let reader = &mut self.stream.reader;
        let received = receive(reader, size, from, sink, self.patience, progress).await;
        let (sink, end, times) = received?;
        Ok((sink, VerifiedContent { end, times, unset: UnsetAttributes::default() }))
    }

    /// Tells the sender that the file is safe: 3. receiver -> Received. Whether it learns of it changes nothing at this
    /// end.
    pub async fn acknowledge(
        &mut self,
        came: &VerifiedContent,
        throttle: &TransferThrottle,
    ) -> ReceivedFile {
        let VerifiedContent { end: ContentEnd { size, blake3, slowed_by: there }, times, unset } =
            came;
        let took = times.took();
        let slowed_by = throttle.bottleneck(took).or_else(|| times.bottleneck(took));
        let received = Received { blake3: *blake3, slowed_by }.encode();
        if self.stream.writer.end(FrameKind::Received, &received).await.is_ok() {
            self.stream.writer.delivered(FAREWELL).await;
        }
        let limited_by = TransferBottleneck::of(slowed_by, *there);
        let (size, blake3, offset) = (*size, *blake3, self.head.offset);
        ReceivedFile { size, blake3, offset, limited_by, unset: *unset }
    }
}

impl VerifiedContent {
    /// It has its name. The disk took so long to make it safe, and refused some attributes.
    pub fn record_commit(&mut self, waited: Duration, unset: UnsetAttributes) {
        self.times.flushed(waited);
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
