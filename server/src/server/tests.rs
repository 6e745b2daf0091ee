//! A whole server in this process, whose registry the tests reach: what a client at a real socket sees of it.

use std::fs::File;
use std::io::Write;
use std::net::Ipv4Addr;

use parking_lot::Mutex;
use quiver_protocol::command::Hello;
use quiver_protocol::limits;
use quiver_protocol::version::VERSION;
use quiver_protocol::{
    ClientName, Event, FilePath, FrameKind, Refusal, RefusalCode, Reply, Request,
};
use quiver_transport::identity::Validity;
use quiver_transport::trust::ServerVerifier;
use quiver_transport::{CommandStream, Connection, ConnectionEnd, Protocol, StreamError};
use tokio::time::timeout;
use tracing::subscriber::DefaultGuard;

use super::*;

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(30);

const BIG: u64 = 64 * 1024 * 1024;

/// A server's folder and settings, and the log of this thread.
struct Stage {
    folder: tempfile::TempDir,
    log: Log,
    _guard: DefaultGuard,
}

#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

struct Client {
    _endpoint: Endpoint,
    connection: Connection,
}

impl Stage {
    fn new() -> Self {
        let log = Log::default();
        let lines = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_target(false);
        let subscriber = subscriber.with_writer(move || lines.clone()).finish();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        let big = File::create(folder.path().join("files/big.bin")).unwrap();
        big.set_len(BIG).unwrap();
        Self { folder, log, _guard: tracing::subscriber::set_default(subscriber) }
    }

    fn server(&self, max_clients: usize) -> Server {
        let config = Config {
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            files: self.folder.path().join("files"),
            certs: self.folder.path().join("certs"),
            max_clients,
            passwords: None,
            uploads: None,
            buffer_budget: 1 << 20,
            metrics: None,
            metrics_hosts: Vec::new(),
        };
        let unused = File::create(self.folder.path().join("log")).unwrap();
        Server::build(config, LogWriter::start(unused, |_| {}).unwrap()).unwrap()
    }

