//! The sign-in: makes the client, and connects it, again and again while the server is busy, if that is wanted.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::Utc;
use quiver_client::error::InvalidRequest;
use quiver_client::{Client, ClientError, ClientSettings, ErrorCode};
use quiver_protocol::reply::Welcome;
use quiver_protocol::{ClientName, Timestamp};
use quiver_transfer::blocking::task_result;
use quiver_transport::Endpoint;
use tokio::time::sleep;

use crate::context::{ActiveClient, PageContext};
use crate::lifecycle::{FIRST_PAUSE, LAST_PAUSE, end, show_welcome};
use crate::messages::PageEvent;
use crate::views::{ConnectionView, LinkState, RecentServer};
use crate::watcher;
use quiver_control::Failure;

/// What a page asks for.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) certificate: Option<String>,
}

impl SignIn {
    fn settings(&self, defaults: &ClientSettings) -> Result<ClientSettings, Failure> {
        let server = self.server.trim().parse();
        let server = server.map_err(|error| Failure::invalid(format!("{error}")))?;
        let name = match self.name.trim() {
            "" => None,
            name => Some(ClientName::parse(name).map_err(InvalidRequest::from)?),
        };
        let certificate = self.certificate.as_ref().filter(|path| !path.is_empty());
        let certificate = certificate.map(PathBuf::from);
        if certificate.as_ref().is_some_and(|path| path.is_relative()) {
            return Err(Failure::invalid("the path of the certificate is not absolute"));
        }
        Ok(ClientSettings { server, name, certificate, ..defaults.clone() })
    }
}

/// Signs in. Returns once that has succeeded.
///
/// # Errors
/// [`Failure`]; there is then no client.
pub(crate) async fn connect(context: &Arc<PageContext>, request: SignIn) -> Result<(), Failure> {
    let settings = request.settings(&context.defaults)?;
    let (server, name) = (settings.server.to_string(), settings.name.clone());
    let active = Arc::new(create(context, settings).await?);
    context.set_active(&active)?;
    {
        let mut model = context.model();
        let is_other = model.connection().server.as_ref().is_some_and(|last| *last != server);
        if is_other {
            model.leave_conversations();
        }
        model.change_connection(|connection| {
            let signed_out = ConnectionView::signed_out(None);
            let state = LinkState::Connecting;
            *connection = ConnectionView { state, server: Some(server), name, ..signed_out };
        });
    }
    let events = active.client.events();
    context.spawn(watcher::watch(context.clone(), active.clone(), events));
    let connected = tokio::select! {
        // A client that has ended changes nothing that is shown any more.
        biased;
        () = active.ended() => Err(Failure::interrupted()),
        connected = connect_and_load(context, &active) => connected,
    };
    match connected {
        Ok((welcome, loaded)) => {
            finish(context, &active, &welcome, &request, loaded).await;
            Ok(())
        }
        Err(failure) => {
            end(context, &active, Some(failure.clone())).await;
            Err(failure)
        }
    }
}

/// Makes a client. Its key is read from the disk, so this happens on a thread for such work.
async fn create(context: &PageContext, settings: ClientSettings) -> Result<ActiveClient, Failure> {
    let folders = context.folders.clone();
    let server = settings.server.to_string();
    let keeps_history = context.model().settings().history;
    let created = context.client_runtime.spawn_blocking(move || {
        let endpoint = Endpoint::dialler(settings.endpoint())?;
        let client = Client::new(settings, folders, endpoint.clone())?;
        client.set_keeps_history(keeps_history);
        client.set_accepts_by_rule(true);
        Ok::<_, ClientError>(ActiveClient::new(client, endpoint, server))
    });
    Ok(task_result(created.await).map_err(|_| Failure::interrupted())??)
}

/// Connects, and loads the kept conversations: a page may write a message at once.
async fn connect_and_load(
    context: &PageContext,
    active: &ActiveClient,
) -> Result<(Arc<Welcome>, Result<(), Failure>), Failure> {
    let welcome = connect_when_free(context, active).await?;
    Ok((welcome, context.load_conversations(active, true).await))
}

/// Connects, again and again while the server is busy, if the settings say so.
async fn connect_when_free(
    context: &PageContext,
    active: &ActiveClient,
) -> Result<Arc<Welcome>, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        let client = active.client.clone();
        let error = match context.on_client(async move { client.connect().await }).await? {
            Ok(welcome) => return Ok(welcome),
            Err(error) => error,
        };
        let is_waiting =
            error.code() == ErrorCode::Busy && context.model().settings().wait_for_slot;
        if !is_waiting {
            return Err(error.into());
        }
        context.model().change_connection(|connection| {
            connection.state = LinkState::Connecting;
            connection.failure = Some(error.into());
        });
        sleep(pause).await;
        pause = (2 * pause).min(LAST_PAUSE);
    }
}

/// After a sign-in: remembers the server, and lets other clients reach this one. `loaded` is whether the kept
/// conversations are shown.
async fn finish(
    context: &Arc<PageContext>,
    active: &Arc<ActiveClient>,
    welcome: &Welcome,
    request: &SignIn,
    loaded: Result<(), Failure>,
) {
    let key = active.client.server_key().ok();
    context.model().change_connection(|connection| show_welcome(connection, welcome, key));
    let recent = RecentServer {
        server: active.server.clone(),
        name: Some(welcome.name.to_string()),
        certificate: request.certificate.clone().filter(|path| !path.is_empty()),
        used: Timestamp(Utc::now()),
    };
    let saved = context.save(|saved| saved.add_recent(recent)).await;
    let recent = context.recent().await;
    let mut model = context.model();
    model.set_recent(recent);
    for Failure { code, text, .. } in [saved, loaded].into_iter().filter_map(Result::err) {
        model.publish(&PageEvent::Notice { code, text });
    }
    drop(model);
    let (shared, active) = (context.clone(), active.clone());
    context.spawn(async move {
        let client = active.client.clone();
        let listening = tokio::select! {
            biased;
            () = active.ended() => return,
            listening = shared.on_client(async move { client.listen().await }) => listening,
        };
        let Ok(listening) = listening else { return };
        shared.model().change_connection(|connection| {
            connection.listening = listening.is_ok();
            connection.not_listening_why = listening.err().map(|error| error.to_string());
        });
        active.notify_changed();
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quiver_client::address::ServerAddress;
    use quiver_transport::CongestionControl;

    use super::*;

    #[test]
    fn what_a_page_types_is_checked_before_a_client_is_made() {
        let defaults = ClientSettings {
            server: ServerAddress::local(),
            certificate: Some(PathBuf::from("/c.pem")),
            name: None,
            password_file: None,
            timeout: Duration::from_secs(1),
            paths: quiver_client::settings::PathPolicy::Any,
            one_shot: false,
            congestion: CongestionControl::Auto,
        };
        let settings = |server: &str, name: &str, certificate: &str| {
            let certificate = Some(certificate.to_owned());
            let request = SignIn { server: server.to_owned(), name: name.to_owned(), certificate };
            request.settings(&defaults)
        };
        let valid = settings(" example.org ", "Ann", "").unwrap();
        assert_eq!(valid.server.to_string(), "example.org:4433");
        assert_eq!((valid.name.unwrap().as_str(), valid.certificate), ("Ann", None));
        assert_eq!(settings("a", "", "").unwrap().name, None);
        for (server, name, certificate) in [("", "Ann", ""), ("a", "a b", ""), ("a", "b", "c.pem")]
        {
            let failure = settings(server, name, certificate).unwrap_err();
            assert_eq!(failure.code, "invalid_request", "{server} {name} {certificate}");
        }
    }
}
