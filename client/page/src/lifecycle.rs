//! What becomes of a signed-in client: what its server says, reconnection after a loss, and the sign-out.

use std::sync::Arc;
use std::time::Duration;

use quiver_client::ClientError;
use quiver_protocol::reply::Welcome;
use quiver_protocol::{CloseCode, Fingerprint};

use crate::context::{ActiveClient, PageContext};
use crate::spool::DropFate;
use crate::views::{ConnectionView, LinkState, MAX_TEXT};
use quiver_control::Failure;

/// The pauses between attempts to get a slot: the first, doubled up to the last.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
pub(crate) const LAST_PAUSE: Duration = Duration::from_secs(10);

/// More bytes than a message has beside its text, to the server or to another client.
const ENVELOPE: usize = 128;

/// Time limit for telling the server that a client has left.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Shows what the server has said at a sign-in.
pub(crate) fn show_welcome(
    connection: &mut ConnectionView,
    welcome: &Welcome,
    server_key: Option<Fingerprint>,
) {
    connection.state = LinkState::Connected;
    connection.name = Some(welcome.name.clone());
    connection.number = Some(welcome.client);
    connection.fingerprint = server_key.map(|key| key.to_string());
    connection.upload = welcome.upload;
    connection.failure = None;
    connection.message_limit = welcome.limits.message.saturating_sub(ENVELOPE).min(MAX_TEXT);
}

/// Connects again after a loss, until that succeeds, cannot succeed, or the client ends.
pub(crate) async fn reconnect(context: Arc<PageContext>, active: Arc<ActiveClient>) {
    let (client, shown) = (active.client.clone(), context.clone());
    let show_failure = move |error: ClientError| {
        shown.model().change_connection(|connection| connection.failure = Some(error.into()));
    };
    let connected = tokio::select! {
        // A client that has ended changes nothing that is shown any more.
        biased;
        () = active.ended() => return,
        connected = context.on_client(async move { client.connect_again(show_failure).await }) => {
            connected
        }
    };
    // The event of a success changes the connection.
    if let Ok(Err(error)) = connected {
        let (shared, failure) = (context.clone(), error.into());
        // This task ends with the client.
        context.spawn(async move { end(&shared, &active, Some(failure)).await });
    }
}

/// Signs out, with the reason if it was not wanted. Running transfers keep what they have, to be resumed.
pub(crate) async fn end(
    context: &Arc<PageContext>,
    active: &Arc<ActiveClient>,
    failure: Option<Failure>,
) {
    if !context.remove_active(active) {
        return;
    }
    active.end();
    context.records.lock().clear();
    // The next client counts its transfers from 1 again.
    context.spool.settle_transfers(|_| DropFate::Over);
    let server = Some(active.server.clone());
    let name = context.model().connection().name.clone();
    let signed_out = ConnectionView { server, name, ..ConnectionView::signed_out(failure) };
    context.model().sign_out(signed_out);
    let active = active.clone();
    // Fails only while the client's runtime shuts down.
    let _ = context.on_client(async move { leave(&active).await }).await;
}

/// Tells the server that the client leaves, and waits until transfers have released their files.
async fn leave(active: &ActiveClient) {
    if active.client.is_connected() {
        active.client.disconnect().await;
    }
    active.endpoint.close(CloseCode::Goodbye);
    active.endpoint.wait_idle(CLOSE_TIMEOUT).await;
    active.client.shut_down().await;
}
