//! A network like an Ethernet, in this process's network namespace.

use std::net::Ipv4Addr;
use std::process::Command;

/// The path MTU that quinn's discovery finds on an Ethernet with IPv6, in bytes of UDP payload.
pub(crate) const PATH_MTU: u16 = 1452;

/// The headers of IPv4 and UDP, which an interface's MTU counts too.
const HEADERS: u16 = 20 + 8;

/// An address outside loopback's range, so that both ends behave as on a network, and the MTU of an Ethernet. Removed on
/// drop.
pub(crate) struct TestNetwork {
    pub(crate) address: Ipv4Addr,
}

impl TestNetwork {
    /// Why a benchmark without a network namespace of its own has no such network.
    pub(crate) const UNAVAILABLE: &str = "the loopback MTU can only be changed in a network namespace, which requires \
        root, unshare and ip";

    /// An address reserved for documentation (RFC 5737).
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

    pub(crate) fn create() -> Self {
        let network = Self { address: Self::ADDRESS };
        run_ip(&format!("address add {}/32 dev lo", Self::ADDRESS));
        run_ip(&format!("link set dev lo mtu {}", PATH_MTU + HEADERS));
        network
    }
}

impl Drop for TestNetwork {
    fn drop(&mut self) {
        run_ip(&format!("address del {}/32 dev lo", self.address));
        // The default MTU of loopback.
        run_ip("link set dev lo mtu 65536");
    }
}

fn run_ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}: failed");
}
