//! Commands: one stream, one request, one answer. A new command has a file of its own and a line in `PendingCommand::of`;
//! the rest of this file is the same for all of them.

pub mod authorization;
mod change;
pub mod context;
mod error;
pub mod exit;
mod get;
mod kept;
mod list;
mod message;
mod put;
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
use self::error::{CommandError, refusal_of_files};
use crate::config::{GIVEN_UP, REQUEST_PATIENCE};
use crate::metrics::CommandOutcome;

/// What is left to do once an answer is complete.
enum NextStep {
    /// Nothing.
    Done,
    /// The client will say that it has the content.
    AwaitReceived(get::UnconfirmedFile),
    /// The client leaves.
    Leave,
}

/// A command that was asked for, and does nothing before its answer is awaited.
struct PendingCommand<'a> {
    /// The name under which it is counted.
    name: &'static str,
    /// The permission that it needs.
    permission: Permission,
    answer: PendingAnswer<'a>,
}

type PendingAnswer<'a> = Pin<Box<dyn Future<Output = Result<NextStep, CommandError>> + Send + 'a>>;

impl<'a> PendingCommand<'a> {
    /// The one table of commands.
    fn of(request: Request, context: &'a Context, stream: &'a mut CommandStream) -> Self {
        use Permission::{Connected, Read, Upload};
        let Context { client, .. } = context;
        let files = context.files();
        match request {
            Request::Hello(_) => Self::new("hello", Connected, refuse_hello()),
            Request::Exit => {
                Self::replying("exit", Connected, stream, |_| async { Ok(NextStep::Leave) })
            }
            Request::Message { text } => {
                Self::replying("message", Connected, stream, |to| message::answer(text, to))
            }
            Request::Status => Self::replying("status", Connected, stream, |to| {
                status::answer(context.history(), &client.limits, to)
            }),
            Request::List { path } => {
                Self::replying("list", Read, stream, |to| list::answer(context, path, to))
            }
            Request::Get { path, have } => {
                Self::new("get", Read, get::answer(context, path, have, stream))
            }
            Request::Put(put) => Self::new("put", Upload, put::answer(context, put, stream)),
            Request::Kept { path } => Self::replying("kept", Upload, stream, |to| {
                kept::answer(files, client, context.proof_lane(), path, to)
            }),
            Request::Remove { path } => Self::replying("remove", Upload, stream, |to| {
                change::remove(files, client, path, to)
            }),
            Request::Rename { path, to: new, replace } => {
                Self::replying("rename", Upload, stream, move |to| {
                    change::rename(files, client, path, new, replace, to)
                })
            }
            Request::MakeFolder { path, modified } => {
                Self::replying("make_folder", Upload, stream, move |to| {
                    change::make_folder(files, client, path, modified, to)
                })
            }
            Request::Space => {
                Self::replying("space", Upload, stream, |to| change::space(files, client, to))
            }
        }
    }

    /// A command that reads and writes its stream itself.
    fn new(
        name: &'static str,
        permission: Permission,
        answer: impl Future<Output = Result<NextStep, CommandError>> + Send + 'a,
    ) -> Self {
        Self { name, permission, answer: Box::pin(answer) }
    }

    /// A command that only replies: it ends once the client sends anything more, or stops reading.
    fn replying<F>(
        name: &'static str,
        permission: Permission,
        stream: &'a mut CommandStream,
        answer: impl FnOnce(&'a mut FrameWriter) -> F,
    ) -> Self
    where
        F: Future<Output = Result<NextStep, CommandError>> + Send + 'a,
    {
        let CommandStream { reader, writer } = stream;
        let stopped = writer.stopped();
        let answer = answer(writer);
        Self::new(name, permission, async move {
            tokio::select! {
                biased;
                // A second request, or anything else the client may not send now.
                error = reader.interrupted() => Err(CommandError::out_of_turn(error)),
                // The client has given up: what the answer holds is for others.
                error = stopped => Err(CommandError::Stream(error)),
                next = answer => next,
            }
        })
    }
}

/// Reads a stream's request, answers it, and ends it with exactly one Eof or one Error.
pub async fn answer(context: Arc<Context>, mut stream: CommandStream) {
    let mut counted = context.metrics().start_command("unknown");
    let next = match request(&mut stream).await {
        Ok(request) => {
            let command = PendingCommand::of(request, &context, &mut stream);
            counted.set_command(command.name);
            match admit(&context, command.permission) {
                Ok(()) => command.answer.await,
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
        Err(CommandError::Files(error)) => refusal_of_files(context.metrics(), error),
        Err(CommandError::Stream(error)) => {
            debug!("{} broke off: {error}", context.client.name);
            drop(counted);
            if matches!(error, StreamError::Stopped | StreamError::Reset) {
                sleep(GIVEN_UP).await;
            }
            return;
        }
    };
    counted.finish(CommandOutcome::from_refusal(&refusal));
    if let Err(error) = stream.refuse(&refusal).await {
        debug!("{} did not hear a refusal: {error}", context.client.name);
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

/// The one gate before all commands.
fn admit(context: &Context, permission: Permission) -> Result<(), Refusal> {
    if context.is_stopping() {
        return Err(Refusal::new(RefusalCode::ShuttingDown, "the server is stopping"));
    }
    context.authorize(permission)
}

async fn refuse_hello() -> Result<NextStep, CommandError> {
    let refusal = Refusal::new(RefusalCode::BadRequest, "hello was said already");
    Err(CommandError::Refused(refusal))
}
