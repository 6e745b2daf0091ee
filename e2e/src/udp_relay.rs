//! A UDP relay between clients and a server that can be cut, slowed down, and redirected. To a server, a cut
//! relay looks like a client that was killed or that lost its network. Knows nothing of QUIC.

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

use crate::deadline::{TIMEOUT, wait_within};

/// A relay with an address of its own. Each client that sends to it gets its own port towards the server.
#[derive(Debug)]
pub struct UdpRelay {
    address: SocketAddr,
    state: Arc<RelayState>,
    /// Stops when the relay is dropped.
    _relay: JoinSet<()>,
}

#[derive(Debug)]
struct RelayState {
    is_cut: AtomicBool,
    /// Datagrams that were dropped because the relay is cut.
    dropped: watch::Sender<u64>,
    /// Datagrams of the server that are relayed to each client, at most.
    response_limit: u64,
    to_clients: TrafficCounter,
    to_server: TrafficCounter,
    /// Bytes a second in each direction; 0 for no limit.
    rate: AtomicU64,
    server: Mutex<SocketAddr>,
    /// How often the clients' ports towards the server were changed.
    generation: AtomicU64,
    /// Routes opened so far; traffic to clients is counted on the newest only.
    routes: AtomicU64,
}

/// Relayed traffic in one direction, including QUIC's overhead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Bytes of UDP's payload.
    pub bytes: u64,
    /// Number of datagrams.
    pub datagrams: u64,
}

#[derive(Debug, Default)]
struct TrafficCounter {
    bytes: AtomicU64,
    datagrams: AtomicU64,
}

impl TrafficCounter {
    fn add(&self, length: usize) {
        self.bytes.fetch_add(length as u64, Ordering::SeqCst);
        self.datagrams.fetch_add(1, Ordering::SeqCst);
    }

    fn total(&self) -> Traffic {
        let (bytes, datagrams) = (&self.bytes, &self.datagrams);
        Traffic { bytes: bytes.load(Ordering::SeqCst), datagrams: datagrams.load(Ordering::SeqCst) }
    }
}

impl UdpRelay {
    /// Starts a relay to a server that forwards everything.
    ///
    /// # Panics
    /// If no socket can be bound.
    pub async fn start(server: SocketAddr) -> Self {
        Self::with_response_limit(server, u64::MAX).await
    }

    /// Starts a relay that forwards only `limit` of the server's datagrams to each client.
    ///
    /// # Panics
    /// If no socket can be bound.
    pub async fn with_response_limit(server: SocketAddr, limit: u64) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = front.local_addr().unwrap();
        let state = Arc::new(RelayState {
            is_cut: AtomicBool::new(false),
            dropped: watch::Sender::new(0),
            response_limit: limit,
            to_clients: TrafficCounter::default(),
            to_server: TrafficCounter::default(),
            rate: AtomicU64::new(0),
            server: Mutex::new(server),
            generation: AtomicU64::new(0),
            routes: AtomicU64::new(0),
        });
        let mut relay = JoinSet::new();
        relay.spawn(relay_to_server(Arc::new(front), state.clone()));
        Self { address, state, _relay: relay }
    }

    /// The address that clients dial.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all datagrams in both directions from now on.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
    }

    /// Waits until the cut relay drops another datagram.
    ///
    /// # Panics
    /// If neither side sends anything within [`TIMEOUT`].
    pub async fn wait_for_loss(&self) {
        let mut dropped = self.state.dropped.subscribe();
        dropped.mark_unchanged();
        wait_within(TIMEOUT, "a datagram to be dropped", dropped.changed()).await.unwrap();
    }

    /// Limits the bytes a second to the server, and to each client, from now on; 0 removes the limit.
    pub fn limit_rate(&self, bytes_per_second: u64) {
        self.state.rate.store(bytes_per_second, Ordering::SeqCst);
    }

    /// The traffic to clients. A client's route counts only until a newer one is opened, because a server keeps
    /// probing a dead client with unacknowledged content.
    #[must_use]
    pub fn traffic_to_clients(&self) -> Traffic {
        self.state.to_clients.total()
    }

    /// The traffic to the server.
    #[must_use]
    pub fn traffic_to_server(&self) -> Traffic {
        self.state.to_server.total()
    }

    /// Gives clients other ports towards the server, as a NAT rebinding does. Datagrams to the old ports are
    /// lost.
    pub fn rebind(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Relays to another server from now on.
    pub fn redirect_to(&self, server: SocketAddr) {
        *self.state.server.lock() = server;
        self.rebind();
    }

    /// Ends a [`cut`](Self::cut): forwards all datagrams again.
    pub fn restore(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }
}

