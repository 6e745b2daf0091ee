//! A way for UDP datagrams between clients and a server, which can be cut, slowed down, and led elsewhere.
//! To a server, a cut path is a client that was killed, or whose network is gone. Knows nothing of QUIC.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::deadline::{PATIENCE, within};

/// A relay on an address of its own. Every client that sends to it gets its own port towards the server.
#[derive(Debug)]
pub struct Path {
    address: SocketAddr,
    state: Arc<State>,
    /// Ends with the path.
    _relay: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    cut: AtomicBool,
    /// How many datagrams were lost because of that.
    swallowed: watch::Sender<u64>,
    /// How many datagrams may come back to each client.
    answers: u64,
    /// What came back to all of them.
    came_back: Counter,
    /// What went to the server.
    went_there: Counter,
    /// How many bytes may pass in a second, each way; 0 where nothing limits them.
    rate: AtomicU64,
    server: Mutex<SocketAddr>,
    /// Which of its addresses a client has towards the server, counted from 0.
    address: AtomicU64,
    /// How many ways to the server were opened: what comes back by the newest counts.
    ways: AtomicU64,
}

/// What has passed a path in one direction, with all that QUIC adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    /// Bytes of UDP's payload.
    pub bytes: u64,
    /// In so many datagrams.
    pub datagrams: u64,
}

#[derive(Debug, Default)]
struct Counter {
    bytes: AtomicU64,
    datagrams: AtomicU64,
}

impl Counter {
    fn count(&self, length: usize) {
        self.bytes.fetch_add(length as u64, Ordering::SeqCst);
        self.datagrams.fetch_add(1, Ordering::SeqCst);
    }

    fn so_far(&self) -> Passed {
        let (bytes, datagrams) = (&self.bytes, &self.datagrams);
        Passed { bytes: bytes.load(Ordering::SeqCst), datagrams: datagrams.load(Ordering::SeqCst) }
    }
}

impl Path {
    /// A path to a server that lets everything pass.
    ///
    /// # Panics
    /// Where no socket can be had.
    pub async fn to(server: SocketAddr) -> Self {
        Self::with_answers(server, u64::MAX).await
    }

    /// A path that lets only so many of the server's datagrams back to each client.
    ///
    /// # Panics
    /// Where no socket can be had.
    pub async fn with_answers(server: SocketAddr, answers: u64) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = front.local_addr().unwrap();
        let state = Arc::new(State {
            cut: AtomicBool::new(false),
            swallowed: watch::Sender::new(0),
            answers,
            came_back: Counter::default(),
            went_there: Counter::default(),
            rate: AtomicU64::new(0),
            server: Mutex::new(server),
            address: AtomicU64::new(0),
            ways: AtomicU64::new(0),
        });
        let mut relay = JoinSet::new();
        relay.spawn(forward(Arc::new(front), state.clone()));
        Self { address, state, _relay: relay }
    }

    /// Where clients dial.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From here on nothing passes in either direction.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// Waits until something is lost on the cut path.
    ///
    /// # Panics
    /// Where nobody sends anything.
    pub async fn swallowed(&self) {
        let mut swallowed = self.state.swallowed.subscribe();
        swallowed.mark_unchanged();
        within(PATIENCE, "something to be lost", swallowed.changed()).await.unwrap();
    }

    /// From here on no more than so many bytes a second go to the server, and come back to each client.
    pub fn slow(&self, bytes_per_second: u64) {
        self.state.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// What has come back to clients, in each case while none had come after them: a server goes on asking a
    /// dead one for a sign of life, with content it knows to be on its way.
    #[must_use]
    pub fn came_back(&self) -> Passed {
        self.state.came_back.so_far()
    }

    /// What has gone to the server.
    #[must_use]
    pub fn went_there(&self) -> Passed {
        self.state.went_there.so_far()
    }

    /// From here on clients have other ports towards the server. What it says to the old ones is lost.
    pub fn change_address(&self) {
        self.state.address.fetch_add(1, Ordering::SeqCst);
    }

    /// From here on the path leads to another server.
    pub fn lead_to(&self, server: SocketAddr) {
        *self.state.server.lock() = server;
        self.change_address();
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

impl State {
    /// Whether what is under way now is lost.
    fn swallows(&self) -> bool {
        let cut = self.cut.load(Ordering::SeqCst);
        if cut {
            self.swallowed.send_modify(|count| *count += 1);
        }
        cut
    }
}

/// Lets bytes pass at a path's rate.
struct Pace {
    /// When the last of them has passed.
    passed: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { passed: Instant::now() }
    }

    async fn keep(&mut self, length: usize, state: &State) {
        let rate = state.rate.load(Ordering::SeqCst);
        if rate == 0 {
            return;
        }
        let takes = Duration::from_secs(1) * length as u32 / rate as u32;
        self.passed = self.passed.max(Instant::now()) + takes;
        // Timers are no finer than this.
        let ahead = self.passed.saturating_duration_since(Instant::now());
        if ahead > Duration::from_millis(2) {
            sleep(ahead).await;
        }
    }
}

/// A client's way to the server.
struct Way {
    socket: Arc<UdpSocket>,
    address: u64,
    /// Ends with the way.
    _backward: JoinSet<()>,
}

impl Way {
    async fn open(front: &Arc<UdpSocket>, client: SocketAddr, state: &Arc<State>) -> Self {
        let address = state.address.load(Ordering::SeqCst);
        let server = *state.server.lock();
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        socket.connect(server).await.unwrap();
        let number = state.ways.fetch_add(1, Ordering::SeqCst) + 1;
        let mut backward = JoinSet::new();
        backward.spawn(back(socket.clone(), front.clone(), client, number, state.clone()));
        Self { socket, address, _backward: backward }
    }
}

async fn forward(front: Arc<UdpSocket>, state: Arc<State>) {
    let mut ways: HashMap<SocketAddr, Way> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    let mut pace = Pace::new();
    loop {
        // Errors here are news of ports that were closed: the other clients do not care.
        let Ok((length, client)) = front.recv_from(&mut datagram).await else { continue };
        if state.swallows() {
            continue;
        }
        let way = match ways.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Way::open(&front, client, &state).await),
        };
        if way.address != state.address.load(Ordering::SeqCst) {
            *way = Way::open(&front, client, &state).await;
        }
        pace.keep(length, &state).await;
        if way.socket.send(&datagram[..length]).await.is_ok() {
            state.went_there.count(length);
        }
    }
}

async fn back(
    way: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    number: u64,
    state: Arc<State>,
) {
    let mut datagram = vec![0; 65_536];
    let mut answers = state.answers;
    let mut pace = Pace::new();
    loop {
        let Ok(length) = way.recv(&mut datagram).await else { continue };
        pace.keep(length, &state).await;
        if !state.swallows() && answers > 0 {
            answers -= 1;
            let is_newest = || state.ways.load(Ordering::SeqCst) == number;
            if front.send_to(&datagram[..length], client).await.is_ok() && is_newest() {
                state.came_back.count(length);
            }
        }
    }
}
