//! Learns early that no server runs at an address. The answer of its machine (ICMP) reaches only a connected socket, which
//! the client's own is not.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;
use tracing::debug;

/// A server that answers is connected by then, and gets no probe.
const FIRST_DELAY: Duration = Duration::from_millis(200);

/// The delay between two probes: either of a probe and its answer may be lost.
const INTERVAL: Duration = Duration::from_millis(250);

/// Too short for a packet, without QUIC's fixed bit (RFC 9000, 17.2): a server drops it.
const PROBE: [u8; 1] = [0];

/// Waits until the system reports that packets to the address reach no program, and returns its reason. Does not return
/// otherwise.
pub(super) async fn wait_until_refused(address: SocketAddr) -> io::ErrorKind {
    sleep(FIRST_DELAY).await;
    match probe(address).await {
        Err(error) if is_final(error.kind()) => error.kind(),
        outcome => {
            debug!(%address, ?outcome, "cannot probe the port");
            std::future::pending().await
        }
    }
}

/// Sends probes until the system reports an error.
async fn probe(address: SocketAddr) -> io::Result<()> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect(address).await?;
    let mut answer = [0; 1];
    loop {
        socket.send(&PROBE).await?;
        tokio::select! {
            // An answer is of another program than a server, and says nothing.
            received = socket.recv(&mut answer) => received.map(drop)?,
            () = sleep(INTERVAL) => {}
        }
    }
}

/// Whether a later packet would fare no better.
fn is_final(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_reported_and_a_silent_one_is_not() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let silent = timeout(Duration::from_millis(600), wait_until_refused(address)).await;
        assert!(silent.is_err(), "{silent:?}");
        drop(socket);
        let closed = timeout(Duration::from_secs(5), wait_until_refused(address)).await;
        assert_eq!(closed.unwrap(), io::ErrorKind::ConnectionRefused);
    }
}
