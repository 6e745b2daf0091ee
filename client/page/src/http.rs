//! HTTP requests of pages: the guards first, then the page's files, the exchange of a code, the WebSocket, dropped content
//! and previews.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, LINK, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use quiver_protocol::Secret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::browser::RedirectFile;
use crate::context::PageContext;
use crate::guards::{RequestKind, single};
use crate::model::to_json;
use crate::preview;
use crate::socket;
use crate::spool_upload;
use quiver_control::Failure;

/// The version of the messages on the WebSocket.
const SUBPROTOCOL: &str = "quiver-page-1";

/// Bytes of the body with a code.
const MAX_EXCHANGE: usize = 1024;

/// How long a page may take to send that body.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(5);

/// WebSockets that have not shown a secret yet.
const MAX_STRANGERS: usize = 16;

const SECRET_HEADER: HeaderName = HeaderName::from_static("x-quiver-secret");

/// What a preview may do, if a browser shows it as a document.
const PREVIEW_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

const HTML_PATHS: [&str; 2] = ["/", "/index.html"];

/// What the requests use.
#[derive(Debug, Clone)]
struct HttpState {
    context: Arc<PageContext>,
    strangers: Arc<Semaphore>,
}

/// The body of `POST /session`.
#[derive(Debug, Deserialize)]
struct ExchangeBody {
    code: Secret,
}

/// The service that answers all requests.
pub(crate) fn router(context: Arc<PageContext>) -> Router {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    Router::new().fallback(respond).with_state(HttpState { context, strangers })
}

async fn respond(State(state): State<HttpState>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let host = match state.context.guards.check_host(&parts) {
        Ok(host) => host.to_owned(),
        Err(status) => return with_headers(refusal(status), None),
    };
    let mut response = match answer(&state, &host, parts, body).await {
        Ok(response) | Err(response) => response,
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response = with_headers(response, Some(&host));
    }
    response
}

async fn answer(
    state: &HttpState,
    host: &str,
    parts: Parts,
    body: Body,
) -> Result<Response, Response> {
    let path = parts.uri.path().to_owned();
    let (kind, method) = match path.as_str() {
        "/session" | "/spool" => (RequestKind::Change, Method::POST),
        "/socket" => (RequestKind::Change, Method::GET),
        path if HTML_PATHS.contains(&path) => (RequestKind::Document, Method::GET),
        _ => (RequestKind::Resource, Method::GET),
    };
    state.context.guards.check_sender(kind, host, &parts).map_err(refusal)?;
    if parts.method != method && !(kind != RequestKind::Change && parts.method == Method::HEAD) {
        let mut refused = refusal(StatusCode::METHOD_NOT_ALLOWED);
        if let Ok(allowed) = HeaderValue::from_str(method.as_str()) {
            refused.headers_mut().insert(ALLOW, allowed);
        }
        return Err(refused);
    }
    match path.as_str() {
        "/session" => exchange(&state.context, body).await,
        "/socket" => upgrade(state, parts).await,
        "/spool" => {
            check_secret(&state.context, &parts.headers).map_err(refusal)?;
            let received = spool_upload::receive(&state.context, &parts.headers, body).await;
            let bytes = received.map_err(|(status, failure)| json_response(status, &failure))?;
            Ok(json_response(StatusCode::OK, &json!({ "spooled": bytes })))
        }
        "/preview" => {
            check_secret(&state.context, &parts.headers).map_err(refusal)?;
            show(&state.context, parts.uri.query().unwrap_or_default()).await
        }
        path => Ok(file(&state.context, path, &parts.headers)),
    }
}

/// A file of the page.
fn file(context: &PageContext, path: &str, headers: &HeaderMap) -> Response {
    let Some(file) = context.files.find(path) else {
        return refusal(StatusCode::NOT_FOUND);
    };
    let is_known = single(headers, &IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').any(|etag| etag.trim().trim_start_matches("W/") == file.etag)
    });
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.content.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    // Kept, and asked for again before each use.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(etag) = HeaderValue::from_str(&file.etag) {
        headers.insert(ETAG, etag);
    }
    if let Some(Ok(links)) = file.links.as_deref().map(HeaderValue::from_str) {
        headers.insert(LINK, links);
    }
    response
}

