//! Builds the hosts of a lab and the connections between them. Knows nothing of tests; changes while a lab runs
//! are in the lab itself.
//!
//! ```text
//! client a -- [lan] gateway a [wan] -- [lan] carrier a [wan] -+
//! client b -- [lan] gateway b [wan] --------------------------+- internet -+- server
//!                                                                          +- third host
//! ```

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::{
    AddressPlan, CABLE, CARRIER_CLIENT, CARRIER_LAN, GATEWAY_LINK_LOCAL, NEXT_HOP, SERVER,
    THIRD_HOST, of_version,
};
use super::emulated_connection::EmulatedConnection;
use super::host::Host;
use super::rules;
use super::topology::{ClientNetwork, Gateway, Side, Topology};
use crate::namespace::Namespace;

/// The network of one client, or of both if they share it.
#[derive(Debug)]
pub(crate) struct AccessNetwork {
    /// The NAT or router of the client.
    pub(crate) gateway: Host,
    /// The NAT of its provider.
    pub(crate) carrier: Option<Host>,
    /// The connection to the public network, if it is emulated.
    pub(crate) emulated: Option<EmulatedConnection>,
}

impl AccessNetwork {
    /// The host that is connected to the public network.
    pub(crate) fn outermost(&self) -> &Host {
        self.carrier.as_ref().unwrap_or(&self.gateway)
    }
}

/// The public network with the server and the third host: internet, server, third host.
pub(crate) fn create_public_hosts(topology: Topology) -> io::Result<(Host, Host, Host)> {
    let internet = create_host("internet", topology, Vec::new())?;
    make_router(&internet.namespace);
    let server = create_host("server", topology, of_version(topology, SERVER))?;
    let third = create_host("third", topology, of_version(topology, THIRD_HOST))?;
    for host in [&server, &third] {
        connect(&internet.namespace, host.name(), &host.namespace, "eth0", 1500);
        let mut lines = String::new();
        for address in host.addresses() {
            let length = if address.is_ipv4() { 32 } else { 128 };
            add(&mut lines, &format!("addr add {address}/{length} dev eth0"));
        }
        add_default_route(&mut lines, topology, "eth0");
        host.namespace.ip(&lines);
        let mut lines = String::new();
        add_next_hop(&mut lines, topology, host.name());
        for address in host.addresses() {
            add(&mut lines, &format!("route add {address} dev {}", host.name()));
        }
        internet.namespace.ip(&lines);
    }
    Ok((internet, server, third))
}

/// The network of a client, connected to the public one, without the client.
pub(crate) fn create_access_network(
    topology: Topology,
    side: Side,
    internet: &Namespace,
) -> io::Result<AccessNetwork> {
    let (network, plan) = (topology.network(side), AddressPlan::new(topology, side));
    let interface = side.interface();
    let name = format!("gateway {}", side.letter());
    let gateway = create_host(name, topology, of_version(topology, plan.lan()))?;
    make_router(&gateway.namespace);
    gateway.namespace.ip("link add lan type bridge\nlink set lan up");
    let (lan, prefix) = (plan.lan(), plan.lan_prefix());
    gateway.namespace.ip(&address_lines(topology, lan, prefix, "lan"));
    let carrier = match network.gateway {
        Gateway::CarrierGrade => Some(create_carrier(topology, network, &gateway, side)?),
        _ => None,
    };
    let outermost = carrier.as_ref().unwrap_or(&gateway);
    let ends = [(internet, interface), (&outermost.namespace, "wan")];
    let emulated = match network.link {
        Some(link) => {
            let emulated = EmulatedConnection::create(ends, link, network.mtu);
            for (namespace, name) in ends {
                // The default queue of 500 packets overflows while a thread waits for a processor.
                let settings = format!("mtu {} txqueuelen 10000 up", network.mtu);
                namespace.ip(&format!("link set {name} {settings}"));
            }
            Some(emulated)
        }
        None => {
            connect(internet, interface, &outermost.namespace, "wan", network.mtu);
            None
        }
    };
    let mut lines = String::new();
    if topology.ip_version.has_v6() {
        add(&mut lines, &format!("addr add {GATEWAY_LINK_LOCAL}/64 dev wan nodad"));
    }
    if topology.ip_version.has_v4() {
        add(&mut lines, &format!("addr add {}/32 dev wan", plan.wan(0)));
        if network.gateway.translates() {
            // Otherwise packets to an address that the gateway does not have would be sent back.
            add(&mut lines, &format!("route add blackhole {}", plan.public_networks().0));
        }
    }
    add_default_route(&mut lines, topology, "wan");
    outermost.namespace.ip(&lines);
    let mut lines = String::new();
    add_next_hop(&mut lines, topology, interface);
    internet.ip(&lines);
    route_to(internet, topology, side, 0);
    let access = AccessNetwork { gateway, carrier, emulated };
    load_rules(topology, side, &access, 0);
    Ok(access)
}

