//! A machine of a lab: programs, sockets, rules and captures in its network namespace.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::process::Command;

use super::capture::Capture;
use crate::namespace::Namespace;

/// A machine of a lab. Clones refer to the same one, but their addresses do not change later.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    pub(crate) namespace: Namespace,
    pub(crate) addresses: Vec<IpAddr>,
}

impl Host {
    pub(crate) fn create(name: impl Into<String>, addresses: Vec<IpAddr>) -> std::io::Result<Self> {
        Ok(Self { name: name.into(), namespace: Namespace::create()?, addresses })
    }

    /// Its name, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address that the other hosts of its network use; the IPv4 address if it has both.
    ///
    /// # Panics
    /// If it has none, as the router of the public network.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        *self.addresses.first().unwrap_or_else(|| panic!("{} has no address", self.name))
    }

    /// Its addresses that the other hosts of its network use, IPv4 first. Those of useless interfaces are not
    /// among them.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// A command that runs `program` on this host, as the same process. The lab kills it when it is dropped.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// The same command, run on this host.
    #[must_use]
    pub fn command_inside(&self, command: &Command) -> Command {
        self.namespace.command_inside(command)
    }

    /// Runs `job` on a thread of this process that is on this host. Sockets that it opens stay on the host.
    ///
    /// # Panics
    /// If `job` does.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        self.namespace.run(job)
    }

    /// Adds rules of nft(8), for example to lose some packets.
    ///
    /// # Panics
    /// If nft refuses them.
    pub fn add_rules(&self, rules: &str) {
        let result = self.namespace.nft(rules);
        result.unwrap_or_else(|error| panic!("nft on {}: {error}\n{rules}", self.name));
    }

    /// Writes a kernel parameter below `/proc/sys/net`, such as `netfilter/nf_conntrack_udp_timeout`.
    ///
    /// # Panics
    /// If the kernel does not have it, or refuses the value.
    pub fn set_parameter(&self, name: &str, value: &str) {
        self.namespace.set_parameters(&[(name, value)]);
    }

    /// Counts the packets at an interface from now on, and searches them for plaintext. Clients, server and third
    /// host have `eth0`; gateways and carriers `lan` and `wan`; the internet `server`, `third`, `net_a` and `net_b`.
    ///
    /// # Panics
    /// If there is no such interface, or if a plaintext is empty.
    #[must_use]
    pub fn capture(&self, interface: &str, plaintexts: &[&[u8]]) -> Capture {
        Capture::start(&self.namespace, interface, plaintexts)
    }
}
