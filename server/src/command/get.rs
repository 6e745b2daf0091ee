//! `get`: a file's content, and the word that it has arrived.

use quiver_protocol::reply::FileHead;
use quiver_protocol::text::display_safe;
use quiver_protocol::{
    ContentEnd, End as _, FilePath, FrameError, FrameKind, Received, Refusal, RefusalCode, Reply,
    limits,
};
use quiver_transport::content::{self, SendError};
use quiver_transport::{CommandStream, FrameWriter, StreamError};
use tracing::info;

use super::{CommandError, Next};
use crate::config::RECEIVED_PATIENCE;
use crate::session::member::Context;

/// What was sent, whole.
pub(super) struct Sent {
    path: FilePath,
    end: ContentEnd,
}

/// 1. client -> Get  2. server -> File, Data*, Eof {size, blake3}
pub(super) async fn answer(
    context: &Context,
    path: FilePath,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    // Held until the content is sent: the semaphore is never closed.
    let _permit = context.content.acquire().await;
    let opened = context.shared.files.open(&path).await;
    let source = opened.map_err(|error| CommandError::of_files(context, error))?;
    let head = Reply::File(FileHead {
        path: path.clone(),
        size: source.size(),
        modified: source.modified().into(),
        offset: 0,
    });
    writer.write_frame(FrameKind::Reply, &head.encode()).await?;
    match content::send(writer, source, |_| {}).await {
        Ok(end) => {
            writer.end(FrameKind::Eof, &end.encode()).await?;
            Ok(Next::AwaitReceived(Sent { path, end }))
        }
        Err(error) => {
            log_undelivered(context, &path, &error);
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

/// 3. client -> Received {blake3}
pub(super) async fn confirm(context: &Context, stream: &mut CommandStream, sent: Sent) {
    match received(stream, &sent.end).await {
        Ok(()) => info!(
            "delivered {} ({} bytes) to Client {}: {}",
            display_safe(sent.path.as_str()),
            sent.end.size,
            context.number,
            context.name
        ),
        Err(error) => {
            stream.reader.stop();
            log_undelivered(context, &sent.path, &error);
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

fn log_undelivered(context: &Context, path: &FilePath, reason: &dyn std::fmt::Display) {
    info!(
        "not delivered: {} to Client {}: {}: {}",
        display_safe(path.as_str()),
        context.number,
        context.name,
        display_safe(&reason.to_string())
    );
}
