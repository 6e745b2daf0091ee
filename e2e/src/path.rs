//! A way for UDP datagrams between clients and a server, which can be cut. To a server, a cut path is a
//! client that was killed, or whose network is gone. Knows nothing of QUIC.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

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
    /// How many datagrams may come back to each client.
    answers: u64,
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
        let state = Arc::new(State { cut: AtomicBool::new(false), answers });
        let mut relay = JoinSet::new();
        relay.spawn(forward(Arc::new(front), server, state.clone()));
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

    /// Everything passes again.
    pub fn heal(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }
}

impl State {
    fn is_cut(&self) -> bool {
        self.cut.load(Ordering::SeqCst)
    }
}

async fn forward(front: Arc<UdpSocket>, server: SocketAddr, state: Arc<State>) {
    let mut ways: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut backward = JoinSet::new();
    let mut datagram = vec![0; 65_536];
    loop {
        // Errors here are news of ports that were closed: the other clients do not care.
        let Ok((length, client)) = front.recv_from(&mut datagram).await else { continue };
        if state.is_cut() {
            continue;
        }
        let way = match ways.entry(client) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let way = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                way.connect(server).await.unwrap();
                backward.spawn(back(way.clone(), front.clone(), client, state.clone()));
                new.insert(way)
            }
        };
        let _ = way.send(&datagram[..length]).await;
    }
}

async fn back(way: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr, state: Arc<State>) {
    let mut datagram = vec![0; 65_536];
    let mut answers = state.answers;
    loop {
        let Ok(length) = way.recv(&mut datagram).await else { continue };
        if !state.is_cut() && answers > 0 {
            answers -= 1;
            let _ = front.send_to(&datagram[..length], client).await;
        }
    }
}
