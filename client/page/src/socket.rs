//! The WebSocket of a page: the secret first, then a snapshot, events, and requests with their replies. Requests
//! outlive the page that has sent them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;

use crate::context::PageContext;
use crate::messages::{Hello, PageReply, PageRequest, ReplyOutcome, RequestId};
use crate::model::{PageFeed, to_json};
use crate::requests;
use quiver_control::Failure;

/// Bytes of a message of a page.
pub(crate) const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes of the first message.
const MAX_HELLO: usize = 1024;

/// How long a page may take for its first message.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a page may take to read a message. It is then cut off.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of a page that run at once. Further ones are not read.
const MAX_REQUESTS: usize = 64;

/// Close codes of RFC 6455, 7.4.1.
const POLICY_VIOLATION: u16 = 1008;
const TOO_BIG: u16 = 1009;

/// Close codes of this protocol.
const SECRET_REFUSED: u16 = 4401;
const TIMED_OUT: u16 = 4408;
const TOO_SLOW: u16 = 4429;

/// Serves a page until either side closes the connection. `permit` is one of those for pages without a secret.
pub(crate) async fn serve(
    mut socket: WebSocket,
    context: Arc<PageContext>,
    permit: OwnedSemaphorePermit,
) {
    match timeout(HELLO_TIMEOUT, read_hello(&mut socket)).await {
        Ok(Ok(hello)) if context.secrets.is_valid(hello.secret.expose()) => {}
        Ok(Ok(_)) => return close(socket, SECRET_REFUSED).await,
        Ok(Err(code)) => return close(socket, code).await,
        Err(_) => return close(socket, TIMED_OUT).await,
    }
    drop(permit);
    let feed = context.add_page();
    let code = converse(&mut socket, &context, feed).await;
    context.remove_page();
    if let Some(code) = code {
        close(socket, code).await;
    }
}

/// Reads the first message; the close code if it is not what it has to be.
async fn read_hello(socket: &mut WebSocket) -> Result<Hello, u16> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) if text.len() > MAX_HELLO => Err(TOO_BIG),
        Some(Ok(Message::Text(text))) => serde_json::from_str(&text).map_err(|_| POLICY_VIOLATION),
        Some(Err(_)) => Err(TOO_BIG),
        _ => Err(POLICY_VIOLATION),
    }
}

/// Returns the close code, unless the page has closed the connection.
async fn converse(
    socket: &mut WebSocket,
    context: &Arc<PageContext>,
    feed: PageFeed,
) -> Option<u16> {
    let PageFeed { snapshot, mut events } = feed;
    let (replies, mut replied) = mpsc::channel(MAX_REQUESTS);
    let mut running = 0;
    if !send(socket, snapshot).await {
        return Some(TOO_SLOW);
    }
    loop {
        let text = tokio::select! {
            event = events.recv() => match event {
                Some(event) => event,
                // This page was too far behind.
                None => return Some(TOO_SLOW),
            },
            Some(reply) = replied.recv() => {
                running -= 1;
                reply
            }
            message = socket.recv(), if running < MAX_REQUESTS => {
                match message? {
                    Ok(Message::Text(text)) => match start(context, &text, &replies) {
                        Some(()) => running += 1,
                        None => return Some(POLICY_VIOLATION),
                    },
                    Ok(Message::Ping(_) | Message::Pong(_)) => {}
                    Ok(Message::Close(_)) => return None,
                    Ok(Message::Binary(_)) => return Some(POLICY_VIOLATION),
                    Err(_) => return Some(TOO_BIG),
                }
                continue;
            }
        };
        if !send(socket, text).await {
            return Some(TOO_SLOW);
        }
    }
}

/// Starts a request; `None` if the text is none.
fn start(context: &Arc<PageContext>, text: &str, replies: &mpsc::Sender<Utf8Bytes>) -> Option<()> {
    let RequestId { id } = serde_json::from_str(text).ok()?;
    // An error of the parser would quote the request, and with it perhaps a password.
    let request = serde_json::from_str::<PageRequest>(text).map_err(|_| {
        Failure::invalid("there is no such request, or something in it is missing or invalid")
    });
    let (context, replies) = (context.clone(), replies.clone());
    let shared = context.clone();
    context.spawn(async move {
        let outcome = match request {
            Ok(request) => requests::run(&shared, request).await,
            Err(failure) => Err(failure),
        };
        let outcome = match outcome {
            Ok(value) => ReplyOutcome::Ok(value),
            Err(failure) => ReplyOutcome::Error(failure),
        };
        // Fails if the page has left.
        let _ = replies.send(to_json(&PageReply { id, outcome })).await;
    });
    Some(())
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> bool {
    matches!(timeout(SEND_TIMEOUT, socket.send(Message::Text(text))).await, Ok(Ok(())))
}

async fn close(mut socket: WebSocket, code: u16) {
    let frame = CloseFrame { code, reason: Utf8Bytes::default() };
    // Fails if the page has left.
    let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(Some(frame)))).await;
}
