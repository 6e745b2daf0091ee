//! Commands: one stream, one request, one response. A new command has a file of its own and a line
//! in `PendingCommand::from_request`; the rest of this file is the same for all commands.

mod answer;
pub mod authorization;
mod change;
pub mod context;
mod error;
pub mod exit;
mod get;
mod introduce;
mod kept;
mod list;
mod listen;
mod message;
mod put;
mod relay;
mod status;
mod transfer;

use std::pin::Pin;
use std::sync::Arc;

use quiver_protocol::{FrameError, FrameKind, Refusal, RefusalCode, Request, limits};
use quiver_transport::{CommandStream, FrameWriter, StreamError};
use tokio::time::sleep;
use tracing::debug;

use self::authorization::Permission;
use self::context::Context;
use self::error::{CommandError, files_refusal};
use crate::config::{CANCELLED_STREAM_DELAY, REQUEST_TIMEOUT};
use crate::metrics::CommandOutcome;

/// What to do once a response is complete.
enum NextStep {
    /// Nothing.
    Done,
    /// Wait until the client confirms that it received the content.
    AwaitReceived(get::UnconfirmedFile),
    /// Nothing: the command has ended its stream itself, with this outcome.
    Ended(CommandOutcome),
    /// End the session.
    Leave,
}

/// A requested command. It does nothing until its response is awaited.
struct PendingCommand<'a> {
    /// The name in the metrics.
    name: &'static str,
    /// The permission that it needs.
    permission: Permission,
    /// Whether it runs until the client ends it, which counts as its success.
    is_lasting: bool,
    response: ResponseFuture<'a>,
}

type ResponseFuture<'a> = Pin<Box<dyn Future<Output = Result<NextStep, CommandError>> + Send + 'a>>;

impl<'a> PendingCommand<'a> {
    /// The table of all commands.
    fn from_request(request: Request, context: &'a Context, stream: &'a mut CommandStream) -> Self {
        use Permission::{Connected, Read, Upload};
        let Context { client, .. } = context;
        let files = context.files();
        match request {
            Request::Hello(_) => Self::new("hello", Connected, refuse_hello()),
            Request::Exit => {
                Self::reply_only("exit", Connected, stream, |_| async { Ok(NextStep::Leave) })
            }
            Request::Message { text } => {
                Self::reply_only("message", Connected, stream, |writer| message::run(text, writer))
            }
            Request::Status => {
                Self::reply_only("status", Connected, stream, |writer| status::run(context, writer))
            }
            Request::List { path } => {
                Self::reply_only("list", Read, stream, |writer| list::run(context, path, writer))
            }
            Request::Get { path, have } => {
                Self::new("get", Read, get::run(context, path, have, stream))
            }
            Request::Put(put) => Self::new("put", Upload, put::run(context, put, stream)),
            Request::Kept { path } => Self::reply_only("kept", Upload, stream, |writer| {
                kept::run(files, client, context.proof_lane(), path, writer)
            }),
            Request::Remove { path } => Self::reply_only("remove", Upload, stream, |writer| {
                change::remove(files, client, path, writer)
            }),
            Request::Rename { path, to: new, replace } => {
                Self::reply_only("rename", Upload, stream, move |writer| {
                    change::rename(files, client, path, new, replace, writer)
                })
            }
            Request::MakeFolder { path, modified } => {
                Self::reply_only("make_folder", Upload, stream, move |writer| {
                    change::make_folder(files, client, path, modified, writer)
                })
            }
            Request::Space { path } => Self::reply_only("space", Upload, stream, |writer| {
                change::space(files, client, path, writer)
            }),
            Request::Listen => {
                Self::reply_only("listen", Connected, stream, |writer| listen::run(context, writer))
                    .lasting()
            }
            Request::Introduce { name, relay, again } => {
                let options = introduce::IntroduceOptions { relay, again };
                Self::reply_only("introduce", Connected, stream, |writer| {
                    introduce::run(context, name, options, writer)
                })
            }
            Request::Answer { id, accept } => {
                Self::reply_only("answer", Connected, stream, move |writer| {
                    answer::answer(context, id, accept, writer)
                })
            }
            Request::Agreed { id } => {
                Self::reply_only("agreed", Connected, stream, move |writer| {
                    answer::agreed(context, id, writer)
                })
            }
            Request::Relay { id } => {
                Self::new("relay", Connected, relay::run(context, id, stream)).lasting()
            }
        }
    }

