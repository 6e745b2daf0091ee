//! A client of Quiver's protocol, for measurements that no program reports: round trips, gets that store nothing,
//! the time to the first byte.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::command::Hello;
use quiver_protocol::reply::FileHeader;
use quiver_protocol::{
    ClientName, CloseCode, EofPayload as _, FilePath, FolderPath, FrameKind, PutRequest, Received,
    Reply, Request, limits,
};
use quiver_transfer::{ContentSize, HashedPrefix, ReceiveProgress, Source};
use quiver_transport::{
    CertificateInfo, Channel, CommandStream, Endpoint, EndpointSettings, Protocol, Role,
    ServerVerifier,
};

/// Timeout of each wait for the server.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A signed-in client on a connection of its own. Cheap to clone.
#[derive(Clone)]
pub(crate) struct BenchClient {
    channel: Channel,
    endpoint: Endpoint,
}

/// Runs a future on one thread with the runtime settings of both binaries.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(4)
        .build()
        .unwrap();
    runtime.block_on(work)
}

impl BenchClient {
    /// Dials and signs in.
    pub(crate) async fn sign_in(server: SocketAddr, certificate: &Path) -> Self {
        Self::sign_in_as("meter", server, certificate).await
    }

    /// Dials and signs in with a name that no other client has.
    pub(crate) async fn sign_in_as(name: &str, server: SocketAddr, certificate: &Path) -> Self {
        let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
        let pinned = CertificateInfo::load(certificate).unwrap().fingerprint;
        let connection = endpoint
            .dial(server, Protocol::QUIVER_1, None, ServerVerifier::new(Some(pinned)))
            .await
            .unwrap();
        // As Quiver's own client does: its windows follow the path.
        let channel = Channel::with_windows(connection, Role::Client, &endpoint.settings().windows);
        let client = Self { channel, endpoint };
        let name = ClientName::parse(name).unwrap();
        client.request(&Request::Hello(Hello::new(name, None))).await;
        client
    }

    /// Closes the connection, and waits until the close was sent, so that the next client can use the name.
    pub(crate) async fn close(self) {
        self.endpoint.close(CloseCode::Goodbye);
        self.endpoint.wait_idle(TIMEOUT).await;
    }

    /// The round-trip time of a message, in milliseconds.
    pub(crate) async fn round_trip(&self) -> f64 {
        let started = Instant::now();
        self.request(&Request::Message { text: "Hello".to_owned() }).await;
        started.elapsed().as_secs_f64() * 1000.0
    }

    /// The time of a folder's list, in milliseconds.
    pub(crate) async fn list(&self, folder: &str) -> f64 {
        let started = Instant::now();
        self.request(&Request::List { path: FolderPath::parse(folder).unwrap() }).await;
        started.elapsed().as_secs_f64() * 1000.0
    }

    async fn request(&self, request: &Request) {
        let mut stream = self.channel.open().await.unwrap();
        stream.writer.end(FrameKind::Request, &request.encode()).await.unwrap();
        loop {
            let frame = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
            if frame.kind == FrameKind::Eof {
                return;
            }
        }
    }

    async fn start_get(&self, file: &str) -> (CommandStream, FileHeader) {
        let mut stream = self.channel.open().await.unwrap();
        let request = Request::Get { path: FilePath::parse(file).unwrap(), have: None };
        stream.writer.write_frame(FrameKind::Request, &request.encode()).await.unwrap();
        stream.writer.flush().await.unwrap();
        let head = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
        match Reply::decode(&head.payload).unwrap() {
            Reply::File(head) => (stream, head),
            other => panic!("the server replied to a get with {other:?}"),
        }
    }

    /// Gets a file, verifies it and stores nothing. Calls `progress` with the bytes received so far.
    pub(crate) async fn get(&self, file: &str, mut progress: impl FnMut(u64)) {
        let (mut stream, head) = self.start_get(file).await;
        let (size, from) = (ContentSize::Known(head.size), HashedPrefix::empty());
        let progress = |so_far: ReceiveProgress| progress(so_far.received);
        let sink = std::io::sink();
        let received =
            quiver_transfer::receive(&mut stream.reader, size, from, sink, TIMEOUT, progress).await;
        let (_, end, _) = received.unwrap();
        let acknowledgement = Received { blake3: end.blake3, slowed_by: None }.encode();
        stream.writer.end(FrameKind::Received, &acknowledgement).await.unwrap();
    }

    /// Puts a file, replacing an existing one. Calls `progress` with the bytes of each block.
    pub(crate) async fn put(&self, local: &Path, name: &str, progress: impl FnMut(u64)) {
        let mut stream = self.channel.open().await.unwrap();
        let source = Source::new(File::open(local).unwrap()).unwrap();
        let put = PutRequest {
            path: FilePath::parse(name).unwrap(),
            size: source.size(),
            modified: None,
            executable: false,
            replace: true,
        };
        stream.writer.write_frame(FrameKind::Request, &Request::Put(put).encode()).await.unwrap();
        stream.writer.flush().await.unwrap();
        let ready = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
        assert_eq!(ready.kind, FrameKind::Reply);
        let content = Reply::Content { offset: 0 }.encode();
        stream.writer.write_frame(FrameKind::Reply, &content).await.unwrap();
        let nothing = HashedPrefix::empty();
        let sent =
            quiver_transfer::send(&mut stream.writer, source, nothing, BLOCK, progress).await;
        let end = sent.unwrap();
        stream.writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
        loop {
            // Progress replies, then Received with the hash.
            let frame = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
            if frame.kind == FrameKind::Received {
                assert_eq!(Received::decode(&frame.payload).unwrap().blake3, end.blake3);
                return;
            }
        }
    }

    /// Gets a file until its first bytes are received.
    pub(crate) async fn wait_for_first_byte(&self, file: &str) {
        let (mut stream, _) = self.start_get(file).await;
        let frame = stream.reader.read_response(limits::FRAME, TIMEOUT).await.unwrap();
        assert!(frame.kind == FrameKind::Data && !frame.payload.is_empty());
        stream.reader.stop();
    }
}
