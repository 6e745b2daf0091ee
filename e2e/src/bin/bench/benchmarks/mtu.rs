//! A get at the path MTU of the internet, compared with QUIC itself: a bare stream with the same settings, which
//! sends from memory and discards what it receives.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use quiver_protocol::CloseCode;
use quiver_transport::{
    CertificateInfo, Endpoint, EndpointSettings, Identity, Protocol, ServerVerifier,
};
use tokio::time::{sleep, timeout};

use crate::bench_client::block_on;
use crate::cli::{self, Workload};
use crate::figure::format_figure;
use crate::fixtures::{FILES, QuiverServer, remove};
use crate::measurement::{self, median};
use crate::peers::{Invocation, Job, Peer, TransferKind};
use crate::report::{Bound, Section, Table};
use crate::test_network::{PATH_MTU, TestNetwork};
use crate::testbed::Testbed;

/// The discovery of the path MTU may end this far below it (quinn's default).
const SEARCH_GRAIN: u16 = 20;

/// Timeout of that discovery.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(20);

/// The least path MTU to wait for on loopback, where one probe finds it.
const LOOPBACK_MIN_MTU: u16 = 32 * 1024;

/// Bytes that the bare sender passes to QUIC at once, as many as a get.
const BLOCK: usize = 256 * 1024;

pub(crate) fn measure(testbed: &Testbed, workload: Workload, own_network: bool) -> Section {
    let what = format!("get at path MTU {PATH_MTU} over a bare QUIC stream");
    let mut section = Section::new(what.clone());
    testbed.work_folder.create_file("large", workload.size);
    let rounds = workload.rounds.min(5);
    let columns = ["", "path MTU found", "get MB/s", "bare stream MB/s", "get / bare"];
    let mut table = Table::new(&columns);
    let reached = if own_network {
        let network = TestNetwork::create();
        let found = PATH_MTU - SEARCH_GRAIN..=PATH_MTU;
        let comparison =
            MtuComparison::measure(testbed, network.address, *found.start(), workload.size, rounds);
        table.row(comparison.row("as on a network"));
        if found.contains(&comparison.path_mtu) {
            Ok(comparison.ratio())
        } else {
            Err(format!("a path MTU of {} was found", comparison.path_mtu))
        }
    } else {
        Err(TestNetwork::UNAVAILABLE.to_owned())
    };
    // With the loopback's own MTU, for comparison.
    let comparison = MtuComparison::measure(
        testbed,
        Ipv4Addr::LOCALHOST,
        LOOPBACK_MIN_MTU,
        workload.size,
        rounds,
    );
    table.row(comparison.row("on loopback"));
    section.tables.push(table);
    section.notes.push(format!(
        "Medians of {rounds} rounds in alternation. The get is timed from the start of its process to its exit; the \
         bare stream from its first byte to its last, on a connection whose path MTU was found before. The bare \
         stream uses two threads, the settings of Quiver's endpoints and the same blocks of {}; it reads no file, \
         hashes nothing and writes nothing.",
        cli::format_size(BLOCK as u64)
    ));
    section.goal(what, Bound::AtLeast(0.65), "", reached);
    section
}

/// A get and a bare stream over the same path; 10^6 bytes a second.
struct MtuComparison {
    /// The smallest of all rounds.
    path_mtu: u16,
    get: f64,
    bare: f64,
}

impl MtuComparison {
    /// Measures both in alternation.
    fn measure(
        testbed: &Testbed,
        address: Ipv4Addr,
        min_mtu: u16,
        size: u64,
        rounds: usize,
    ) -> Self {
        let server = QuiverServer::start(
            &testbed.work_folder,
            address,
            &testbed.work_folder.path(FILES),
            false,
        );
        let job = Job::file(TransferKind::Get, "large", size);
        let (mut gets, mut bares, mut path_mtu) = (Vec::new(), Vec::new(), u16::MAX);
        for round in 0..=rounds {
            let get = measure_get(testbed, &server, &job);
            let bare =
                measure_bare_stream(&testbed.work_folder.path("certs"), address, size, min_mtu);
            // The first round warms up caches.
            if round > 0 {
                path_mtu = path_mtu.min(bare.path_mtu);
                gets.push(get);
                bares.push(bare.seconds);
            }
        }
        let rate = |seconds: Vec<f64>| size as f64 / 1e6 / median(seconds.into_iter());
        Self { path_mtu, get: rate(gets), bare: rate(bares) }
    }

