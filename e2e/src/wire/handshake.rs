//! The first datagrams of handshakes, for those that never go on.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use quinn::Endpoint;
use tokio::net::UdpSocket;

use super::client::Dial;
use crate::deadline::{PATIENCE, within};
use crate::server::Server;

/// What a client sends before it hears anything: a hello that takes more than one datagram.
const DATAGRAMS: usize = 2;

/// The first datagrams of so many connections to a server, which hears nothing of it: they are caught on
/// their way.
///
/// # Panics
/// Where no socket can be had.
pub async fn first_datagrams(server: &Server, connections: usize) -> Vec<Vec<Vec<u8>>> {
    let trap = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let mut caught: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let mut datagram = vec![0; 65_536];
    for number in 1..=connections {
        let dial = Dial::to(server).by(trap.local_addr().unwrap()).over(&endpoint);
        let (_, connecting) = dial.begin();
        let whole = |caught: &HashMap<_, Vec<_>>| {
            caught.values().filter(|datagrams| datagrams.len() == DATAGRAMS).count()
        };
        while whole(&caught) < number {
            let length = within(PATIENCE, "a datagram", trap.recv(&mut datagram)).await.unwrap();
            // A long header: a byte of flags, four of version, the length of the connection's id, the id.
            let id = &datagram[6..6 + usize::from(datagram[5])];
            let datagrams = caught.entry(id.to_vec()).or_default();
            if datagrams.len() < DATAGRAMS {
                datagrams.push(datagram[..length].to_vec());
            }
        }
        // Whoever gives up says so, to the trap.
        drop(connecting);
    }
    caught.into_values().collect()
}
