//! The page that Prometheus reads, over HTTP/1.1: `GET /metrics`, and nothing else. Whoever asks is served a
//! page or sent away within seconds, whatever they send. Knows nothing of what the numbers mean.

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

/// Readers at once; one more sends the oldest away, so that nobody keeps the real one out by saying nothing.
const READERS: usize = 8;

/// How long a reader may take, from the first byte to the last.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request's line and headers, which is the least that hyper allows; a body is never read.
const REQUEST: usize = 8 * 1024;

/// How long nobody is taken after the system would let nobody in.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the page is.
const PATH: &str = "/metrics";

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PROMETHEUS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page that nobody is shown yet.
#[derive(Debug)]
pub struct MetricsPage {
    listener: TcpListener,
    address: SocketAddr,
    /// What it may be called beside its address.
    names: Vec<HostName>,
}

impl MetricsPage {
    /// Takes the address. The page may be asked for under any address, `localhost` and these names.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(address: SocketAddr, names: Vec<HostName>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener: TcpListener::from_std(listener)?, address, names })
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Shows it, until this is dropped: then everybody who reads it is gone too.
    pub async fn show(self, registry: Registry) {
        let (registry, names) = (Arc::new(registry), Arc::<[HostName]>::from(self.names));
        let queue = HandshakeQueue::new(READERS);
        let mut readers = JoinSet::new();
        loop {
            tokio::select! {
                // How it went is nobody's business any more.
                Some(_) = readers.join_next() => {}
                taken = self.listener.accept() => match taken {
                    Ok((stream, _)) => {
                        let (registry, names) = (registry.clone(), names.clone());
                        readers.spawn(serve(stream, queue.enter(), registry, names));
                    }
                    Err(error) => {
                        debug!("nobody can read the metrics: {error}");
                        sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// One reader, who asks once.
async fn serve(
    stream: TcpStream,
    mut ticket: Ticket,
    registry: Arc<Registry>,
    names: Arc<[HostName]>,
) {
    let answer = service_fn(|request: Request<_>| {
        let answer = answer(&request, &registry, &names);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(REQUEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    tokio::select! {
        () = ticket.lost() => debug!("a reader of the metrics made room for others"),
        served = timeout(PATIENCE, connection) => match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("a reader of the metrics was not served: {error}"),
            Err(_) => debug!("a reader of the metrics took too long"),
        },
    }
}

fn answer<B>(
    request: &Request<B>,
    registry: &Registry,
    names: &[HostName],
) -> Response<Full<Bytes>> {
    match host::check(request, names) {
        Ok(()) => {}
        Err(HostError::Malformed) => {
            return plain(StatusCode::BAD_REQUEST, "one Host is needed, an address or a name\n");
        }
        Err(HostError::NotServed) => {
            let why = "the metrics are not served under this name: ask for them by address, or start \
                       quiver-server with --metrics-host and the name\n";
            return plain(StatusCode::MISDIRECTED_REQUEST, why);
        }
    }
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, "the metrics can only be read\n");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    let accepts = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let open = accepts.into_iter().any(|accepts| accepts.contains(OPEN_METRICS));
    let mut page = String::new();
    let (written, kind) = if open {
        (text::encode(&mut page, registry), OPEN_METRICS_TYPE)
    } else {
        (prometheus_text::encode(&mut page, registry), PROMETHEUS_TYPE)
    };
    if written.is_err() {
        // Writing to a String does not fail, and no number of ours does.
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n");
    }
    respond(StatusCode::OK, kind, page.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