/// Loads the rules of the gateways of a network; its public address is that of `generation`.
pub(crate) fn load_rules(topology: Topology, side: Side, access: &AccessNetwork, generation: u8) {
    let (network, plan) = (topology.network(side), AddressPlan::new(topology, side));
    let kind = match network.gateway {
        Gateway::CarrierGrade => Gateway::PortRestricted,
        other => other,
    };
    let public = plan.wan(generation);
    let rules = rules::gateway(kind, network.wan_input, public, topology.hairpin());
    access.gateway.add_rules(&rules);
    if let Some(carrier) = &access.carrier {
        carrier.add_rules(&rules);
    }
}

/// Lets the public network route a client's public addresses to the gateway's address of `generation`.
pub(crate) fn route_to(internet: &Namespace, topology: Topology, side: Side, generation: u8) {
    let plan = AddressPlan::new(topology, side);
    let (v4, v6) = plan.public_networks();
    let interface = side.interface();
    let mut lines = String::new();
    if topology.ip_version.has_v4() {
        let gateway = plan.wan(generation);
        add(&mut lines, &format!("route replace {v4} via {gateway} dev {interface} onlink"));
    }
    if topology.ip_version.has_v6() {
        add(&mut lines, &format!("route replace {v6} via {GATEWAY_LINK_LOCAL} dev {interface}"));
    }
    internet.ip(&lines);
}

/// A client, connected to its gateway.
pub(crate) fn create_client(topology: Topology, side: Side, gateway: &Host) -> io::Result<Host> {
    let (network, plan) = (topology.network(side), AddressPlan::new(topology, side));
    let (letter, interface) = (side.letter(), side.interface());
    let addresses = of_version(topology, plan.local(0));
    let host = create_host(format!("client {letter}"), topology, addresses)?;
    connect(&gateway.namespace, interface, &host.namespace, "eth0", 1500);
    gateway.namespace.ip(&format!("link set {interface} master lan"));
    host.namespace.ip(&local_address_lines(topology, side, 0));
    for number in 0..network.useless_interfaces {
        let name = format!("useless{number}");
        connect(
            &gateway.namespace,
            &format!("useless_{letter}{number}"),
            &host.namespace,
            &name,
            1500,
        );
        host.namespace.ip(&address_lines(topology, plan.useless(number), (24, 64), &name));
    }
    Ok(host)
}

/// A cable between the clients, with an address for each.
pub(crate) fn connect_clients([a, b]: &[Host; 2]) {
    let name = "cable";
    connect(&a.namespace, name, &b.namespace, name, 1500);
    for (host, address) in [(a, CABLE.0), (b, CABLE.1)] {
        host.namespace.ip(&format!("addr add {address}/24 dev {name}"));
    }
}

/// Lines of ip(8) that give a client its addresses of `generation`, and its default route.
pub(crate) fn local_address_lines(topology: Topology, side: Side, generation: u8) -> String {
    let plan = AddressPlan::new(topology, side);
    let mut lines = address_lines(topology, plan.local(generation), plan.lan_prefix(), "eth0");
    for gateway in of_version(topology, plan.lan()) {
        add(&mut lines, &format!("route replace default via {gateway} dev eth0"));
    }
    lines
}

