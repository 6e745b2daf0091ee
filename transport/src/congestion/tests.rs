use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quiver_protocol::CloseCode;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::Protocol;
use crate::endpoint::Endpoint;
use crate::identity::{Identity, Validity};
use crate::trust::ServerVerifier;
use crate::{Ended, close};

/// A server and a client, connected by a way on which, once told, nothing the client says arrives.
struct Pair {
    server: (Endpoint, Connection),
    client: (Endpoint, Connection),
    is_deaf: Arc<AtomicBool>,
    _way: JoinSet<()>,
}

async fn pair() -> Pair {
    let validity = Validity::days(chrono::Utc::now(), 1);
    let identity = Identity::create("a server", &[], validity).unwrap();
    let listener =
        Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), &identity, &[Protocol::QUIVER_1])
            .unwrap();
    let (mut way, is_deaf) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = front.local_addr().unwrap();
    way.spawn(relay(front, listener.local_addr().unwrap(), is_deaf.clone()));
    let dialler = Endpoint::dialler().unwrap();
    let verifier = ServerVerifier::new(Some(identity.fingerprint()));
    let accept = async {
        let handshake = listener.admit(listener.accept().await.unwrap()).unwrap();
        handshake.complete().await.unwrap().promote()
    };
    let (server, client) =
        tokio::join!(accept, dialler.dial(address, Protocol::QUIVER_1, None, verifier));
    let (server, client) = ((listener, (*server).clone()), (dialler, client.unwrap()));
    Pair { server, client, is_deaf, _way: way }
}

async fn relay(front: UdpSocket, server: SocketAddr, is_deaf: Arc<AtomicBool>) {
    let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (mut there, mut here, mut client) = (vec![0; 65_536], vec![0; 65_536], None);
    loop {
        tokio::select! {
            Ok((length, address)) = front.recv_from(&mut there) => {
                client = Some(address);
                if !is_deaf.load(Ordering::Relaxed) {
                    let _ = back.send_to(&there[..length], server).await;
                }
            }
            Ok(length) = back.recv(&mut here) => {
                let _ = front.send_to(&here[..length], client.unwrap()).await;
            }
        }
    }
}

/// Sends until no more leaves, for nothing is acknowledged.
async fn congest(pair: &Pair) {
    pair.is_deaf.store(true, Ordering::Relaxed);
    let (mut send, _recv) = pair.server.1.open_bi().await.unwrap();
    while timeout(Duration::from_millis(300), send.write_all(&[0; 65_536])).await.is_ok() {}
    assert!(pair.server.1.stats().path.cwnd < 512 * 1024);
}

/// What the client hears, long before it would notice silence.
async fn heard(pair: &Pair) -> Ended {
    timeout(Duration::from_secs(6), pair.client.1.closed()).await.unwrap().into()
}

#[tokio::test]
async fn a_full_congestion_window_does_not_hold_back_the_end_of_a_connection() {
    let pair = pair().await;
    congest(&pair).await;
    close(&pair.server.1, CloseCode::ShuttingDown);
    assert_eq!(heard(&pair).await, Ended::Closed(CloseCode::ShuttingDown));
}

#[tokio::test]
async fn nor_does_it_hold_back_the_end_of_all_connections() {
    let pair = pair().await;
    congest(&pair).await;
    pair.server.0.close(CloseCode::ShuttingDown);
    pair.server.0.wait_idle(Duration::from_secs(6)).await;
    assert_eq!(heard(&pair).await, Ended::Closed(CloseCode::ShuttingDown));
}
