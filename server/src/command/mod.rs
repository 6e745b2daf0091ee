//! Commands: one stream, one request, one answer. Each has its file; here is what they share.

mod change;
pub mod exit;
mod get;
mod kept;
mod list;
mod message;
mod put;
mod right;
mod status;
mod transfer;

use std::fmt;
use std::sync::Arc;

use quiver_protocol::{FrameError, FrameKind, Refusal, RefusalCode, Request, limits};
use quiver_transport::{CommandStream, FrameWriter, StreamError};
use tokio::time::sleep;
use tracing::{debug, error};

use crate::config::{GIVEN_UP, REQUEST_PATIENCE};
use crate::files::FilesError;
use crate::metrics::Outcome;
use crate::session::member::Context;
pub(crate) use transfer::CLIENT;

/// Why a command has no regular end.
#[derive(Debug)]
enum CommandError {
    /// The client asked for what it cannot have, and is told why.
    Refused(Refusal),
    /// There is nobody left to tell.
    Stream(StreamError),
}

/// What is left to do once an answer is complete.
enum Next {
    /// Nothing.
    Done,
    /// The client will say that it has the content.
    AwaitReceived(get::Sent),
    /// The client leaves.
    Leave,
}

/// Reads a stream's request, answers it, and ends it with exactly one Eof or one Error.
pub async fn answer(context: Arc<Context>, mut stream: CommandStream) {
    let mut counted = context.shared.metrics.command("unknown");
    let next = match request(&mut stream).await {
        Ok(request) => {
            counted.is(name(&request));
            converse(&context, request, &mut stream).await
        }
        Err(error) => Err(error),
    };
    match next {
        Ok(Next::Done) => {
            stream.reader.stop();
            counted.ends(Outcome::Done);
        }
        Ok(Next::AwaitReceived(sent)) => {
            if get::confirm(&mut stream, sent).await {
                counted.ends(Outcome::Done);
            }
        }
        Ok(Next::Leave) => {
            context.leave(stream);
            counted.ends(Outcome::Done);
        }
        Err(CommandError::Refused(refusal)) => {
            counted.ends(Outcome::refused(&refusal));
            if let Err(error) = stream.refuse(&refusal).await {
                debug!("{} did not hear a refusal: {error}", context.name);
            }
        }
        Err(CommandError::Stream(error)) => {
            debug!("{} broke off: {error}", context.name);
            drop(counted);
            if matches!(error, StreamError::Stopped | StreamError::Reset) {
                sleep(GIVEN_UP).await;
            }
        }
    }
}

/// What a command is called where it is counted.
fn name(request: &Request) -> &'static str {
    match request {
        Request::Hello(_) => "hello",
        Request::Message { .. } => "message",
        Request::Status => "status",
        Request::List { .. } => "list",
        Request::Get { .. } => "get",
        Request::Exit => "exit",
        Request::Put(_) => "put",
        Request::Remove { .. } => "remove",
        Request::Rename { .. } => "rename",
        Request::MakeFolder { .. } => "make_folder",
        Request::Space => "space",
        Request::Kept { .. } => "kept",
    }
}

async fn request(stream: &mut CommandStream) -> Result<Request, CommandError> {
    let frame = match stream.reader.read_frame(limits::MESSAGE, REQUEST_PATIENCE).await {
        Ok(frame) => frame,
        Err(StreamError::Frame(error)) => return Err(CommandError::Refused(error.into())),
        Err(error @ StreamError::Silent(_)) => {
            let refusal = Refusal::new(RefusalCode::BadRequest, format!("no request: {error}"));
            return Err(CommandError::Refused(refusal));
        }
        Err(error) => return Err(CommandError::Stream(error)),
    };
    match frame.kind {
        FrameKind::Request => Request::decode(&frame.payload).map_err(CommandError::Refused),
        found => {
            let error = FrameError::Unexpected { found, expected: "a Request" };
            Err(CommandError::Refused(error.into()))
        }
    }
}