/// The NAT of a client's provider, connected to the client's gateway.
fn create_carrier(
    topology: Topology,
    network: ClientNetwork,
    gateway: &Host,
    side: Side,
) -> io::Result<Host> {
    let addresses = vec![IpAddr::V4(CARRIER_LAN)];
    let carrier = create_host(format!("carrier {}", side.letter()), topology, addresses)?;
    make_router(&carrier.namespace);
    connect(&carrier.namespace, "lan", &gateway.namespace, "wan", network.mtu);
    carrier.namespace.ip(&format!("addr add {CARRIER_LAN}/24 dev lan"));
    gateway.namespace.ip(&format!(
        "addr add {CARRIER_CLIENT}/24 dev wan\nroute add default via {CARRIER_LAN} dev wan"
    ));
    Ok(carrier)
}

fn create_host(
    name: impl Into<String>,
    topology: Topology,
    addresses: Vec<IpAddr>,
) -> io::Result<Host> {
    let host = Host::create(name, addresses)?;
    let disable_v6 = if topology.ip_version.has_v6() { "0" } else { "1" };
    host.namespace.set_parameters(&[
        ("ipv6/conf/all/disable_ipv6", disable_v6),
        ("ipv6/conf/default/disable_ipv6", disable_v6),
        // Detection of duplicate addresses would take a second.
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv4/conf/all/rp_filter", "0"),
        ("ipv4/conf/default/rp_filter", "0"),
        // Each packet that cannot be delivered is reported.
        ("ipv4/icmp_ratelimit", "0"),
        ("ipv6/icmp/ratelimit", "0"),
    ]);
    Ok(host)
}

fn make_router(namespace: &Namespace) {
    namespace.set_parameters(&[
        ("ipv4/ip_forward", "1"),
        ("ipv6/conf/all/forwarding", "1"),
        // A router would tell a client to send to another one directly.
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
    ]);
}

/// Connects two namespaces by a veth pair. Segments are cut by the sender, so that captures count packets as
/// they would be on a cable.
fn connect(upper: &Namespace, upper_name: &str, lower: &Namespace, lower_name: &str, mtu: u32) {
    let path = lower.path();
    upper.ip(&format!(
        "link add {upper_name} mtu {mtu} type veth peer name {lower_name} mtu {mtu} netns {path}
        link set {upper_name} gso_max_segs 1 up"
    ));
    lower.ip(&format!("link set {lower_name} gso_max_segs 1 up"));
}

fn address_lines(
    topology: Topology,
    (v4, v6): (Ipv4Addr, Ipv6Addr),
    (length_v4, length_v6): (u8, u8),
    interface: &str,
) -> String {
    let mut lines = String::new();
    if topology.ip_version.has_v4() {
        add(&mut lines, &format!("addr add {v4}/{length_v4} dev {interface}"));
    }
    if topology.ip_version.has_v6() {
        add(&mut lines, &format!("addr add {v6}/{length_v6} dev {interface} nodad"));
    }
    lines
}

fn add_default_route(lines: &mut String, topology: Topology, interface: &str) {
    let (v4, v6) = NEXT_HOP;
    if topology.ip_version.has_v4() {
        add(lines, &format!("route add default via {v4} dev {interface} onlink"));
    }
    if topology.ip_version.has_v6() {
        add(lines, &format!("route add default via {v6} dev {interface}"));
    }
}

fn add_next_hop(lines: &mut String, topology: Topology, interface: &str) {
    let (v4, v6) = NEXT_HOP;
    if topology.ip_version.has_v4() {
        add(lines, &format!("addr add {v4}/32 dev {interface}"));
    }
    if topology.ip_version.has_v6() {
        add(lines, &format!("addr add {v6}/64 dev {interface} nodad"));
    }
}

fn add(lines: &mut String, line: &str) {
    writeln!(lines, "{line}").expect("a string takes text");
}
