//! A server in this process: what a client on a real socket sees while the test calls the server's registry.

use std::fs::File;
use std::net::Ipv4Addr;

use quiver_protocol::command::Hello;
use quiver_protocol::limits;
use quiver_protocol::{
    ClientName, Event, FilePath, FrameKind, Refusal, RefusalCode, Reply, Request,
};
use quiver_transport::identity::Validity;
use quiver_transport::trust::ServerVerifier;
use quiver_transport::{CommandStream, Connection, ConnectionEnd, Protocol, StreamError};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use super::*;
use crate::captured_log::CapturedLog;

/// The timeout of each step.
const TIMEOUT: Duration = Duration::from_secs(30);

const BIG_FILE_SIZE: u64 = 64 * 1024 * 1024;

/// The folder and configuration of a server, and the log of this thread.
struct TestServer {
    folder: tempfile::TempDir,
    log: CapturedLog,
    _guard: DefaultGuard,
}

struct TestClient {
    _endpoint: Endpoint,
    connection: Connection,
}

impl TestServer {
    fn new() -> Self {
        let log = CapturedLog::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_target(false);
        let subscriber = subscriber.with_writer(move || lines.clone()).finish();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let big = File::create(folder.path().join("files/big.bin")).unwrap();
        big.set_len(BIG_FILE_SIZE).unwrap();
        Self { folder, log, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn server(&self, max_clients: usize) -> Server {
        let config = Config {
            listen: ListenAddress::One((Ipv4Addr::LOCALHOST, 0).into()),
            files: self.folder.path().join("files"),
            certs: self.folder.path().join("certs"),
            max_clients,
            passwords: None,
            uploads: None,
            buffer_budget: 1 << 20,
            relay: None,
            congestion: quiver_transport::CongestionControl::Auto,
            metrics: None,
            metrics_hosts: Vec::new(),
        };
        let unused = File::create(self.folder.path().join("log")).unwrap();
        Server::build(config, LogWriter::start(unused, |_| {}).unwrap()).unwrap()
    }

    /// The position of `line` in the log. Panics where the log does not contain it.
    fn position(&self, line: &str) -> usize {
        let log = self.log.text();
        log.find(line).unwrap_or_else(|| panic!("no {line:?} in the log:\n{log}"))
    }
}

impl TestClient {
    async fn dial(address: SocketAddr, identity: &Identity) -> Self {
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        let verifier = ServerVerifier::new(None);
        let connection =
            within(endpoint.dial(address, Protocol::QUIVER_1, Some(identity), verifier))
                .await
                .unwrap();
        Self { _endpoint: endpoint, connection }
    }

    async fn request(&self, request: Request) -> CommandStream {
        let mut stream = within(CommandStream::open(&self.connection)).await.unwrap();
        within(stream.writer.write_frame(FrameKind::Request, &request.encode())).await.unwrap();
        within(stream.writer.flush()).await.unwrap();
        stream
    }

    /// Sends hello, and returns the client's number from the welcome.
    async fn hello(&self, name: &str) -> u64 {
        let hello = Hello::new(client_name(name), None);
        let mut stream = self.request(Request::Hello(hello)).await;
        match read(&mut stream).await.unwrap() {
            Reply::Welcome(welcome) => welcome.client,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    async fn closed(&self) -> ConnectionEnd {
        within(self.connection.closed()).await.into()
    }
}

fn identity() -> Identity {
    Identity::create("a client", &[], Validity::days(Utc::now(), 1)).unwrap()
}

fn client_name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(TIMEOUT, future).await.unwrap()
}

async fn read(stream: &mut CommandStream) -> Result<Reply, StreamError> {
    let frame = stream.reader.read_response(limits::MESSAGE, TIMEOUT).await?;
    assert_eq!(frame.kind, FrameKind::Reply);
    Ok(Reply::decode(&frame.payload).unwrap())
}

/// Runs the server until the scenario ends.
async fn run_with(server: Server, scenario: impl Future<Output = ()>) {
    tokio::select! {
        ended = server.run() => panic!("the server has ended: {ended:?}"),
        () = scenario => {}
    }
}

#[tokio::test]
async fn a_lost_slot_ends_the_get_and_the_connections_and_the_client_can_connect_again() {
    let test = TestServer::new();
    let server = test.server(1);
    let (address, registry) = (server.local_addr().unwrap(), server.state.registry.clone());
    let (ron, other) = (identity(), identity());
    run_with(server, async {
        let client = TestClient::dial(address, &ron).await;
        assert_eq!(client.hello("Ron").await, 1);
        let path = FilePath::parse("big.bin").unwrap();
        let mut get = client.request(Request::Get { path, have: None }).await;
        // The content is not read, so the get runs until the server ends it.
        assert!(
            matches!(read(&mut get).await, Ok(Reply::File(head)) if head.size == BIG_FILE_SIZE)
        );
        let second = TestClient::dial(address, &ron).await;
        assert_eq!(second.hello("Ron").await, 1);

        assert_eq!(registry.revoke(1).await, Ok(true));
        assert_eq!(registry.client_count(), 0);
        for client in [&client, &second] {
            assert_eq!(client.closed().await, ConnectionEnd::ClosedByPeer(CloseCode::SlotLost));
        }
        let loss = test.position("Client 1: Ron has lost its slot");
        let count = test.position("client count: 0 of 1");
        let get = test.position("not delivered: big.bin to Client 1: Ron: interrupted");
        let closed = test.position("Client 1: Ron is disconnected: its slot was lost");
        assert!(loss < count && count < closed && get > loss);

        // Slot and name are free, also for another client.
        let stranger = TestClient::dial(address, &other).await;
        assert_eq!(stranger.hello("ron").await, 2);
        assert_eq!(registry.revoke(2).await, Ok(true));
        let again = TestClient::dial(address, &ron).await;
        assert_eq!(again.hello("Ron").await, 3);
        let mut message = again.request(Request::Message { text: "back".to_owned() }).await;
        let reply = read(&mut message).await.unwrap();
        assert!(matches!(reply, Reply::Text { text } if text == "back ACK"));
        assert_eq!(registry.connections(&client_name("Ron")).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_event_is_delivered_only_to_the_given_connection() {
    let test = TestServer::new();
    let server = test.server(2);
    let (address, registry) = (server.local_addr().unwrap(), server.state.registry.clone());
    let ron = identity();
    run_with(server, async {
        let clients =
            [TestClient::dial(address, &ron).await, TestClient::dial(address, &ron).await];
        for client in &clients {
            assert_eq!(client.hello("Ron").await, 1);
            // A response comes from a member, whose connection is attached.
            let mut message = client.request(Request::Message { text: String::new() }).await;
            read(&mut message).await.unwrap();
        }
        let ids = registry.connections(&client_name("Ron")).await.unwrap();
        let [_, to] = ids[..] else { panic!("two connections: {ids:?}") };
        let event = Event::Stopping { grace_seconds: 7 };
        within(registry.deliver(to, &event)).await.unwrap();
        let stream = within(clients[1].connection.accept_bi()).await.unwrap();
        let mut stream = CommandStream::from(stream);
        let frame = within(stream.reader.read_frame(limits::MESSAGE, TIMEOUT)).await.unwrap();
        assert_eq!(Event::decode(&frame.payload).unwrap(), event);
        assert!(registry.is_alive(to).await);
        let nothing = timeout(Duration::ZERO, clients[0].connection.accept_bi()).await;
        assert!(nothing.is_err(), "the other connection received the event");

        quiver_transport::close(&clients[1].connection, CloseCode::Goodbye);
        let released = async {
            while registry.connections(&client_name("Ron")).await.unwrap().len() > 1 {
                tokio::task::yield_now().await;
            }
        };
        within(released).await;
        assert!(!registry.is_alive(to).await);
        let failed = registry.deliver(to, &event).await.unwrap_err();
        assert_eq!(failed.to_string(), "no such connection");
    })
    .await;
}

#[tokio::test]
async fn a_client_is_refused_as_busy_while_the_registry_is_unavailable() {
    let test = TestServer::new();
    let mut server = test.server(2);
    let address = server.local_addr().unwrap();
    server.releases.close();
    run_with(server, async {
        let client = TestClient::dial(address, &identity()).await;
        let hello = Hello::new(client_name("Ron"), None);
        let mut stream = client.request(Request::Hello(hello)).await;
        let refused = read(&mut stream).await.unwrap_err();
        let StreamError::Refused(Refusal { code, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(code, RefusalCode::Busy);
        assert_eq!(client.closed().await, ConnectionEnd::ClosedByPeer(CloseCode::Busy));
        test.position("refused: the registry is unavailable");
    })
    .await;
}
