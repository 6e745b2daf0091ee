//! `get`: a file's content, and the word that it has arrived.

use std::fmt::Display;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::reply::FileHead;
use quiver_protocol::text::display_safe;
use quiver_protocol::{
    ContentEnd, End as _, FilePath, FrameError, FrameKind, Prefix, Received, Refusal, RefusalCode,
    Reply, limits,
};
use quiver_transport::content::{self, Hashed, SendError, Source};
use quiver_transport::{CommandStream, FrameWriter, StreamError};
use tracing::info;

use super::{CommandError, Next};
use crate::config::{CONTENT_STREAMS, RECEIVED_PATIENCE};
use crate::files::FilesError;
use crate::session::member::Context;

/// What was sent, whole.
pub(super) struct Sent {
    delivery: Delivery,
    end: ContentEnd,
}

/// A file on its way, of which the log will say what became of it: also where the command is cut off,
/// as by the end of its connection.
struct Delivery {
    path: String,
    /// `Client 1: Ron`
    to: String,
    settled: bool,
}

/// 1. client -> Get  2. server -> File, Data*, Eof {size, blake3}
pub(super) async fn answer(
    context: &Context,
    path: FilePath,
    have: Option<Prefix>,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    // Held until the content is sent: the semaphore is never closed.
    let _permit = context.content.acquire().await;
    let many = context.content.available_permits() < CONTENT_STREAMS * 3 / 4;
    let block = if many { BLOCK / 4 } else { BLOCK };
    // Three blocks: they always fit, but for what puts have now. The semaphore is never closed.
    let _memory = context.memory.acquire_many((3 * block / 1024) as u32).await;
    let opened = context.shared.files.open(&path).await;
    let source = opened.map_err(|error| CommandError::of_files(context, error))?;
    let delivery = Delivery::begin(context, &path);
    let (Some(size), Some(modified)) = (source.size(), source.modified()) else {
        return Err(CommandError::of_files(context, FilesError::NotAFile));
    };
    let sent = async {
        let from = match have {
            Some(have) => proved(context, &source, have).await?,
            None => Hashed::nothing(),
        };
        let head = Reply::File(FileHead {
            path,
            size,
            modified: modified.into(),
            offset: from.length(),
            executable: source.is_executable(),
        });
        writer.write_frame(FrameKind::Reply, &head.encode()).await?;
        let end = content::send(writer, source, from, block, |_| {}).await?;
        writer.end(FrameKind::Eof, &end.encode()).await?;
        Ok(end)
    };
    match sent.await {
        Ok(end) => Ok(Next::AwaitReceived(Sent { delivery, end })),
        Err(error) => {
            delivery.failed(&error);
            Err(match error {
                SendError::Changed => {
                    let refusal = Refusal::new(RefusalCode::Changed, error.to_string());
                    CommandError::Refused(refusal)
                }
                SendError::Disk(reason) => {
                    CommandError::Refused(context.shared.internal("reading a file", &reason))
                }
                SendError::Stream(error) => CommandError::Stream(error),
            })
        }
    }
}

/// What of the file need not be sent. Hashing it costs the disk and the processor more than anything else a
/// request may ask for, so a member has one of them at a time.
async fn proved(context: &Context, source: &Source, have: Prefix) -> Result<Hashed, SendError> {
    // The semaphore is never closed.
    let _permit = context.proofs.acquire().await;
    Ok(source.proves(have).await?.unwrap_or_default())
}

/// 3. client -> Received {blake3}
pub(super) async fn confirm(stream: &mut CommandStream, sent: Sent) {
    match received(stream, &sent.end).await {
        Ok(()) => sent.delivery.succeeded(sent.end.size),
        Err(error) => {
            stream.reader.stop();
            sent.delivery.failed(&error);
        }
    }
}

async fn received(stream: &mut CommandStream, end: &ContentEnd) -> Result<(), StreamError> {
    let frame = stream.reader.read_frame(limits::RECEIVED, RECEIVED_PATIENCE).await?;
    if frame.kind != FrameKind::Received {
        return Err(FrameError::Unexpected { found: frame.kind, expected: "Received" }.into());
    }
    if Received::decode(&frame.payload)?.blake3 != end.blake3 {
        let why = "the hash is not the one that was sent".to_owned();
        return Err(FrameError::Malformed { what: "received", why }.into());
    }
    Ok(())
}

impl Delivery {
    fn begin(context: &Context, path: &FilePath) -> Self {
        let path = display_safe(path.as_str()).into_owned();
        let to = format!("Client {}: {}", context.number, context.name);
        Self { path, to, settled: false }
    }

    fn succeeded(mut self, size: u64) {
        self.settled = true;
        info!("delivered {} ({size} bytes) to {}", self.path, self.to);
    }

    fn failed(mut self, reason: &dyn Display) {
        self.settled = true;
        let reason = reason.to_string();
        info!("not delivered: {} to {}: {}", self.path, self.to, display_safe(&reason));
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            info!("not delivered: {} to {}: broken off", self.path, self.to);
        }
    }
}
