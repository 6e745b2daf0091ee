//! The first datagrams of handshakes, for handshakes that are never completed.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use quinn::Endpoint;
use tokio::net::UdpSocket;

use super::client::Dialer;
use crate::deadline::{TIMEOUT, wait_within};
use crate::server::Server;

/// Datagrams a client sends before it receives any: a TLS ClientHello that takes more than one datagram.
const DATAGRAMS: usize = 2;

/// The first datagrams of some connections to a server. They are captured and never reach the server.
///
/// # Panics
/// If no socket can be bound.
pub async fn first_datagrams(server: &Server, connections: usize) -> Vec<Vec<Vec<u8>>> {
    let capture = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut captured: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    for number in 1..=connections {
        let dialer = Dialer::new(server).via(capture.local_addr().unwrap()).endpoint(&endpoint);
        let (_, connecting) = dialer.start_handshake();
        let complete = |captured: &HashMap<_, Vec<_>>| {
            captured.values().filter(|datagrams| datagrams.len() == DATAGRAMS).count()
        };
        while complete(&captured) < number {
            let length =
                wait_within(TIMEOUT, "a datagram", capture.recv(&mut datagram)).await.unwrap();
            // A long header (RFC 9000, section 17.2): a byte of flags, four of version, the length of the
            // destination connection id, the id.
            let id = &datagram[6..6 + usize::from(datagram[5])];
            let datagrams = captured.entry(id.to_vec()).or_default();
            if datagrams.len() < DATAGRAMS {
                datagrams.push(datagram[..length].to_vec());
            }
        }
        // A dropped handshake sends a close, which the capturing socket receives.
        drop(connecting);
    }
    captured.into_values().collect()
}
