//! A get at the path MTU that the internet has, beside what QUIC itself reaches there: a bare stream of
//! the same settings, from memory to nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Instant;

use quiver_protocol::CloseCode;
use quiver_transport::{CertificateInfo, Endpoint, Identity, ServerVerifier, endpoint};

use crate::cast::Cast;
use crate::cli::{self, Amount};
use crate::moves::{self, median};
use crate::peers::{Direction, Job, Peer};
use crate::report::{Bound, Section, Table, figure};
use crate::wire::block_on;

/// What quinn's discovery finds on an Ethernet that carries IPv6, in bytes of UDP payload.
const PATH_MTU: u16 = 1452;

/// The headers of IPv4 and UDP, which the loopback's MTU counts too.
const HEADERS: u16 = 20 + 8;

/// What the bare sender hands to QUIC at once: as much as a get does.
const BLOCK: usize = 256 * 1024;

pub(crate) fn measure(cast: &Cast, amount: Amount, own_network: bool) -> Section {
    let what = format!("get at path MTU {PATH_MTU} over a bare QUIC stream");
    let mut section = Section::new(what.clone());
    cast.stage.file("large", amount.size);
    let mut table = Table::new(&["", "path MTU", "get MB/s", "bare stream MB/s", "get over bare"]);
    // As far as the loopback carries, for comparison.
    pair(cast, amount, &mut table);
    let reached = if own_network {
        let _narrow = NarrowLoopback::set(PATH_MTU + HEADERS);
        Ok(pair(cast, amount, &mut table))
    } else {
        Err("the loopback's MTU can change only in a network of its own: root, unshare and ip"
            .to_owned())
    };
    section.tables.push(table);
    section.notes.push(format!(
        "Medians of {} rounds in turns. The get counts from its process's start to its end; the bare stream, \
         within a connection, from its opening to its end: two threads, the settings of Quiver's own \
         endpoints, the same blocks of {}, nothing read from a file, hashed or written.",
        amount.rounds.min(5),
        cli::size(BLOCK as u64)
    ));
    section.goal(what, Bound::AtLeast(0.65), "", reached);
    section
}

/// Both in turns; the ratio of their rates.
fn pair(cast: &Cast, amount: Amount, table: &mut Table) -> f64 {
    let job = Job::file(Direction::Get, "large", amount.size);
    let (mut gets, mut bares, mut path_mtu) = (Vec::new(), Vec::new(), 0);
    for round in 0..=amount.rounds.min(5) {
        let get = moves::once(cast, Peer::Quiver, &job, false).seconds;
        let bare = bare(&cast.stage.at("certs"), amount.size);
        path_mtu = bare.path_mtu;
        // The first round warms caches up.
        if round > 0 {
            gets.push(get);
            bares.push(bare.seconds);
        }
    }
    let [get, bare] =
        [gets, bares].map(|seconds| amount.size as f64 / 1e6 / median(seconds.into_iter()));
    table.row([
        cli::size(amount.size),
        path_mtu.to_string(),
        figure(get),
        figure(bare),
        figure(get / bare),
    ]);
    get / bare
}

struct Bare {
    seconds: f64,
    /// As the sender found it.
    path_mtu: u16,
}

/// Sends that many bytes through one stream.
fn bare(certificates: &Path, size: u64) -> Bare {
    let certificate = certificates.join("server.pem");
    let identity = Identity::load(&certificate, &certificates.join("server.key")).unwrap();
    let (bound, address) = mpsc::channel();
    let sender = std::thread::spawn(move || block_on(send(identity, bound, size)));
    let seconds = block_on(receive(address.recv().unwrap(), &certificate, size));
    Bare { seconds, path_mtu: sender.join().unwrap() }
}

async fn send(identity: Identity, bound: mpsc::Sender<SocketAddr>, size: u64) -> u16 {
    let endpoint = Endpoint::listen("127.0.0.1:0".parse().unwrap(), &identity).unwrap();
    bound.send(endpoint.local_addr().unwrap()).unwrap();
    let connection = endpoint.accept().await.unwrap().await.unwrap();
    endpoint::promote(&connection);
    let (mut send, _receive) = connection.accept_bi().await.unwrap();
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
    let connection = endpoint.dial(address, None, ServerVerifier::new(Some(pinned))).await.unwrap();
    let began = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(b"go").await.unwrap();
    let mut received = 0;
    while let Some(chunk) = receive.read_chunk(usize::MAX, true).await.unwrap() {
        received += chunk.bytes.len() as u64;
    }
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(received, size);
    endpoint.close(CloseCode::Goodbye);
    endpoint.wait_idle(std::time::Duration::from_secs(5)).await;
    seconds
}

/// A loopback that carries only small packets, in this process's own network, until it is dropped.
struct NarrowLoopback;

impl NarrowLoopback {
    fn set(mtu: u16) -> Self {
        set_loopback_mtu(&mtu.to_string());
        Self
    }
}

impl Drop for NarrowLoopback {
    fn drop(&mut self) {
        set_loopback_mtu("65536");
    }
}

fn set_loopback_mtu(mtu: &str) {
    let set = Command::new("ip").args(["link", "set", "dev", "lo", "mtu", mtu]).status();
    assert!(set.is_ok_and(|status| status.success()), "ip cannot set the loopback's MTU");
}
