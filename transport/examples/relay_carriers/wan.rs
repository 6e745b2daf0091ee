//! A path between a client and the server, as a UDP proxy: loss, a link with a queue, and a delay in
//! each direction.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::Failure;

/// One direction of the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LinkSettings {
    pub(crate) delay: Duration,
    /// Bytes a second.
    pub(crate) rate: f64,
    /// Bytes that wait for the link; further packets are dropped.
    pub(crate) queue: f64,
    /// Of a million packets.
    pub(crate) lost_per_million: u64,
}

/// Bytes of the headers of IP and UDP.
const HEADERS: usize = 28;

/// Forwards packets between one client, which sends to `socket`, and the server.
pub(crate) async fn run(
    socket: UdpSocket,
    server: SocketAddr,
    link: LinkSettings,
) -> Result<(), Failure> {
    let client_side = Arc::new(socket);
    let server_side = Arc::new(UdpSocket::bind("127.0.0.1:0").await?);
    server_side.connect(server).await?;
    let client = Mutex::new(None);
    tokio::try_join!(
        forward(&client_side, &server_side, link, 1, &client, true),
        forward(&server_side, &client_side, link, 2, &client, false),
    )?;
    Ok(())
}

async fn forward(
    from: &UdpSocket,
    to: &UdpSocket,
    link: LinkSettings,
    seed: u64,
    client: &Mutex<Option<SocketAddr>>,
    is_upward: bool,
) -> Result<(), Failure> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let receive = async {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut free_at = Instant::now();
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, address) = from.recv_from(&mut buffer).await?;
            if is_upward {
                *client.lock() = Some(address);
            }
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let now = Instant::now();
            free_at = free_at.max(now);
            let waiting = (free_at - now).as_secs_f64() * link.rate;
            if random % 1_000_000 < link.lost_per_million || waiting > link.queue {
                continue;
            }
            free_at += Duration::from_secs_f64((length + HEADERS) as f64 / link.rate);
            sender.send((free_at + link.delay, buffer[..length].to_vec()))?;
        }
    };
    let send = async {
        while let Some((time, packet)) = receiver.recv().await {
            if time > Instant::now() {
                sleep_until(time).await;
            }
            let address = *client.lock();
            let sent = match address {
                Some(client) if !is_upward => to.send_to(&packet, client).await,
                _ => to.send(&packet).await,
            };
            // A packet to a process that has ended is lost.
            drop(sent);
        }
        Ok::<_, Failure>(())
    };
    tokio::select! {
        result = receive => result,
        result = send => result,
    }
}
