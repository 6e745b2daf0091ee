//! An emulated path between two hosts, as it is between continents or over radio: a rate, a delay, a queue, losses,
//! reordering and jitter in each direction, all of which can change while it runs. In user space, because not every
//! kernel has netem. Knows nothing of Quiver.
//!
//! Each host is a network namespace with a TUN interface; one thread moves the packets between them. The namespaces have
//! no names and exist as long as the path, so paths run in parallel, and a killed test leaves none behind. They need
//! root.

mod burst;
mod counters;
mod forwarder;
mod link;
mod settings;
mod text;

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

pub use counters::LinkCounters;
pub(crate) use forwarder::Forwarder;
pub use settings::{BurstLoss, Direction, Jitter, LinkSettings, PathSettings, Reordering};
pub use text::parse_duration;

use crate::namespace::{
    MissingFeature, Namespace, check_availability, create_tun, is_available,
    kill_abandoned_processes, kill_processes_in,
};

/// The server's address, of the network for measurements (RFC 2544).
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The network of both hosts.
const NETWORK: &str = "198.18.0.0/24";
/// The addresses that the client has in turn.
const CLIENT: [Ipv4Addr; 2] = [Ipv4Addr::new(198, 18, 0, 2), Ipv4Addr::new(198, 18, 0, 3)];
/// The name of the interface of each host.
const INTERFACE: &str = "path0";
/// The kernel holds so many packets until the emulator reads them. The default of 500 overflows while its thread waits
/// for a processor.
const TRANSMIT_QUEUE: u32 = 30_000;
/// The most bytes that TCP may hold for one connection: twice 1 Gbit/s for 200 ms. The defaults would limit it there.
const TCP_BUFFER: &str = "4096 131072 67108864";

/// An emulated path with its two hosts. A drop kills all programs on them, and removes them.
#[derive(Debug)]
pub struct PathEmulator {
    server: Namespace,
    client: Namespace,
    /// How often the client's address has changed.
    address_changes: AtomicUsize,
    settings: Mutex<PathSettings>,
    forwarder: Forwarder,
}

/// Whether paths can be emulated here; prints a note if not.
///
/// # Panics
/// If they cannot be emulated in continuous integration.
#[must_use]
pub fn path_emulator_available() -> bool {
    is_available("path emulator", &PathEmulator::available())
}

/// The same with programs that a test needs, each with its package.
///
/// # Panics
/// If paths cannot be emulated or a program is missing in continuous integration.
#[must_use]
pub fn path_tools_available(programs: &[(&str, &str)]) -> bool {
    is_available("path emulator", &check_availability(programs).map(|_| ()))
}

impl PathEmulator {
    /// Whether paths can be emulated here.
    ///
    /// # Errors
    /// What is missing.
    pub fn available() -> Result<(), MissingFeature> {
        check_availability(&[]).map(|_| ())
    }

    /// Connects two hosts by a path. Check [`path_emulator_available`] first. Also kills the programs of emulated
    /// networks whose test was killed.
    ///
    /// # Panics
    /// If it cannot be created, or a setting is out of its range.
    #[must_use]
    pub fn new(settings: PathSettings) -> Self {
        for direction in Direction::BOTH {
            check(settings.link(direction));
        }
        kill_abandoned_processes();
        let [client, server] =
            [CLIENT[0], SERVER].map(|address| create_host(address, settings.mtu));
        let forwarder = Forwarder::start([client.1, server.1], &settings);
        Self {
            server: server.0,
            client: client.0,
            address_changes: AtomicUsize::new(0),
            settings: Mutex::new(settings),
            forwarder,
        }
    }

    /// The namespace of the server's host.
    #[must_use]
    pub fn server(&self) -> &Namespace {
        &self.server
    }

    /// The namespace of the client's host.
    #[must_use]
    pub fn client(&self) -> &Namespace {
        &self.client
    }

    /// The server's address.
    #[must_use]
    pub fn server_address(&self) -> Ipv4Addr {
        SERVER
    }

    /// The client's address.
    #[must_use]
    pub fn client_address(&self) -> Ipv4Addr {
        CLIENT[self.address_changes.load(Ordering::SeqCst) % CLIENT.len()]
    }

