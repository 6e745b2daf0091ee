//! The address a process listens at, from /proc: for a program whose log is not read.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

/// The kind of socket to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// For QUIC.
    Udp,
    /// For the metrics page.
    Tcp,
}

/// The IPv4 address that a process listens at; `None` if it does not listen (yet).
#[must_use]
pub fn listen_address(process: u32, kind: SocketKind) -> Option<SocketAddr> {
    let open_sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    // A bound UDP socket, or a listening TCP one (include/net/tcp_states.h).
    let (table, wanted) = match kind {
        SocketKind::Udp => ("udp", "07"),
        SocketKind::Tcp => ("tcp", "0A"),
    };
    let table = fs::read_to_string(format!("/proc/{process}/net/{table}")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, *columns.get(3)?, *columns.get(9)?);
        (state == wanted && open_sockets.iter().any(|socket| socket == inode))
            .then(|| parse(local))?
    })
}

/// Parses `0100007F:1151`: the address as an integer in the machine's byte order, then the port.
fn parse(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((Ipv4Addr::from(address.to_ne_bytes()), port).into())
}
