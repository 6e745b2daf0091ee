//! What paths through a lab carry: sizes of datagrams, versions of IP, and interfaces that lead to no other host.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use quiver_e2e::nat_lab::{
    ClientNetwork, Gateway, Host, IpVersion, Lab, Side, Topology, lab_available,
};
use quiver_e2e::process::run;

use crate::probe::{Probe, bind_probes, lab_behind, lab_of};

/// The addresses of a host, as ip(8) prints them.
fn list_addresses(host: &Host, version: &str) -> Vec<String> {
    let output = run(host.command("ip").args([version, "-o", "addr"]), b"");
    output.expect(0).stdout.lines().map(ToOwned::to_owned).collect()
}

/// Sends datagrams around the limit of a client's path of 1280 bytes to the server.
fn check_small_mtu(ip_version: IpVersion, headers: usize, report_protocol: u8, delayed: bool) {
    let small = ClientNetwork::behind(Gateway::Firewall).with_mtu(1280);
    let small = if delayed { small.with_delay(Duration::from_millis(1)) } else { small };
    let topology = Topology::separate(small, ClientNetwork::behind(Gateway::Public));
    let lab = Lab::new(topology.with_ip_version(ip_version));
    let (client, server, _) = bind_probes(&lab);
    let capture = lab.client(Side::A).capture("eth0", &[]);
    client.send(server.address(), &vec![1; 1280 - headers]);
    assert_eq!(server.receive().0.len(), 1280 - headers);
    // Fits into the client's own network, and may not be divided on the way.
    client.send(server.address(), &vec![2; 1281 - headers]);
    let report = capture.wait_until("a report of the MTU", |report| {
        report.total(|flow| flow.protocol == report_protocol).packets > 0
    });
    let report = report.total(|flow| flow.protocol == report_protocol);
    assert!(report.packets >= 1, "{report:?}");
    client.send(server.address(), b"end");
    assert_eq!(server.receive().0, b"end");
    // The client's kernel has learnt the MTU, and divides the datagram.
    client.send(server.address(), &vec![3; 1281 - headers]);
    assert_eq!(server.receive().0, vec![3; 1281 - headers]);
}

#[test]
fn a_path_with_a_small_mtu_drops_larger_packets_and_reports_it() {
    if !lab_available() {
        return;
    }
    for delayed in [false, true] {
        check_small_mtu(IpVersion::V4, 28, 1, delayed);
    }
}

#[test]
fn a_path_of_ipv6_with_a_small_mtu_drops_larger_packets_and_reports_it() {
    if !lab_available() {
        return;
    }
    let small = ClientNetwork::behind(Gateway::Firewall).with_mtu(1280);
    let topology = Topology::separate(small, ClientNetwork::behind(Gateway::Public));
    let lab = Lab::new(topology.with_ip_version(IpVersion::V6));
    let (client, server, _) = bind_probes(&lab);
    let capture = lab.client(Side::A).capture("eth0", &[&[2; 1233]]);
    client.send(server.address(), &[1; 1232]);
    assert_eq!(server.receive().0.len(), 1232);
    client.send(server.address(), &[2; 1233]);
    // The report contains the beginning of the packet, up to 1280 bytes.
    let _ = capture.wait_until("a report of the MTU", |report| {
        report.total(|flow| flow.protocol == 58).bytes > 1000
    });
    client.send(server.address(), &[3; 1233]);
    assert_eq!(server.receive().0, [3; 1233]);
}

#[test]
fn hosts_of_ipv6_only_have_no_ipv4() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Gateway::Firewall);
    let lab = Lab::new(Topology::separate(network, network).with_ip_version(IpVersion::V6));
    for host in [lab.client(Side::A), lab.client(Side::B), lab.server(), lab.third_host()] {
        assert!(host.addresses().iter().all(|address| address.is_ipv6()));
        let addresses = list_addresses(host, "-4");
        assert_eq!(addresses.len(), 1, "{addresses:?}");
        assert!(addresses[0].contains("127.0.0.1"), "{addresses:?}");
        let error = host.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.send_to(b"datagram", "203.0.113.1:1").unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    }
    let (client, server, third) = bind_probes(&lab);
    let mapping = client.mapping(&server);
    assert_eq!(mapping, client.address());
    assert!(!third.reaches(mapping, &client, (&server, mapping)));
    let peer = Probe::bind(lab.client(Side::B));
    peer.send(client.address(), b"opens the firewall");
    assert_eq!(client.mapping(&peer), client.address());
}

#[test]
fn hosts_of_ipv4_only_have_no_ipv6() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::PortRestricted);
    for host in [lab.client(Side::A), lab.server()] {
        assert!(host.addresses().iter().all(|address| address.is_ipv4()));
        assert_eq!(list_addresses(host, "-6"), Vec::<String>::new());
    }
}

#[test]
fn hosts_of_both_versions_use_either() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Gateway::PortRestricted);
    let lab = Lab::new(Topology::separate(network, network).with_ip_version(IpVersion::Both));
    let (client, server) = (lab.client(Side::A), lab.server());
    assert_eq!(client.addresses().len(), 2);
    let receiver = server.run(|| UdpSocket::bind("[::]:0").unwrap());
    receiver.set_read_timeout(Some(quiver_e2e::TIMEOUT)).unwrap();
    let port = receiver.local_addr().unwrap().port();
    let sender = client.run(|| UdpSocket::bind("[::]:0").unwrap());
    for (address, source) in
        server.addresses().iter().zip([lab.public_address(Side::A), client.addresses()[1]])
    {
        let destination = match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
            std::net::IpAddr::V6(_) => *address,
        };
        sender.send_to(b"datagram", (destination, port)).unwrap();
        let (_, from) = receiver.recv_from(&mut [0; 16]).unwrap();
        assert_eq!(from.ip().to_canonical(), source);
    }
}

#[test]
fn useless_interfaces_have_addresses_that_the_peer_does_not_reach() {
    if !lab_available() {
        return;
    }
    let network = ClientNetwork::behind(Gateway::PortRestricted).with_useless_interfaces(8);
    let lab = lab_of(network, network);
    let (client, server, _) = bind_probes(&lab);
    let peer = Probe::bind(lab.client(Side::B));
    let of_peer = peer.mapping(&server);
    let addresses = list_addresses(lab.client(Side::B), "-4");
    let useless: Vec<_> = addresses.iter().filter(|line| line.contains("useless")).collect();
    assert_eq!(useless.len(), 8, "{addresses:?}");
    for line in useless {
        let address = line.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        let destination = (address.parse::<std::net::IpAddr>().unwrap(), peer.port()).into();
        assert!(!client.reaches(destination, &peer, (&server, of_peer)), "{address}");
    }
    // The local address of the peer leads to no other host either.
    assert!(!client.reaches(peer.address(), &peer, (&server, of_peer)));
}

#[test]
fn programs_run_on_their_host_with_their_arguments_folder_and_environment() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::PortRestricted);
    let mut command = Command::new("sh");
    command.args(["-c", "pwd && echo $NAME && ip -o -4 addr && exit 3"]);
    command.current_dir("/usr").env("NAME", "value").env_remove("HOME");
    let host = lab.client(Side::A);
    let output = run(&mut host.command_inside(&command), b"");
    output.expect(3);
    assert!(output.stdout.starts_with("/usr\nvalue\n"), "{}", output.stdout);
    assert!(output.stdout.contains(&host.address().to_string()), "{}", output.stdout);
}
