//! The sender of `get`: a file's content, and the confirmation that it was stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quiver_protocol::reply::FileHeader;
use quiver_protocol::{
    ContentEnd, ContentPrefix, EofPayload as _, FilePath, FrameError, FrameKind, Received, Reply,
    limits,
};
use quiver_transport::{CommandStream, FrameReader, StreamError};
use thiserror::Error;

use crate::prefix_cache::PrefixRecorder;
use crate::response::run_until_interrupted;
use crate::send::send_recorded;
use crate::{
    HashedPrefix, Observer, PrefixCache, ProofLimits, SendError, Source, TransferBottleneck,
};

/// A file to be sent.
#[derive(Debug)]
pub struct ServedFile<'a> {
    /// The requested path.
    pub path: FilePath,
    /// The content, whose [size](Source::size) must be known.
    pub source: Source,
    /// The prefix that the receiver has, according to its request.
    pub have: Option<ContentPrefix>,
    /// Content bytes of each block: see [`send()`](crate::send()).
    pub block: usize,
    /// Where the prefix is hashed.
    pub proofs: ProofLimits<'a>,
    /// Hash states and last blocks of files that were sent recently: a prefix in it is not hashed
    /// again, and a block in it not read again. This transfer adds its own.
    pub prefix_cache: Option<&'a PrefixCache>,
}

/// A file that was sent, but is not yet confirmed.
#[derive(Debug)]
pub struct SentFile {
    end: ContentEnd,
    recorder: Option<Arc<PrefixRecorder>>,
    started: Instant,
    /// Time until all content was sent.
    send_duration: Duration,
}

/// Why a file was not sent.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The source is a pipe, or its file system does not report its size.
    #[error("the size of the file is not known")]
    NoSize,
    /// The content was not sent to its end. As [`SendError::Stream`]: the receiver gave up, or sent
    /// a frame when it must not.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl From<StreamError> for ServeError {
    fn from(error: StreamError) -> Self {
        Self::Send(error.into())
    }
}

/// Sends a file: 2. sender -> File, Data*, Eof. A verified prefix is not sent again. `observer` is
/// told of each block; the caller reports an error to it.
///
/// When this returns, the caller can release what it holds for the content, such as memory. It then
/// calls [`SentFile::confirm`].
///
/// # Errors
/// [`ServeError`]. The stream is then without an end: the caller sends an Error with the reason.
pub async fn serve(
    stream: &mut CommandStream,
    file: ServedFile<'_>,
    observer: &impl Observer,
) -> Result<SentFile, ServeError> {
    let started = Instant::now();
    let ServedFile { path, source, have, block, proofs, prefix_cache } = file;
    let (Some(size), Some(modified)) = (source.size(), source.modified()) else {
        return Err(ServeError::NoSize);
    };
    let CommandStream { reader, writer } = stream;
    let cached = have.and_then(|have| prefix_cache?.find(&source, have));
    let from = match (cached, have) {
        (Some(cached), _) => cached,
        (None, None) => HashedPrefix::empty(),
        (None, Some(have)) => {
            // A receiver that gives up must not keep the permit for hashing.
            let proof = proofs.verify_prefix(&source, have);
            let proof = run_until_interrupted(reader, writer.stopped(), proof).await?;
            proof.map_err(SendError::Disk)?
        }
    };
    let recorder = prefix_cache.and_then(|cache| cache.start_recording(&source, &from));
    let recorder = recorder.map(Arc::new);
    let sent = async {
        let head = Reply::File(FileHeader {
            path,
            size,
            modified: modified.into(),
            offset: from.length(),
            executable: source.is_executable(),
        });
        writer.write_frame(FrameKind::Reply, &head.encode()).await?;
        let progress = |bytes| observer.transferred(bytes);
        let end = send_recorded(writer, source, from, block, recorder.clone(), progress).await?;
        writer.end(FrameKind::Eof, &end.encode()).await?;
        Ok(end)
    };
    let end = tokio::select! {
        biased;
        // The receiver must not send anything now; if it stopped reading, the write fails.
        error = reader.interrupted() => Err(ServeError::from(error)),
        sent = sent => sent,
    }?;
    Ok(SentFile { end, recorder, started, send_duration: started.elapsed() })
}

impl SentFile {
    /// Waits for the receiver to confirm that it has stored the file: 3. receiver -> Received.
    /// Reports the outcome to `observer`.
    ///
    /// # Errors
    /// [`StreamError`]: the file may or may not be stored.
    pub async fn confirm(
        self,
        reader: &mut FrameReader,
        timeout: Duration,
        observer: impl Observer,
    ) -> Result<(), StreamError> {
        let Self { end, recorder, started, send_duration } = self;
        match read_confirmation(reader, &end, timeout).await {
            Ok(Received { slowed_by: remote, .. }) => {
                let limited_by = TransferBottleneck::combine_at_sender(
                    &end,
                    send_duration,
                    started.elapsed(),
                    remote,
                );
                if let Some(recorder) = recorder {
                    recorder.remove();
                }
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

async fn read_confirmation(
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
        let why = "the hash is not that of the sent content".to_owned();
        return Err(FrameError::Malformed { what: "received", why }.into());
    }
    Ok(received)
}