async fn converse(
    context: &Context,
    request: Request,
    stream: &mut CommandStream,
) -> Result<Next, CommandError> {
    if context.shared.stopping.is_cancelled() {
        let refusal = Refusal::new(RefusalCode::ShuttingDown, "the server is stopping");
        return Err(CommandError::Refused(refusal));
    }
    right::permit(context, right::needs(&request)).map_err(CommandError::Refused)?;
    match request {
        // Large, and not moved along with every other command.
        Request::Put(put) => return Box::pin(put::answer(context, put, stream)).await,
        Request::Get { path, have } => return get::answer(context, path, have, stream).await,
        _ => {}
    }
    let CommandStream { reader, writer } = stream;
    let stopped = writer.stopped();
    tokio::select! {
        biased;
        // A second request, or anything else the client has no business to say now.
        error = reader.interrupted() => Err(CommandError::out_of_turn(error)),
        // The client has given up: what the answer holds is for others.
        error = stopped => Err(CommandError::Stream(error)),
        next = dispatch(context, request, writer) => next,
    }
}

async fn dispatch(
    context: &Context,
    request: Request,
    writer: &mut FrameWriter,
) -> Result<Next, CommandError> {
    match request {
        Request::Hello(_) => {
            let refusal = Refusal::new(RefusalCode::BadRequest, "hello was said already");
            Err(CommandError::Refused(refusal))
        }
        Request::Message { text } => message::answer(text, writer).await,
        Request::Status => status::answer(context, writer).await,
        Request::List { path } => list::answer(context, path, writer).await,
        Request::Exit => Ok(Next::Leave),
        Request::Remove { path } => change::remove(context, path, writer).await,
        Request::Rename { path, to, replace } => {
            change::rename(context, path, to, replace, writer).await
        }
        Request::MakeFolder { path, modified } => {
            change::make_folder(context, path, modified, writer).await
        }
        Request::Space => change::space(context, writer).await,
        Request::Kept { path } => kept::answer(context, path, writer).await,
        Request::Get { .. } | Request::Put(_) => {
            let error = context.shared.internal("a transfer", &"it has a conversation of its own");
            Err(CommandError::Refused(error))
        }
    }
}

impl CommandError {
    /// What came where the client had nothing to say: a frame too many is refused, a reset ends the command.
    fn out_of_turn(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            error => Self::Stream(error),
        }
    }

    /// The client is told in its own terms; what is the server's own trouble goes to its log.
    fn of_files(context: &Context, error: FilesError) -> Self {
        let code = match &error {
            FilesError::NotFound => RefusalCode::NotFound,
            FilesError::NotAFile => RefusalCode::NotAFile,
            FilesError::NotAFolder => RefusalCode::NotAFolder,
            FilesError::Forbidden
            | FilesError::Link
            | FilesError::ReadOnly
            | FilesError::NoUploads => RefusalCode::Forbidden,
            FilesError::PartName | FilesError::Inside => RefusalCode::BadPath,
            FilesError::Exists => RefusalCode::Exists,
            FilesError::NotEmpty => RefusalCode::NotEmpty,
            FilesError::TooLarge { .. } | FilesError::DiskLimit | FilesError::NoLength { .. } => {
                RefusalCode::TooLarge
            }
            FilesError::Spools => RefusalCode::RateLimited,
            FilesError::NoSpace | FilesError::Quota { .. } => RefusalCode::NoSpace,
            FilesError::Spool(_) => {
                return Self::Refused(context.shared.internal("file access", &error));
            }
            FilesError::StateFull(reason) => {
                error!("cannot record who stores what: {reason}");
                RefusalCode::NoSpace
            }
            FilesError::Disk(reason) => {
                return Self::Refused(context.shared.internal("file access", reason));
            }
        };
        Self::Refused(Refusal::new(code, error.to_string()))
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Stream(error) => error.fmt(f),
        }
    }
}

impl From<StreamError> for CommandError {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}