    /// Where this comes in the log; panics where it does not.
    fn position(&self, line: &str) -> usize {
        let log = String::from_utf8(self.log.0.lock().clone()).unwrap();
        log.find(line).unwrap_or_else(|| panic!("no {line:?} in the log:\n{log}"))
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Client {
    async fn dial(address: SocketAddr, identity: &Identity) -> Self {
        let endpoint = Endpoint::dialler().unwrap();
        let verifier = ServerVerifier::new(None);
        let connection =
            within(endpoint.dial(address, Protocol::QUIVER_1, Some(identity), verifier))
                .await
                .unwrap();
        Self { _endpoint: endpoint, connection }
    }

    async fn ask(&self, request: Request) -> CommandStream {
        let mut stream = within(CommandStream::open(&self.connection)).await.unwrap();
        within(stream.writer.write_frame(FrameKind::Request, &request.encode())).await.unwrap();
        within(stream.writer.flush()).await.unwrap();
        stream
    }

    /// The number with which it is welcomed.
    async fn hello(&self, name: &str) -> u64 {
        let hello = Hello { version: VERSION, name: client_name(name), password: None };
        let mut stream = self.ask(Request::Hello(hello)).await;
        match read(&mut stream).await.unwrap() {
            Reply::Welcome(welcome) => welcome.client,
            other => panic!("not a welcome: {other:?}"),
        }
    }

    async fn ended(&self) -> ConnectionEnd {
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
    timeout(DEADLINE, future).await.unwrap()
}

async fn read(stream: &mut CommandStream) -> Result<Reply, StreamError> {
    let frame = stream.reader.read_answer(limits::MESSAGE, DEADLINE).await?;
    assert_eq!(frame.kind, FrameKind::Reply);
    Ok(Reply::decode(&frame.payload).unwrap())
}

/// Runs the server for as long as the story takes.
async fn beside(server: Server, story: impl Future<Output = ()>) {
    tokio::select! {
        ended = server.run() => panic!("the server has ended: {ended:?}"),
        () = story => {}
    }
}

#[tokio::test]
async fn a_lost_slot_ends_the_get_and_the_connection_and_the_client_may_connect_again() {
    let stage = Stage::new();
    let server = stage.server(1);
    let (address, registry) = (server.local_addr().unwrap(), server.shared.registry.clone());
    let (ron, other) = (identity(), identity());
    beside(server, async {
        let client = Client::dial(address, &ron).await;
        assert_eq!(client.hello("Ron").await, 1);
        let path = FilePath::parse("big.bin").unwrap();
        let mut get = client.ask(Request::Get { path, have: None }).await;
        // Unread from here on: the get runs until something ends it.
        assert!(matches!(read(&mut get).await, Ok(Reply::File(head)) if head.size == BIG));
        let second = Client::dial(address, &ron).await;
        assert_eq!(second.hello("Ron").await, 1);

        assert_eq!(registry.revoke(1).await, Ok(true));
        assert_eq!(registry.count(), 0);
        for client in [&client, &second] {
            assert_eq!(client.ended().await, ConnectionEnd::Closed(CloseCode::SlotLost));
        }
        let loss = stage.position("Client 1: Ron has lost its slot");
        let count = stage.position("client count: 0 of 1");
        let get = stage.position("not delivered: big.bin to Client 1: Ron: interrupted");
        let closed = stage.position("Client 1: Ron is disconnected: its slot was lost");
        assert!(loss < count && count < closed && get > loss);

        // Slot and name are free, for others too.
        let stranger = Client::dial(address, &other).await;
        assert_eq!(stranger.hello("ron").await, 2);
        assert_eq!(registry.revoke(2).await, Ok(true));
        let again = Client::dial(address, &ron).await;
        assert_eq!(again.hello("Ron").await, 3);
        let mut message = again.ask(Request::Message { text: "back".to_owned() }).await;
        let reply = read(&mut message).await.unwrap();
        assert!(matches!(reply, Reply::Text { text } if text == "back ACK"));
        assert_eq!(registry.connections(&client_name("Ron")).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_event_is_delivered_to_the_connection_it_names() {
    let stage = Stage::new();
    let server = stage.server(2);
    let (address, registry) = (server.local_addr().unwrap(), server.shared.registry.clone());
    let ron = identity();
    beside(server, async {
        let clients = [Client::dial(address, &ron).await, Client::dial(address, &ron).await];
        for client in &clients {
            assert_eq!(client.hello("Ron").await, 1);
            // Answered by a member: from now on it can be reached.
            let mut message = client.ask(Request::Message { text: String::new() }).await;
            read(&mut message).await.unwrap();
        }
        let ids = registry.connections(&client_name("Ron")).await.unwrap();
        let [_, to] = ids[..] else { panic!("two connections: {ids:?}") };
        let event = Event::Stopping { grace_seconds: 7 };
        within(registry.deliver(to, &event)).await.unwrap();
        let stream = within(clients[1].connection.accept_bi()).await.unwrap();
        let mut stream = CommandStream::from(stream);
        let frame = within(stream.reader.read_frame(limits::MESSAGE, DEADLINE)).await.unwrap();
        assert_eq!(Event::decode(&frame.payload).unwrap(), event);
        assert!(registry.is_alive(to).await);
        let nothing = timeout(Duration::ZERO, clients[0].connection.accept_bi()).await;
        assert!(nothing.is_err(), "the other connection was not meant");

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
async fn a_client_that_finds_the_registry_unavailable_is_told_to_try_again_later() {
    let stage = Stage::new();
    let mut server = stage.server(2);
    let address = server.local_addr().unwrap();
    server.releases.close();
    beside(server, async {
        let client = Client::dial(address, &identity()).await;
        let hello = Hello { version: VERSION, name: client_name("Ron"), password: None };
        let mut stream = client.ask(Request::Hello(hello)).await;
        let refused = read(&mut stream).await.unwrap_err();
        let StreamError::Refused(Refusal { code, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(code, RefusalCode::Busy);
        assert_eq!(client.ended().await, ConnectionEnd::Closed(CloseCode::Busy));
        stage.position("refused: the registry is unavailable");
    })
    .await;
}