    /// Gives the client another address instead, as after a change to another network. Packets to the old one are lost.
    ///
    /// # Panics
    /// If ip(8) fails.
    pub fn change_client_address(&self) -> Ipv4Addr {
        let old = self.client_address();
        self.address_changes.fetch_add(1, Ordering::SeqCst);
        let new = self.client_address();
        // The old one first: the kernel would remove a second address of the same network with it.
        self.client.ip(&format!(
            "addr del {old}/24 dev {INTERFACE}
            addr add {new}/24 dev {INTERFACE}"
        ));
        new
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> PathSettings {
        *self.settings.lock()
    }

    /// Changes the settings of one direction. They are in force when this returns, also for the packets that wait for the
    /// link.
    ///
    /// # Panics
    /// If a setting is out of its range.
    pub fn set(&self, direction: Direction, link: LinkSettings) {
        check(&link);
        let mut settings = self.settings.lock();
        match direction {
            Direction::ToServer => settings.to_server = link,
            Direction::ToClient => settings.to_client = link,
        }
        self.forwarder.change(direction, link);
    }

    /// Changes some settings of both directions, and leaves the others. Otherwise as [`set`](Self::set).
    ///
    /// # Panics
    /// If a setting is out of its range.
    pub fn change(&self, change: impl Fn(&mut LinkSettings)) {
        for direction in Direction::BOTH {
            let mut link = *self.settings().link(direction);
            change(&mut link);
            self.set(direction, link);
        }
    }

    /// Drops all packets from now on, or no longer.
    pub fn set_silence(&self, is_silent: bool) {
        self.change(|link| link.is_silent = is_silent);
    }

    /// What one direction has carried and dropped so far.
    ///
    /// # Panics
    /// If the emulator's thread has panicked.
    #[must_use]
    pub fn counters(&self, direction: Direction) -> LinkCounters {
        self.forwarder.counters(direction)
    }

    /// Forgets the largest values among the counters of one direction.
    ///
    /// # Panics
    /// If the emulator's thread has panicked.
    pub fn restart_peaks(&self, direction: Direction) {
        self.forwarder.restart_peaks(direction);
    }

    /// Packets that the kernel dropped before the emulator could read them. Any make a measurement void.
    ///
    /// # Panics
    /// If the interface is gone.
    #[must_use]
    pub fn unread(&self, direction: Direction) -> u64 {
        let from = match direction {
            Direction::ToServer => &self.client,
            Direction::ToClient => &self.server,
        };
        let table = from.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
        let table = table.expect("the counters of interfaces");
        let prefix = format!("{INTERFACE}:");
        let row = table.lines().find_map(|row| row.trim().strip_prefix(&prefix));
        // Eight columns of received packets, then bytes, packets, errors and drops of sent ones (proc_pid_net(5)).
        let dropped = row.and_then(|row| row.split_whitespace().nth(11));
        dropped.and_then(|dropped| dropped.parse().ok()).expect("a count of dropped packets")
    }

    /// Selects the congestion control of TCP connections between both hosts that start from now on, until the client gets
    /// another address. Returns whether the kernel has it.
    ///
    /// # Panics
    /// If ip(8) fails.
    pub fn set_tcp_congestion_control(&self, name: &str) -> bool {
        if !has_tcp_congestion_control(name) {
            // It may be a module that is not loaded; whether that helped is checked next.
            let _ = Command::new("modprobe").args(["--quiet", &format!("tcp_{name}")]).output();
            if !has_tcp_congestion_control(name) {
                return false;
            }
        }
        // By the route, because the parameter of a namespace takes only what unprivileged programs may use.
        for (host, address) in [(&self.client, self.client_address()), (&self.server, SERVER)] {
            let route = format!("{NETWORK} dev {INTERFACE} proto kernel scope link src {address}");
            host.ip(&format!("route replace {route} congctl {name}"));
        }
        true
    }

    /// A command of the shell on one of the hosts, with the addresses of both in `$SERVER` and `$CLIENT`.
    #[must_use]
    pub fn shell(&self, host: &Namespace, command: &str) -> Command {
        let mut shell = host.command("sh");
        shell.args(["-c", command]);
        shell.env("SERVER", SERVER.to_string()).env("CLIENT", self.client_address().to_string());
        shell
    }
}

impl Drop for PathEmulator {
    fn drop(&mut self) {
        kill_processes_in(&[self.server.inode(), self.client.inode()]);
    }
}

fn check(link: &LinkSettings) {
    link.check().unwrap_or_else(|error| panic!("{error}: {link:?}"));
}

/// A host with its interface.
fn create_host(address: Ipv4Addr, mtu: u32) -> (Namespace, std::os::fd::OwnedFd) {
    let namespace = Namespace::create().expect("a network namespace");
    let interface = namespace.run(|| create_tun(INTERFACE)).expect("a TUN interface");
    namespace.set_parameters(&[
        // Its packets of its own would be counted.
        ("ipv6/conf/all/disable_ipv6", "1"),
        ("ipv4/tcp_rmem", TCP_BUFFER),
        ("ipv4/tcp_wmem", TCP_BUFFER),
        // What one measurement has learned is not used in the next one.
        ("ipv4/tcp_no_metrics_save", "1"),
    ]);
    namespace.ip(&format!(
        "addr add {address}/24 dev {INTERFACE}
        link set {INTERFACE} mtu {mtu} txqueuelen {TRANSMIT_QUEUE} up"
    ));
    (namespace, interface)
}

/// Whether the kernel has loaded this congestion control of TCP.
fn has_tcp_congestion_control(name: &str) -> bool {
    let names = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    names.is_ok_and(|names| names.split_whitespace().any(|known| known == name))
}
