//! How long a message takes there and back, alone and beside a get on the same connection.

use std::time::{Duration, Instant};

use quiver_protocol::command::Hello;
use quiver_protocol::{
    ClientName, End as _, FilePath, FrameKind, Received, Reply, Request, limits,
};
use quiver_transport::{
    CertificateInfo, CommandStream, Connection, Endpoint, ServerVerifier, content,
};

use crate::process::Bench;

/// Messages that are timed while nothing else happens.
const IDLE_MESSAGES: usize = 2000;

const PATIENCE: Duration = Duration::from_secs(30);

/// Round trips in milliseconds.
pub(crate) struct Latency {
    pub(crate) idle: Times,
    pub(crate) loaded: Times,
}

pub(crate) struct Times {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

/// One connection: messages alone, then messages while the file is read and thrown away.
pub(crate) fn measure(bench: &Bench) -> Latency {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::dialler().unwrap();
        let pinned = CertificateInfo::load(&bench.at("certs/server.pem")).unwrap().fingerprint;
        let connection =
            endpoint.dial(bench.server, None, ServerVerifier::new(Some(pinned))).await.unwrap();
        let name = ClientName::parse("latency").unwrap();
        ask(&connection, &Request::Hello(Hello::new(name, None))).await;

        let mut idle = Vec::new();
        for _ in 0..IDLE_MESSAGES {
            idle.push(round_trip(&connection).await);
        }
        let mut loaded = Vec::new();
        let messages = async {
            loop {
                loaded.push(round_trip(&connection).await);
            }
        };
        tokio::select! {
            () = get(&connection) => {}
            () = messages => {}
        }
        Latency { idle: Times::of(idle), loaded: Times::of(loaded) }
    })
}

async fn round_trip(connection: &Connection) -> f64 {
    let began = Instant::now();
    ask(connection, &Request::Message { text: "Hello".to_owned() }).await;
    began.elapsed().as_secs_f64() * 1000.0
}

async fn ask(connection: &Connection, request: &Request) {
    let mut stream = CommandStream::open(connection).await.unwrap();
    stream.writer.end(FrameKind::Request, &request.encode()).await.unwrap();
    loop {
        let frame = stream.reader.read_answer(limits::FRAME, PATIENCE).await.unwrap();
        if frame.kind == FrameKind::Eof {
            return;
        }
    }
}

async fn get(connection: &Connection) {
    let mut stream = CommandStream::open(connection).await.unwrap();
    let request = Request::Get { path: FilePath::parse("big").unwrap(), have: None };
    stream.writer.write_frame(FrameKind::Request, &request.encode()).await.unwrap();
    stream.writer.flush().await.unwrap();
    let head = stream.reader.read_answer(limits::FRAME, PATIENCE).await.unwrap();
    let Reply::File(head) = Reply::decode(&head.payload).unwrap() else {
        panic!("the server answers a get with a file");
    };
    let sink = std::io::sink();
    let (size, from) = (content::Size::Known(head.size), content::Hashed::nothing());
    let received = content::receive(&mut stream.reader, size, from, sink, PATIENCE, |_| {}).await;
    let (_, end) = received.unwrap();
    let said = Received { blake3: end.blake3 }.encode();
    stream.writer.end(FrameKind::Received, &said).await.unwrap();
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        Self { median: at(0.5), p99: at(0.99) }
    }
}
