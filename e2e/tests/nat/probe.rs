//! UDP sockets on hosts of a lab, with which the tests of it send single datagrams.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use quiver_e2e::TIMEOUT;
use quiver_e2e::nat_lab::{ClientNetwork, Gateway, Host, Lab, Side, Topology};

/// A UDP socket on a host.
#[derive(Debug)]
pub(crate) struct Probe {
    socket: UdpSocket,
    host: IpAddr,
}

impl Probe {
    /// Binds a port that the system chooses.
    pub(crate) fn bind(host: &Host) -> Self {
        Self::bind_port(host, 0)
    }

    /// Binds a port.
    pub(crate) fn bind_port(host: &Host, port: u16) -> Self {
        let any = match host.address() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = host.run(|| UdpSocket::bind((any, port)).unwrap());
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self { socket, host: host.address() }
    }

    /// Its address on its own host.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.socket.local_addr().unwrap().port()
    }

    pub(crate) fn send(&self, destination: SocketAddr, content: &[u8]) {
        self.socket.send_to(content, destination).unwrap();
    }

    /// The next datagram and its source.
    pub(crate) fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut content = vec![0; 65_536];
        loop {
            match self.socket.recv_from(&mut content) {
                Ok((length, source)) => {
                    content.truncate(length);
                    return (content, source);
                }
                // A signal ends a system call that has a timeout.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("no datagram arrives: {error}"),
            }
        }
    }

    /// Whether no datagram waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let result = self.socket.peek_from(&mut [0]);
        self.socket.set_nonblocking(false).unwrap();
        result.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// The address from which `other` receives this socket's datagrams, which it must be able to.
    pub(crate) fn mapping(&self, other: &Self) -> SocketAddr {
        self.send(other.address(), b"mapping");
        let (content, source) = other.receive();
        assert_eq!(content, b"mapping");
        source
    }

    /// Whether a datagram from here to `destination` arrives at `receiver`. The `known` socket must be able to reach
    /// `receiver` at `known_destination`: what it sends afterwards is the end of the wait.
    pub(crate) fn reaches(
        &self,
        destination: SocketAddr,
        receiver: &Self,
        (known, known_destination): (&Self, SocketAddr),
    ) -> bool {
        self.send(destination, b"test");
        known.send(known_destination, b"end");
        let arrives = receiver.receive().0 == b"test";
        if arrives {
            assert_eq!(receiver.receive().0, b"end");
        }
        assert!(receiver.is_empty());
        arrives
    }
}

/// A lab in which client a is behind a gateway, and client b has a public address.
pub(crate) fn lab_behind(gateway: Gateway) -> Lab {
    lab_of(ClientNetwork::behind(gateway), ClientNetwork::behind(Gateway::Public))
}

/// A lab with two networks.
pub(crate) fn lab_of(a: ClientNetwork, b: ClientNetwork) -> Lab {
    Lab::new(Topology::separate(a, b))
}

/// Sockets of client a, the server and the third host.
pub(crate) fn bind_probes(lab: &Lab) -> (Probe, Probe, Probe) {
    (Probe::bind(lab.client(Side::A)), Probe::bind(lab.server()), Probe::bind(lab.third_host()))
}