impl RelayState {
    /// Whether a datagram is dropped now; counts it if so.
    fn drops_datagram(&self) -> bool {
        let is_cut = self.is_cut.load(Ordering::SeqCst);
        if is_cut {
            self.dropped.send_modify(|count| *count += 1);
        }
        is_cut
    }
}

/// Delays datagrams to keep to the relay's rate.
struct Pacer {
    /// When the last datagram may be sent.
    next: Instant,
}

impl Pacer {
    fn new() -> Self {
        Self { next: Instant::now() }
    }

    async fn wait(&mut self, length: usize, state: &RelayState) {
        let rate = state.rate.load(Ordering::SeqCst);
        if rate == 0 {
            return;
        }
        let duration = Duration::from_secs(1) * length as u32 / rate as u32;
        self.next = self.next.max(Instant::now()) + duration;
        // Timers are no finer than 2 ms.
        let ahead = self.next.saturating_duration_since(Instant::now());
        if ahead > Duration::from_millis(2) {
            sleep(ahead).await;
        }
    }
}

/// A client's socket towards the server.
struct Route {
    socket: Arc<UdpSocket>,
    generation: u64,
    /// Stops when the route is dropped.
    _responses: JoinSet<()>,
}

impl Route {
    async fn open(front: &Arc<UdpSocket>, client: SocketAddr, state: &Arc<RelayState>) -> Self {
        let generation = state.generation.load(Ordering::SeqCst);
        let server = *state.server.lock();
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        socket.connect(server).await.unwrap();
        let number = state.routes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut responses = JoinSet::new();
        responses.spawn(relay_to_client(
            socket.clone(),
            front.clone(),
            client,
            number,
            state.clone(),
        ));
        Self { socket, generation, _responses: responses }
    }
}

async fn relay_to_server(front: Arc<UdpSocket>, state: Arc<RelayState>) {
    let mut routes: HashMap<SocketAddr, Route> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    let mut pacer = Pacer::new();
    loop {
        // An error reports that a client's port was closed; the other clients are not affected.
        let Ok((length, client)) = front.recv_from(&mut datagram).await else { continue };
        if state.drops_datagram() {
            continue;
        }
        let route = match routes.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Route::open(&front, client, &state).await),
        };
        if route.generation != state.generation.load(Ordering::SeqCst) {
            *route = Route::open(&front, client, &state).await;
        }
        pacer.wait(length, &state).await;
        if route.socket.send(&datagram[..length]).await.is_ok() {
            state.to_server.add(length);
        }
    }
}

async fn relay_to_client(
    socket: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    number: u64,
    state: Arc<RelayState>,
) {
    let mut datagram = vec![0; 65_536];
    let mut remaining = state.response_limit;
    let mut pacer = Pacer::new();
    loop {
        let Ok(length) = socket.recv(&mut datagram).await else { continue };
        pacer.wait(length, &state).await;
        if !state.drops_datagram() && remaining > 0 {
            remaining -= 1;
            let is_newest = || state.routes.load(Ordering::SeqCst) == number;
            if front.send_to(&datagram[..length], client).await.is_ok() && is_newest() {
                state.to_clients.add(length);
            }
        }
    }
}
