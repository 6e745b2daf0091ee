//! The page that Prometheus reads, over HTTP/1.1: `GET /metrics`, and nothing else. Every request is answered or
//! rejected within seconds. Does not know what the numbers mean.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::host::{self, HostError, HostName};
use crate::handshake_queue::{HandshakeQueue, Ticket};

/// The most readers at once. A new one evicts the oldest, so that silent connections cannot keep Prometheus out.
const MAX_READERS: usize = 8;

/// How long a connection of a reader may last.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// The most bytes of a request's line and headers: the least that hyper allows. A body is never read.
const MAX_REQUEST_HEAD: usize = 8 * 1024;

/// The pause after the system failed to accept a connection.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// The path of the page.
const PATH: &str = "/metrics";

const OPEN_METRICS_MEDIA_TYPE: &str = "application/openmetrics-text";
const OPEN_METRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that listens and is not served yet.
#[derive(Debug)]
pub struct MetricsPage {
    listener: TcpListener,
    address: SocketAddr,
    /// The host names that requests may use, beside addresses and `localhost`.
    names: Vec<HostName>,
}

impl MetricsPage {
    /// Listens on `address`. Requests may use any IP address, `localhost` and these names as their host.
    ///
    /// # Errors
    /// The system's error.
    pub fn listen(address: SocketAddr, names: Vec<HostName>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener: TcpListener::from_std(listener)?, address, names })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of the page.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves the page. Never returns; dropping the future closes all connections of readers.
    pub async fn serve(self, registry: Registry) {
        let (registry, names) = (Arc::new(registry), Arc::<[HostName]>::from(self.names));
        let queue = HandshakeQueue::new(MAX_READERS);
        let mut readers = JoinSet::new();
        loop {
            tokio::select! {
                // The task has logged its outcome.
                Some(_) = readers.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        let (registry, names) = (registry.clone(), names.clone());
                        readers.spawn(serve_reader(stream, queue.enter(), registry, names));
                    }
                    Err(error) => {
                        debug!("cannot accept a reader of the metrics: {error}");
                        sleep(ACCEPT_RETRY_DELAY).await;
                    }
                },
            }
        }
    }
}

/// Serves one request of one reader.
async fn serve_reader(
    stream: TcpStream,
    mut ticket: Ticket,
    registry: Arc<Registry>,
    names: Arc<[HostName]>,
) {
    let service = service_fn(|request: Request<_>| {
        let response = respond(&request, &registry, &names);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READER_TIMEOUT)
        .max_buf_size(MAX_REQUEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = ticket.evicted() => debug!("a reader of the metrics made room for others"),
        served = timeout(READER_TIMEOUT, connection) => match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("a reader of the metrics was not served: {error}"),
            Err(_) => debug!("a reader of the metrics took too long"),
        },
    }
}

fn respond<B>(
    request: &Request<B>,
    registry: &Registry,
    names: &[HostName],
) -> Response<Full<Bytes>> {
    match host::check(request, names) {
        Ok(()) => {}
        Err(HostError::Malformed) => {
            return text_response(
                StatusCode::BAD_REQUEST,
                "one Host is needed, an address or a name\n",
            );
        }
        Err(HostError::NotServed) => {
            let message = "the metrics are not served under this name: ask for them by address, or start \
                       quiver-server with --metrics-host and the name\n";
            return text_response(StatusCode::MISDIRECTED_REQUEST, message);
        }
    }
    if request.uri().path() != PATH {
        return text_response(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response =
            text_response(StatusCode::METHOD_NOT_ALLOWED, "the metrics can only be read\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wants_open_metrics =
        accepted.into_iter().any(|accepted| accepted.contains(OPEN_METRICS_MEDIA_TYPE));
    let mut page = String::new();
    let (encoded, content_type) = if wants_open_metrics {
        (text::encode(&mut page, registry), OPEN_METRICS_CONTENT_TYPE)
    } else {
        (prometheus_text::encode(&mut page, registry), PROMETHEUS_CONTENT_TYPE)
    };
    if encoded.is_err() {
        // Does not happen: writing to a String cannot fail, and every metric can be encoded.
        return text_response(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    }
    response(StatusCode::OK, content_type, page.into())
}

fn text_response(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
