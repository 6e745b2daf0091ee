//! The sockets of the page: one port on 127.0.0.1 and on ::1, chosen by the system, and on no other address.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// How often a port is chosen. Another program may have the same port of the other address.
const MAX_ATTEMPTS: u32 = 32;

/// Sockets that listen at the same port.
#[derive(Debug)]
pub(crate) struct LoopbackSockets {
    /// The port.
    pub(crate) port: u16,
    /// One for each address that this system has.
    pub(crate) listeners: Vec<TcpListener>,
}

impl LoopbackSockets {
    /// Opens the sockets.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn open() -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_open() {
                Err(error) if is_taken(&error) && attempt < MAX_ATTEMPTS => attempt += 1,
                opened => return opened,
            }
        }
    }

    fn try_open() -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = first.local_addr()?.port();
        let mut listeners = vec![first];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Ok(second) => listeners.push(second),
            Err(error) if is_taken(&error) => return Err(error),
            // A system without IPv6.
            Err(_) => {}
        }
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        Ok(Self { port, listeners })
    }
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_are_on_loopback_with_one_port() {
        let sockets = LoopbackSockets::open().unwrap();
        assert!(sockets.port > 0);
        for listener in &sockets.listeners {
            let address = listener.local_addr().unwrap();
            assert!(address.ip().is_loopback(), "{address}");
            assert_eq!(address.port(), sockets.port);
        }
    }
}
