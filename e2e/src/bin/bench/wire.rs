//! Quiver's own protocol, for what no program shows from outside: round trips, gets that store nothing,
//! the moment the first byte is there.

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
    CertificateInfo, Channel, CommandStream, Endpoint, Protocol, Role, ServerVerifier,
};

/// The longest silence.
const PATIENCE: Duration = Duration::from_secs(60);

/// A member of a server, on a connection of its own. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Member {
    channel: Channel,
    endpoint: Endpoint,
}

/// Runs what is asked of a member on one thread, as both binaries do.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(4)
        .build()
        .unwrap();
    runtime.block_on(work)
}

impl Member {
    /// Dials and says hello.
    pub(crate) async fn join(server: SocketAddr, certificate: &Path) -> Self {
        let endpoint = Endpoint::dialler().unwrap();
        let pinned = CertificateInfo::load(certificate).unwrap().fingerprint;
        let connection = endpoint
            .dial(server, Protocol::QUIVER_1, None, ServerVerifier::new(Some(pinned)))
            .await
            .unwrap();
        let member = Self { channel: Channel::new(connection, Role::Client), endpoint };
        let name = ClientName::parse("meter").unwrap();
        member.ask(&Request::Hello(Hello::new(name, None))).await;
        member
    }

    /// Says goodbye, and waits until it is said: the name is free for the next one then.
    pub(crate) async fn leave(self) {
        self.endpoint.close(CloseCode::Goodbye);
        self.endpoint.wait_idle(PATIENCE).await;
    }

    /// How long a message takes there and back, in milliseconds.
    pub(crate) async fn round_trip(&self) -> f64 {
        let began = Instant::now();
        self.ask(&Request::Message { text: "Hello".to_owned() }).await;
        began.elapsed().as_secs_f64() * 1000.0
    }

    /// How long a folder's list takes, in milliseconds.
    pub(crate) async fn list(&self, folder: &str) -> f64 {
        let began = Instant::now();
        self.ask(&Request::List { path: FolderPath::parse(folder).unwrap() }).await;
        began.elapsed().as_secs_f64() * 1000.0
    }

    async fn ask(&self, request: &Request) {
        let mut stream = self.channel.open().await.unwrap();
        stream.writer.end(FrameKind::Request, &request.encode()).await.unwrap();
        loop {
            let frame = stream.reader.read_response(limits::FRAME, PATIENCE).await.unwrap();
            if frame.kind == FrameKind::Eof {
                return;
            }
        }
    }

    async fn begin(&self, file: &str) -> (CommandStream, FileHeader) {
        let mut stream = self.channel.open().await.unwrap();
        let request = Request::Get { path: FilePath::parse(file).unwrap(), have: None };
        stream.writer.write_frame(FrameKind::Request, &request.encode()).await.unwrap();
        stream.writer.flush().await.unwrap();
        let head = stream.reader.read_response(limits::FRAME, PATIENCE).await.unwrap();
        match Reply::decode(&head.payload).unwrap() {
            Reply::File(head) => (stream, head),
            other => panic!("the server answers a get with {other:?}"),
        }
    }

    /// Gets a file, verifies it and stores nothing; `progress` hears of the bytes that are there.
    pub(crate) async fn get(&self, file: &str, mut progress: impl FnMut(u64)) {
        let (mut stream, head) = self.begin(file).await;
        let (size, from) = (ContentSize::Known(head.size), HashedPrefix::empty());
        let progress = |arrival: ReceiveProgress| progress(arrival.received);
        let sink = std::io::sink();
        let received =
            quiver_transfer::receive(&mut stream.reader, size, from, sink, PATIENCE, progress)
                .await;
        let (_, end, _) = received.unwrap();
        let said = Received { blake3: end.blake3, slowed_by: None }.encode();
        stream.writer.end(FrameKind::Received, &said).await.unwrap();
    }

    /// Puts a file in the place of what is there; `progress` hears of each block's bytes.
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
        let ready = stream.reader.read_response(limits::FRAME, PATIENCE).await.unwrap();
        assert_eq!(ready.kind, FrameKind::Reply);
        let begins = Reply::Content { offset: 0 }.encode();
        stream.writer.write_frame(FrameKind::Reply, &begins).await.unwrap();
        let nothing = HashedPrefix::empty();
        let sent =
            quiver_transfer::send(&mut stream.writer, source, nothing, BLOCK, progress).await;
        let end = sent.unwrap();
        stream.writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
        loop {
            // How far it is, and then the hash of what it has.
            let frame = stream.reader.read_response(limits::FRAME, PATIENCE).await.unwrap();
            if frame.kind == FrameKind::Received {
                assert_eq!(Received::decode(&frame.payload).unwrap().blake3, end.blake3);
                return;
            }
        }
    }

    /// Gets a file until its first bytes are there.
    pub(crate) async fn first_byte(&self, file: &str) {
        let (mut stream, _) = self.begin(file).await;
        let frame = stream.reader.read_response(limits::FRAME, PATIENCE).await.unwrap();
        assert!(frame.kind == FrameKind::Data && !frame.payload.is_empty());
        stream.reader.stop();
    }
}
