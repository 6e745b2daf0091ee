//! A relay between one client and a server that delays each datagram by 10 ms.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const DELAY: Duration = Duration::from_millis(10);

/// More datagrams than this wait in one direction only if the machine is too slow; they are dropped.
const QUEUE: usize = 16 * 1024;

pub(super) struct DelayRelay {
    pub(super) address: SocketAddr,
    pub(super) drops: Arc<Drops>,
    _task: JoinSet<()>,
}

/// Which datagrams are dropped from now on.
#[derive(Default)]
pub(super) struct Drops {
    pub(super) from_client: AtomicBool,
    pub(super) from_server: AtomicBool,
}

impl DelayRelay {
    pub(super) async fn start(server: SocketAddr) -> Self {
        let client_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = client_side.local_addr().unwrap();
        let drops = Arc::<Drops>::default();
        let mut task = JoinSet::new();
        task.spawn(forward(client_side, server, drops.clone()));
        Self { address, drops, _task: task }
    }
}

type Queue = VecDeque<(Instant, Vec<u8>)>;

async fn wait_for_first(queue: &Queue) {
    match queue.front() {
        Some((due, _)) => sleep_until(*due).await,
        None => std::future::pending().await,
    }
}

async fn forward(client_side: UdpSocket, server: SocketAddr, drops: Arc<Drops>) {
    let server_side = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut to_server, mut to_client) = (Queue::new(), Queue::new());
    let mut client = None;
    loop {
        tokio::select! {
            Ok((length, address)) = client_side.recv_from(&mut from_client) => {
                client = Some(address);
                if !drops.from_client.load(Ordering::Relaxed) && to_server.len() < QUEUE {
                    to_server.push_back((Instant::now() + DELAY, from_client[..length].to_vec()));
                }
            }
            Ok(length) = server_side.recv(&mut from_server) => {
                if !drops.from_server.load(Ordering::Relaxed) && to_client.len() < QUEUE {
                    to_client.push_back((Instant::now() + DELAY, from_server[..length].to_vec()));
                }
            }
            () = wait_for_first(&to_server) => {
                let (_, datagram) = to_server.pop_front().unwrap();
                let _ = server_side.send_to(&datagram, server).await;
            }
            () = wait_for_first(&to_client) => {
                let (_, datagram) = to_client.pop_front().unwrap();
                let _ = client_side.send_to(&datagram, client.unwrap()).await;
            }
        }
    }
}