    /// A command that reads and writes its stream itself.
    fn new(
        name: &'static str,
        permission: Permission,
        response: impl Future<Output = Result<NextStep, CommandError>> + Send + 'a,
    ) -> Self {
        Self { name, permission, is_lasting: false, response: Box::pin(response) }
    }

    /// Marks a command that runs until the client ends it.
    fn lasting(self) -> Self {
        Self { is_lasting: true, ..self }
    }

    /// A command that only writes replies: it ends early if the client sends anything more, or
    /// stops reading.
    fn reply_only<F>(
        name: &'static str,
        permission: Permission,
        stream: &'a mut CommandStream,
        respond: impl FnOnce(&'a mut FrameWriter) -> F,
    ) -> Self
    where
        F: Future<Output = Result<NextStep, CommandError>> + Send + 'a,
    {
        let CommandStream { reader, writer } = stream;
        let stopped = writer.stopped();
        let response = respond(writer);
        Self::new(name, permission, async move {
            tokio::select! {
                biased;
                // The client sent a second request, or another unexpected frame.
                error = reader.interrupted() => Err(CommandError::from_interruption(error)),
                // The client has cancelled: the permits and memory of the response are for others.
                error = stopped => Err(CommandError::Stream(error)),
                next = response => next,
            }
        })
    }
}

/// Reads a stream's request, runs the command, and ends the stream with exactly one Eof or one
/// Error.
pub async fn serve_stream(context: Arc<Context>, mut stream: CommandStream) {
    let mut counted = context.metrics().start_command("unknown");
    let next = match read_request(&mut stream).await {
        Ok(request) => {
            let command = PendingCommand::from_request(request, &context, &mut stream);
            counted.set_command(command.name);
            if command.is_lasting {
                counted.set_interrupted_outcome(CommandOutcome::Done);
            }
            match admit(&context, command.permission) {
                Ok(()) => command.response.await,
                Err(refusal) => Err(CommandError::Refused(refusal)),
            }
        }
        Err(error) => Err(error),
    };
    let refusal = match next {
        Ok(NextStep::Done) => {
            stream.reader.stop();
            return counted.finish(CommandOutcome::Done);
        }
        Ok(NextStep::Ended(outcome)) => {
            stream.reader.stop();
            return counted.finish(outcome);
        }
        Ok(NextStep::AwaitReceived(sent)) => {
            if get::confirm(&mut stream, sent).await {
                counted.finish(CommandOutcome::Done);
            }
            return;
        }
        Ok(NextStep::Leave) => {
            context.exit.request(stream);
            return counted.finish(CommandOutcome::Done);
        }
        Err(CommandError::Refused(refusal)) => refusal,
        Err(CommandError::Files(error)) => files_refusal(context.metrics(), error),
        Err(CommandError::Stream(error)) => {
            debug!("a stream of {} failed: {error}", context.client.name);
            drop(counted);
            if matches!(error, StreamError::Stopped | StreamError::Reset) {
                sleep(CANCELLED_STREAM_DELAY).await;
            }
            return;
        }
    };
    counted.finish(CommandOutcome::from_refusal(&refusal));
    if let Err(error) = stream.refuse(&refusal).await {
        debug!("cannot send {} a refusal: {error}", context.client.name);
    }
}

async fn read_request(stream: &mut CommandStream) -> Result<Request, CommandError> {
    let frame = match stream.reader.read_frame(limits::MESSAGE, REQUEST_TIMEOUT).await {
        Ok(frame) => frame,
        Err(StreamError::Frame(error)) => return Err(CommandError::Refused(error.into())),
        Err(error @ StreamError::TimedOut(_)) => {
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

/// Checks before every command whether the client may run it now.
fn admit(context: &Context, permission: Permission) -> Result<(), Refusal> {
    if context.is_stopping() {
        return Err(context.stopping_refusal());
    }
    context.authorize(permission)
}

async fn refuse_hello() -> Result<NextStep, CommandError> {
    let refusal = Refusal::new(RefusalCode::BadRequest, "hello was already sent");
    Err(CommandError::Refused(refusal))
}
