//! What the other client asks for on a link: one request on each stream.

use std::time::Duration;

use quiver_protocol::{
    EofPayload as _, FrameError, FrameKind, PeerRequest, PlainEnd, Refusal, RefusalCode, limits,
};
use quiver_transport::{Channel, CommandStream, StreamError};
use tokio::sync::oneshot;
use tracing::debug;

use super::conversation::Conversation;
use super::{PeerLink, Peers};
use crate::error::ClientError;

/// How long the other client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other client may read nothing of a response. Not for the content of files.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a client learns that is blocked or forgotten while it is connected.
const NOT_ADMITTED: &str = "this client takes nothing from you";

/// Why a request of the other client failed.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The request is refused.
    Refused(Refusal),
    /// The stream failed, or the other client gave up.
    Stream(StreamError),
}

impl From<StreamError> for RequestError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Frame(error) => Self::Refused(error.into()),
            error => Self::Stream(error),
        }
    }
}

/// A failure of this client. The other one learns only that there was one.
impl From<ClientError> for RequestError {
    fn from(error: ClientError) -> Self {
        debug!(%error, "a request of another client failed here");
        Self::refused(RefusalCode::Internal, "this client failed")
    }
}

impl RequestError {
    pub(super) fn refused(code: RefusalCode, message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(code, message))
    }
}

impl Peers {
    /// Serves one request to its end, in a task of its own. The task outlives this future, which the link drops when it
    /// closes: a message that is recorded must be shown, and an answer of this person must be recorded.
    pub(super) async fn serve_request(
        self,
        link: PeerLink,
        channel: Channel,
        stream: CommandStream,
    ) {
        let (done, ended) = oneshot::channel::<()>();
        let peers = self.clone();
        self.spawn(async move {
            peers.run_request(link, channel, stream).await;
            drop(done);
        });
        // Fails always: the sender is dropped at the end.
        let _ = ended.await;
    }

    async fn run_request(self, link: PeerLink, channel: Channel, stream: CommandStream) {
        let stream = stream.with_write_timeout(WRITE_TIMEOUT);
        let mut conversation = Conversation::answering(stream, channel, self.0.timeout);
        let responded = self.respond(&link, &mut conversation).await;
        let mut stream = conversation.stream;
        match responded {
            Ok(()) => stream.reader.stop(),
            Err(RequestError::Refused(refusal)) => {
                debug!(name = %link.name(), %refusal, "refused a request");
                // Fails if the other client has gone.
                let _ = stream.refuse(&refusal).await;
            }
            Err(RequestError::Stream(error)) => {
                debug!(name = %link.name(), %error, "a request has ended");
            }
        }
    }

    async fn respond(
        &self,
        link: &PeerLink,
        conversation: &mut Conversation,
    ) -> Result<(), RequestError> {
        let stream = &mut conversation.stream;
        let frame = stream.reader.read_frame(limits::OFFER, REQUEST_TIMEOUT).await?;
        if frame.kind != FrameKind::Request {
            let error = FrameError::Unexpected { found: frame.kind, expected: "a Request" };
            return Err(RequestError::Refused(error.into()));
        }
        if !self.is_admitted(link).await? {
            stream.refuse(&Refusal::new(RefusalCode::Declined, NOT_ADMITTED)).await?;
            // The refusal is delivered before the connection is closed.
            stream.writer.delivered(REQUEST_TIMEOUT).await;
            link.close();
            return Ok(());
        }
        let request = match PeerRequest::decode(&frame.payload) {
            Ok(request) => request,
            Err(refusal) => {
                self.report_refused_offer(link, &frame.payload, &refusal).await;
                return Err(RequestError::Refused(refusal));
            }
        };
        if matches!(request, PeerRequest::Offer(_) | PeerRequest::Tell { .. }) {
            // A client accepts those to which it sends.
            link.set_accepted_by_other(true);
        }
        match request {
            PeerRequest::Offer(offer) => self.receive_offer(link, offer, conversation).await,
            PeerRequest::Withdraw { offer } => {
                self.withdraw_incoming(link, offer).await?;
                end(stream).await
            }
            PeerRequest::Tell { id, text } => {
                self.receive_message(link, id, text).await?;
                end(stream).await
            }
            PeerRequest::Verify { commitment } => {
                self.respond_verification(link, commitment, conversation).await
            }
            PeerRequest::List { path } => self.serve_list(link, path, conversation).await,
            PeerRequest::Get { path, have } => self.serve_get(link, path, have, conversation).await,
            PeerRequest::Dial(dial) => self.respond_dial(link, dial, conversation).await,
            // The rounds of direct dials read theirs themselves.
            PeerRequest::Nominate { .. } => {
                let message = "this connection is not one of a round";
                Err(RequestError::refused(RefusalCode::BadRequest, message))
            }
            PeerRequest::Exit => {
                end(stream).await?;
                // The response is delivered before the connection is closed.
                stream.writer.delivered(REQUEST_TIMEOUT).await;
                link.close();
                Ok(())
            }
        }
    }
}

/// The refusal of a client that is blocked or forgotten.
pub(super) fn not_admitted() -> RequestError {
    RequestError::refused(RefusalCode::Declined, NOT_ADMITTED)
}

/// Ends a response without data.
async fn end(stream: &mut CommandStream) -> Result<(), RequestError> {
    Ok(stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await?)
}
