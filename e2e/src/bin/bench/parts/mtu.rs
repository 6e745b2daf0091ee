//! A get at the path MTU that the internet has, beside what QUIC itself reaches there: a bare stream of
//! the same settings, from memory to nothing.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use quiver_protocol::CloseCode;
use quiver_transport::{CertificateInfo, Endpoint, Identity, Protocol, ServerVerifier};
use tokio::time::{sleep, timeout};

use crate::cast::Cast;
use crate::cli::{self, Amount};
use crate::figure::figure;
use crate::moves::{self, median};
use crate::peers::{Call, Direction, Job, Peer};
use crate::report::{Bound, Section, Table};
use crate::stage::{FILES, QuiverServer, remove};
use crate::wire::block_on;

/// What quinn's discovery finds on an Ethernet that carries IPv6, in bytes of UDP payload.
const PATH_MTU: u16 = 1452;

/// The search for the path MTU may end this far below it (quinn's default).
const SEARCH_GRAIN: u16 = 20;

/// The headers of IPv4 and UDP, which an interface's MTU counts too.
const HEADERS: u16 = 20 + 8;

/// How long that search may take.
const SEARCH: Duration = Duration::from_secs(20);

/// The least that counts as found on loopback, where one probe tells.
const LOOPBACK_FITS: u16 = 32 * 1024;

/// What the bare sender hands to QUIC at once: as much as a get does.
const BLOCK: usize = 256 * 1024;

pub(crate) fn measure(cast: &Cast, amount: Amount, own_network: bool) -> Section {
    let what = format!("get at path MTU {PATH_MTU} over a bare QUIC stream");
    let mut section = Section::new(what.clone());
    cast.stage.file("large", amount.size);
    let rounds = amount.rounds.min(5);
    let columns = ["", "path MTU found", "get MB/s", "bare stream MB/s", "get over bare"];
    let mut table = Table::new(&columns);
    let reached = if own_network {
        let network = Network::make();
        let found = PATH_MTU - SEARCH_GRAIN..=PATH_MTU;
        let pair = Pair::measure(cast, network.address, *found.start(), amount.size, rounds);
        table.row(pair.row("as on a network"));
        if found.contains(&pair.path_mtu) {
            Ok(pair.ratio())
        } else {
            Err(format!("a path MTU of {} was found", pair.path_mtu))
        }
    } else {
        Err("the loopback's MTU can change only in a network of its own: root, unshare, ip"
            .to_owned())
    };
    // As far as the loopback carries, for comparison.
    let pair = Pair::measure(cast, Ipv4Addr::LOCALHOST, LOOPBACK_FITS, amount.size, rounds);
    table.row(pair.row("on loopback"));
    section.tables.push(table);
    section.notes.push(format!(
        "Medians of {rounds} rounds in turns. The get counts from its process's start to its end; the bare \
         stream, within a connection whose path MTU was found before, from its first byte to its last: two threads, the settings of Quiver's own \
         endpoints, the same blocks of {}, nothing read from a file, hashed or written.",
        cli::size(BLOCK as u64)
    ));
    section.goal(what, Bound::AtLeast(0.65), "", reached);
    section
}

/// A get and a bare stream over the same path; 10^6 bytes a second.
struct Pair {
    /// The narrowest of all rounds.
    path_mtu: u16,
    get: f64,
    bare: f64,
}