    fn ratio(&self) -> f64 {
        self.get / self.bare
    }

    fn row(&self, name: &str) -> [String; 5] {
        let figures = [self.get, self.bare, self.ratio()].map(format_figure);
        let [get, bare, ratio] = figures;
        [name.to_owned(), self.path_mtu.to_string(), get, bare, ratio]
    }
}

/// The seconds of one get.
fn measure_get(testbed: &Testbed, server: &QuiverServer, job: &Job) -> f64 {
    let invocation = Invocation::to_quiver(job, &testbed.work_folder, server.address);
    let received = invocation.target().join(&job.name);
    remove(&received);
    let seconds = measurement::run(
        &testbed.work_folder,
        invocation.command(Peer::Quiver),
        server.id(),
        || {},
    )
    .seconds;
    assert_eq!(fs::metadata(&received).unwrap().len(), job.bytes, "the get is incomplete");
    remove(&received);
    seconds
}

/// The transfer of a bare stream.
struct BareTransfer {
    seconds: f64,
    /// The sender's path MTU.
    path_mtu: u16,
}

/// Sends `size` bytes through one stream.
fn measure_bare_stream(
    certificates: &Path,
    address: Ipv4Addr,
    size: u64,
    min_mtu: u16,
) -> BareTransfer {
    let certificate = certificates.join("server.pem");
    let identity = Identity::load(&certificate, &certificates.join("server.key")).unwrap();
    let (bound, dialled) = mpsc::channel();
    let sender =
        std::thread::spawn(move || block_on(send(identity, address, bound, size, min_mtu)));
    let seconds = block_on(receive(dialled.recv().unwrap(), &certificate, size));
    BareTransfer { seconds, path_mtu: sender.join().unwrap() }
}

/// Waits until QUIC has found a path MTU of at least `min_mtu`. QUIC probes only while it has nothing else to send,
/// so a stream that always has content would end before.
async fn wait_for_path_mtu(connection: &quinn::Connection, min_mtu: u16) {
    let found = async {
        while connection.stats().path.current_mtu < min_mtu {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // After the timeout the path MTU found so far is reported with the figures.
    let _ = timeout(SEARCH_TIMEOUT, found).await;
}

async fn send(
    identity: Identity,
    address: Ipv4Addr,
    bound: mpsc::Sender<SocketAddr>,
    size: u64,
    min_mtu: u16,
) -> u16 {
    let endpoint = Endpoint::listen(
        (address, 0).into(),
        &identity,
        &[Protocol::QUIVER_1],
        EndpointSettings::default(),
    )
    .unwrap();
    bound.send(endpoint.local_addr().unwrap()).unwrap();
    let incoming = endpoint.accept().await.unwrap();
    let accepted = endpoint.start_handshake(incoming).unwrap().complete().await.unwrap();
    let connection = accepted.promote();
    let (mut send, _receive) = connection.accept_bi().await.unwrap();
    wait_for_path_mtu(&connection, min_mtu).await;
    // The receiver's clock starts at this byte.
    send.write_all(b"!").await.unwrap();
    let block = vec![7; BLOCK];
    let mut left = size;
    while left > 0 {
        let length = left.min(BLOCK as u64) as usize;
        send.write_all(&block[..length]).await.unwrap();
        left -= length as u64;
    }
    send.finish().unwrap();
    connection.closed().await;
    connection.stats().path.current_mtu
}

async fn receive(address: SocketAddr, certificate: &Path, size: u64) -> f64 {
    let endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let pinned = CertificateInfo::load(certificate).unwrap().fingerprint;
    let connection = endpoint
        .dial(address, Protocol::QUIVER_1, None, ServerVerifier::new(Some(pinned)))
        .await
        .unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"go").await.unwrap();
    receive.read_exact(&mut [0]).await.unwrap();
    let started = Instant::now();
    let mut received = 0;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await.unwrap() {
        received += chunk.bytes.len() as u64;
    }
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(received, size);
    endpoint.close(CloseCode::Goodbye);
    endpoint.wait_idle(Duration::from_secs(5)).await;
    seconds
}
