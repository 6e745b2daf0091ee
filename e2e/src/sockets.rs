//! Where a process listens, as the system tells it: for a program whose log is not read.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

/// Which sockets are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What QUIC uses.
    Udp,
    /// What the metrics use.
    Tcp,
}

/// The IPv4 address that a process listens at; `None` where it does not (yet).
#[must_use]
pub fn listens_at(process: u32, protocol: Protocol) -> Option<SocketAddr> {
    let open: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    // A bound UDP socket, or a listening TCP one (include/net/tcp_states.h).
    let (table, wanted) = match protocol {
        Protocol::Udp => ("udp", "07"),
        Protocol::Tcp => ("tcp", "0A"),
    };
    let table = fs::read_to_string(format!("/proc/{process}/net/{table}")).ok()?;
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (columns.get(1)?, *columns.get(3)?, *columns.get(9)?);
        (state == wanted && open.iter().any(|socket| socket == inode)).then(|| parse(local))?
    })
}

/// `0100007F:1151`: the address as the machine's integer, then the port.
fn parse(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((Ipv4Addr::from(address.to_ne_bytes()), port).into())
}
