//! What a server says to packets of connections that it knows nothing of (RFC 9000, 10.3): the same after it
//! was killed and started again, never more than was said to it, and nothing that tells of its key.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quiver_e2e::random::Random;
use quiver_e2e::{Server, TIMEOUT, wait_within};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Bytes of a token, with which a reset ends.
const TOKEN: usize = 16;

/// The shortest packet that may be answered, for its answer must be shorter and look like a packet.
const SHORTEST: usize = 5 + TOKEN + 1;

/// When to ask again.
const AGAIN: Duration = Duration::from_millis(200);

async fn stranger(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// A packet with a short header (RFC 9000, 17.3.1) and the connection id of `id`; the rest is noise.
fn packet(id: u64, length: usize) -> Vec<u8> {
    let mut packet = Random::new(id + length as u64).bytes(length);
    packet[0] = 0x40 | (packet[0] & 0x3f);
    packet[1..9].copy_from_slice(&id.to_be_bytes());
    packet
}

async fn answer(socket: &UdpSocket) -> Vec<u8> {
    let mut answer = vec![0; 65_536];
    let length = wait_within(TIMEOUT, "a reset", socket.recv(&mut answer)).await.unwrap();
    answer.truncate(length);
    answer
}

/// The token that the server has for a connection id.
async fn token(server: &Server, id: u64) -> Vec<u8> {
    let socket = stranger(server.address()).await;
    // Not every packet is answered: there are only so many resets in a second.
    let asked = async {
        loop {
            socket.send(&packet(id, 1200)).await.unwrap();
            if let Ok(answer) = timeout(AGAIN, answer(&socket)).await {
                return answer[answer.len() - TOKEN..].to_vec();
            }
        }
    };
    wait_within(TIMEOUT, "a token", asked).await
}

#[tokio::test]
async fn an_answer_is_shorter_than_what_it_answers_or_there_is_none() {
    let server = Server::start().await;
    let socket = stranger(server.address()).await;
    for length in [9, SHORTEST - 1, SHORTEST] {
        socket.send(&packet(1, length)).await.unwrap();
    }
    // They are answered in their order: of these the last alone.
    assert_eq!(answer(&socket).await.len(), SHORTEST - 1);
}

#[tokio::test]
async fn a_crowd_of_them_is_answered_now_and_then() {
    let server = Server::start().await;
    let socket = stranger(server.address()).await;
    for id in 0..500 {
        socket.send(&packet(id, 64)).await.unwrap();
    }
    // Whoever is welcome is served meanwhile.
    let ron = quiver_e2e::Home::new();
    ron.quiver_as(&server, "Ron", ["message", "Hello"]).run().await.expect(0);
    let mut answers = 0;
    while socket.try_recv(&mut [0; 64]).is_ok() {
        answers += 1;
    }
    assert!((1..250).contains(&answers), "{answers}");
}

#[tokio::test]
async fn a_connection_that_an_earlier_run_had_is_known_to_be_gone() {
    let mut server = Server::start().await;
    let before = token(&server, 7).await;
    assert_ne!(before, token(&server, 8).await);
    server.restart().await;
    assert_eq!(before, token(&server, 7).await);
    // Another server says something else.
    assert_ne!(before, token(&Server::start().await, 7).await);
}
