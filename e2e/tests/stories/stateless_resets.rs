//! Stateless resets, the server's response to packets of unknown connections (RFC 9000, 10.3): they
//! are the same after a restart, always shorter than the packet, and limited in rate.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quiver_e2e::random::Random;
use quiver_e2e::{Server, TIMEOUT, wait_within};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Bytes of the token at the end of a reset.
const TOKEN_LENGTH: usize = 16;

/// The shortest packet that gets a reset: the reset must be shorter and look like a packet.
const MIN_PACKET: usize = 5 + TOKEN_LENGTH + 1;

/// The time to wait for a reset before sending another packet.
const RETRY_INTERVAL: Duration = Duration::from_millis(200);

/// A socket that sends packets of no known connection to the server.
async fn connect_socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// A packet with a short header (RFC 9000, 17.3.1) and the connection id `id`; the rest is random.
fn packet(id: u64, length: usize) -> Vec<u8> {
    let mut packet = Random::new(id + length as u64).bytes(length);
    packet[0] = 0x40 | (packet[0] & 0x3f);
    packet[1..9].copy_from_slice(&id.to_be_bytes());
    packet
}

async fn receive_reset(socket: &UdpSocket) -> Vec<u8> {
    let mut reset = vec![0; 65_536];
    let length = wait_within(TIMEOUT, "a reset", socket.recv(&mut reset)).await.unwrap();
    reset.truncate(length);
    reset
}

/// The server's reset token for a connection id.
async fn reset_token(server: &Server, id: u64) -> Vec<u8> {
    let socket = connect_socket(server.address()).await;
    // The server limits the rate of resets, so that some packets get none.
    let token = async {
        loop {
            socket.send(&packet(id, 1200)).await.unwrap();
            if let Ok(reset) = timeout(RETRY_INTERVAL, receive_reset(&socket)).await {
                return reset[reset.len() - TOKEN_LENGTH..].to_vec();
            }
        }
    };
    wait_within(TIMEOUT, "a token", token).await
}

#[tokio::test]
async fn a_reset_is_shorter_than_its_packet_and_short_packets_get_none() {
    let server = Server::start().await;
    let socket = connect_socket(server.address()).await;
    for length in [9, MIN_PACKET - 1, MIN_PACKET] {
        socket.send(&packet(1, length)).await.unwrap();
    }
    // The server processes them in order: the first reset is for the last packet.
    assert_eq!(receive_reset(&socket).await.len(), MIN_PACKET - 1);
}

#[tokio::test]
async fn the_server_limits_the_rate_of_resets_and_keeps_serving() {
    let server = Server::start().await;
    let socket = connect_socket(server.address()).await;
    for id in 0..500 {
        socket.send(&packet(id, 64)).await.unwrap();
    }
    // The server serves a client meanwhile.
    let ron = quiver_e2e::Home::new();
    ron.quiver_as(&server, "Ron", ["message", "Hello"]).run().await.expect(0);
    let mut resets = 0;
    while socket.try_recv(&mut [0; 64]).is_ok() {
        resets += 1;
    }
    assert!((1..250).contains(&resets), "{resets}");
}

#[tokio::test]
async fn a_restarted_server_sends_the_same_reset_tokens() {
    let mut server = Server::start().await;
    let before = reset_token(&server, 7).await;
    assert_ne!(before, reset_token(&server, 8).await);
    server.restart().await;
    assert_eq!(before, reset_token(&server, 7).await);
    // Another server has other tokens.
    assert_ne!(before, reset_token(&Server::start().await, 7).await);
}