impl Pair {
    /// Both in turns.
    fn measure(cast: &Cast, address: Ipv4Addr, fits: u16, size: u64, rounds: usize) -> Self {
        let server = QuiverServer::start(&cast.stage, address, &cast.stage.at(FILES), false);
        let job = Job::file(Direction::Get, "large", size);
        let (mut gets, mut bares, mut path_mtu) = (Vec::new(), Vec::new(), u16::MAX);
        for round in 0..=rounds {
            let get = get(cast, &server, &job);
            let bare = bare(&cast.stage.at("certs"), address, size, fits);
            // The first round warms caches up.
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
        let figures = [self.get, self.bare, self.ratio()].map(figure);
        let [get, bare, ratio] = figures;
        [name.to_owned(), self.path_mtu.to_string(), get, bare, ratio]
    }
}

/// The seconds of one get from a server.
fn get(cast: &Cast, server: &QuiverServer, job: &Job) -> f64 {
    let call = Call::to_quiver(job, &cast.stage, server.address);
    let arrived = call.target().join(&job.name);
    remove(&arrived);
    let seconds = moves::run(&cast.stage, call.command(Peer::Quiver), server.id(), || {}).seconds;
    assert_eq!(fs::metadata(&arrived).unwrap().len(), job.bytes, "the get is not whole");
    remove(&arrived);
    seconds
}

struct Bare {
    seconds: f64,
    /// As the sender found it.
    path_mtu: u16,
}

/// Sends that many bytes through one stream.
fn bare(certificates: &Path, address: Ipv4Addr, size: u64, fits: u16) -> Bare {
    let certificate = certificates.join("server.pem");
    let identity = Identity::load(&certificate, &certificates.join("server.key")).unwrap();
    let (bound, dialled) = mpsc::channel();
    let sender = std::thread::spawn(move || block_on(send(identity, address, bound, size, fits)));
    let seconds = block_on(receive(dialled.recv().unwrap(), &certificate, size));
    Bare { seconds, path_mtu: sender.join().unwrap() }
}

/// Waits until QUIC has found a path MTU of at least so many bytes. It looks for one only while it has nothing
/// else to send, so that a stream that is never short of content would be over before.
async fn searched(connection: &quinn::Connection, fits: u16) {
    let found = async {
        while connection.stats().path.current_mtu < fits {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // What was found by then is told with the figures.
    let _ = timeout(SEARCH, found).await;
}

async fn send(
    identity: Identity,
    address: Ipv4Addr,
    bound: mpsc::Sender<SocketAddr>,
    size: u64,
    fits: u16,
) -> u16 {
    let endpoint = Endpoint::listen((address, 0).into(), &identity, &[Protocol::QUIVER_1]).unwrap();
    bound.send(endpoint.local_addr().unwrap()).unwrap();
    let knocked = endpoint.accept().await.unwrap();
    let accepted = endpoint.start_handshake(knocked).unwrap().complete().await.unwrap();
    let connection = accepted.promote();
    let (mut send, _receive) = connection.accept_bi().await.unwrap();
    searched(&connection, fits).await;
    // The clock starts with this.
    send.write_all(b"!").await.unwrap();
    let block = vec![7; BLOCK];
    let mut left = size;
    while left > 0 {
        let part = left.min(BLOCK as u64) as usize;
        send.write_all(&block[..part]).await.unwrap();
        left -= part as u64;
    }
    send.finish().unwrap();
    connection.closed().await;
    connection.stats().path.current_mtu
}

async fn receive(address: SocketAddr, certificate: &Path, size: u64) -> f64 {
    let endpoint = Endpoint::dialler().unwrap();
    let pinned = CertificateInfo::load(certificate).unwrap().fingerprint;
    let connection = endpoint
        .dial(address, Protocol::QUIVER_1, None, ServerVerifier::new(Some(pinned)))
        .await
        .unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"go").await.unwrap();
    receive.read_exact(&mut [0]).await.unwrap();
    let began = Instant::now();
    let mut received = 0;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await.unwrap() {
        received += chunk.bytes.len() as u64;
    }
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(received, size);
    endpoint.close(CloseCode::Goodbye);
    endpoint.wait_idle(Duration::from_secs(5)).await;
    seconds
}

/// A network in this process's own namespace, until it is dropped: an address that is none of
/// loopback's, so that both ends do what they do on a network, and packets of an Ethernet's size.
struct Network {
    address: Ipv4Addr,
}

impl Network {
    /// An address of documentation (RFC 5737), which is nobody's.
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    fn make() -> Self {
        let network = Self { address: Self::ADDRESS };
        ip(&format!("address add {}/32 dev lo", Self::ADDRESS));
        ip(&format!("link set dev lo mtu {}", PATH_MTU + HEADERS));
        network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        ip(&format!("address del {}/32 dev lo", self.address));
        // What it was before.
        ip("link set dev lo mtu 65536");
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}: failed");
}
