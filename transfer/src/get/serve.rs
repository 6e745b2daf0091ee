//! The sending end of `get`: a file's content, and the confirmation that it was stored.

use std::time::{Duration, Instant};

use quiver_protocol::reply::FileHead;
use quiver_protocol::{
    ContentEnd, ContentPrefix, EofPayload as _, FilePath, FrameError, FrameKind, Received, Reply,
    limits,
};
use quiver_transport::{CommandStream, FrameReader, StreamError};
use thiserror::Error;

use crate::response::run_until_interrupted;
use crate::{HashedPrefix, Observer, ProofLimits, SendError, Source, TransferBottleneck, send};

/// A file that is served.
#[derive(Debug)]
pub struct ServedFile<'a> {
    /// The path that was asked for.
    pub path: FilePath,
    /// Its content, of known [size](Source::size).
    pub source: Source,
    /// The beginning that the receiver says it has.
    pub have: Option<ContentPrefix>,
    /// Bytes of content that are read and sent at once: see [`send()`].
    pub block: usize,
    /// Where that beginning is hashed.
    pub proofs: ProofLimits<'a>,
}

/// A file that was sent, and is not confirmed yet.
#[derive(Debug)]
pub struct SentFile {
    end: ContentEnd,
    began: Instant,
    /// How long it took until all had left.
    took: Duration,
}

/// Why a file was not sent.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The source is a pipe, or its file system does not tell its size.
    #[error("the size of the file is not known")]
    NoSize,
    /// The content was not sent to its end; or, as [`SendError::Stream`], the receiver gave up, or said
    /// something out of turn.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<StreamError> for ServeError {
    fn from(error: StreamError) -> Self {
        Self::Send(error.into())
    }
}

/// Sends a file: 2. sender -> File, Data*, Eof. What of it the receiver proves to have is left out. `observer`
/// hears of each block; an error of this is told to it by the caller.
///
/// What the caller holds for the content, as memory, is not needed any more when this returns; then follows
/// [`SentFile::confirm`].
///
/// # Errors
/// [`ServeError`]. The stream has no end then: the caller says why, in an Error.
pub async fn serve(
    stream: &mut CommandStream,
    file: ServedFile<'_>,
    observer: &impl Observer,
) -> Result<SentFile, ServeError> {
    let began = Instant::now();
    let ServedFile { path, source, have, block, proofs } = file;
    let (Some(size), Some(modified)) = (source.size(), source.modified()) else {
        return Err(ServeError::NoSize);
    };
    let CommandStream { reader, writer } = stream;
    let from = match have {
        None => HashedPrefix::empty(),
        Some(have) => {
            // A receiver that gives up must not keep what proving takes.
            let proved = proofs.prove(&source, have);
            let proved = run_until_interrupted(reader, writer.stopped(), proved).await?;
            proved.map_err(SendError::Disk)?
        }
    };
    let sent = async {
        let head = Reply::File(FileHead {
            path,
            size,
            modified: modified.into(),
            offset: from.length(),
            executable: source.is_executable(),
        });
        writer.write_frame(FrameKind::Reply, &head.encode()).await?;
        let end = send(writer, source, from, block, |bytes| observer.transferred(bytes)).await?;
        writer.end(FrameKind::Eof, &end.encode()).await?;
        Ok(end)
    };
    let end = tokio::select! {
        biased;
        // The receiver has no business to say anything now; where it stopped reading, the write tells.
        error = reader.interrupted() => Err(ServeError::from(error)),
        sent = sent => sent,
    }?;
    Ok(SentFile { end, began, took: began.elapsed() })
}

impl SentFile {
    /// Waits for the receiver to confirm that it has stored the file: 3. receiver -> Received. Tells `observer`
    /// how the transfer ended.
    ///
    /// # Errors
    /// [`StreamError`]: whether the file is stored is not known then.
    pub async fn confirm(
        self,
        reader: &mut FrameReader,
        timeout: Duration,
        observer: impl Observer,
    ) -> Result<(), StreamError> {
        let Self { end, began, took } = self;
        match received(reader, &end, timeout).await {
            Ok(Received { slowed_by: there, .. }) => {
                let limited_by =
                    TransferBottleneck::of_sender(end.slowed_by, took, began.elapsed(), there);
                observer.succeeded(end.size, limited_by);
                Ok(())
            }
            Err(error) => {
                reader.stop();
                observer.failed(&error);
                Err(error)
            }
        }
    }
}

async fn received(
    reader: &mut FrameReader,
    end: &ContentEnd,
    timeout: Duration,
) -> Result<Received, StreamError> {
    let frame = reader.read_frame(limits::RECEIVED, timeout).await?;
    if frame.kind != FrameKind::Received {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "Received" }.into());
    }
    let received = Received::decode(&frame.payload)?;
    if received.blake3 != end.blake3 {
        let why = "the hash is not the one that was sent".to_owned();
        return Err(FrameError::Malformed { what: "received", why }.into());
    }
    Ok(received)
}