/// Exchanges the code of a link for the secret of a tab.
async fn exchange(context: &PageContext, body: Body) -> Result<Response, Response> {
    let read = timeout(EXCHANGE_TIMEOUT, to_bytes(body, MAX_EXCHANGE)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE)),
        Err(_) => return Err(refusal(StatusCode::REQUEST_TIMEOUT)),
    };
    let body: ExchangeBody =
        serde_json::from_slice(&body).map_err(|_| refusal(StatusCode::BAD_REQUEST))?;
    let code = body.code.expose();
    let secret = context.secrets.exchange(code, Instant::now());
    let secret = secret.ok_or_else(|| refusal(StatusCode::UNAUTHORIZED))?;
    // The browser has read the link.
    RedirectFile::of_code(&context.runtime_folder, code).remove();
    Ok(json_response(StatusCode::OK, &json!({ "secret": secret })))
}

/// Checks that the request is of a tab that has exchanged a code.
fn check_secret(context: &PageContext, headers: &HeaderMap) -> Result<(), StatusCode> {
    let secret = single(headers, &SECRET_HEADER);
    let is_valid = secret.is_some_and(|secret| context.secrets.is_valid(secret));
    if is_valid { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
}

/// A preview of the file that the query names.
async fn show(context: &Arc<PageContext>, query: &str) -> Result<Response, Response> {
    let encoded = query.strip_prefix("path=").filter(|path| !path.contains('&'));
    let path = encoded.and_then(|path| percent_decode_str(path).decode_utf8().ok());
    let path = path.ok_or_else(|| refusal(StatusCode::BAD_REQUEST))?;
    let loaded = preview::load(context, &path).await;
    let loaded = loaded.map_err(|(status, failure)| json_response(status, &failure))?;
    let mut response = loaded.content.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(loaded.media_type));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PREVIEW_POLICY));
    Ok(response)
}

async fn upgrade(state: &HttpState, mut parts: Parts) -> Result<Response, Response> {
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
    let upgrade = upgrade.map_err(|_| refusal(StatusCode::BAD_REQUEST))?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .max_message_size(socket::MAX_MESSAGE)
        .max_frame_size(socket::MAX_MESSAGE)
        .write_buffer_size(0);
    if upgrade.selected_protocol().is_none() {
        return Err(refusal(StatusCode::BAD_REQUEST));
    }
    let permit = state.strangers.clone().try_acquire_owned();
    let permit = permit.map_err(|_| refusal(StatusCode::SERVICE_UNAVAILABLE))?;
    let context = state.context.clone();
    Ok(upgrade.on_upgrade(|socket| socket::serve(socket, context, permit)))
}

/// The response to a request that is not answered, with a failure as its body.
fn refusal(status: StatusCode) -> Response {
    let (code, text) = match status {
        StatusCode::UNAUTHORIZED => ("expired", "the code or secret is not valid, or not any more"),
        StatusCode::NOT_FOUND => ("not_found", "there is no such file"),
        StatusCode::FORBIDDEN => ("invalid_request", "only the page itself may ask for this"),
        StatusCode::MISDIRECTED_REQUEST => ("invalid_request", "the page has another address"),
        StatusCode::SERVICE_UNAVAILABLE => ("busy", "too many pages are connecting"),
        _ => ("invalid_request", status.canonical_reason().unwrap_or_default()),
    };
    json_response(status, &Failure::new(code, text))
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    let mut response = (status, to_json(body).to_string()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds the headers of every response. `host` is the one under which the page is reached, if that is a valid one.
fn with_headers(mut response: Response, host: Option<&str>) -> Response {
    // Older browsers do not count the WebSocket as of the same origin.
    let sockets = host.map(|host| format!(" ws://{host}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    }
    let fixed = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
