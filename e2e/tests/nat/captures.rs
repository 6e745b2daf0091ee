//! Captures: what they count and find.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use quiver_e2e::nat_lab::{Gateway, Side, lab_available};

use crate::probe::{Probe, bind_probes, lab_behind};

#[test]
fn a_capture_counts_packets_and_bytes_of_each_flow() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::PortRestricted);
    let (client, server, third) = bind_probes(&lab);
    let (mapping, _) = (client.mapping(&server), client.mapping(&third));
    let at_server = lab.server().capture("eth0", &[]);
    let at_gateway = lab.gateway(Side::A).capture("lan", &[]);
    for _ in 0..27 {
        client.send(server.address(), &[0; 100]);
    }
    for _ in 0..3 {
        server.send(mapping, &[0; 10]);
        client.send(third.address(), b"to the third host");
    }
    let report = at_server.report();
    let received = report.total(|flow| flow.source == mapping);
    assert_eq!((received.packets, received.bytes), (27, 27 * 128), "{report:?}");
    assert_eq!(received.payload_bytes, 27 * 100);
    let sent = report.total(|flow| flow.destination == mapping);
    assert_eq!((sent.packets, sent.payload_bytes), (3, 30));
    let both = report.total(|flow| flow.is_between(server.address().ip(), mapping.ip()));
    assert_eq!(both.packets, 30);
    assert_eq!(report.total(|flow| flow.is_between(mapping.ip(), third.address().ip())).packets, 0);
    // The gateway sees local addresses on its inner side.
    let report = at_gateway.report();
    assert_eq!(report.total(|flow| flow.source == client.address()).packets, 30, "{report:?}");
    assert_eq!(report.total(|flow| flow.source == mapping).packets, 0, "{report:?}");
}

#[test]
fn a_capture_finds_plaintext_in_either_direction() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::FullCone);
    let (client, server, _) = bind_probes(&lab);
    let capture = lab.internet().capture("server", &[b"first text", b"second text"]);
    let elsewhere = lab.internet().capture("third", &[b"first text"]);
    let mapping = client.mapping(&server);
    client.send(server.address(), b"contains the second text inside");
    server.send(mapping, b"first text");
    client.send(server.address(), b"first of all, a text without either");
    let found: Vec<_> = capture
        .report()
        .plaintexts()
        .iter()
        .map(|found| (found.plaintext, found.flow.source))
        .collect();
    assert_eq!(found, [(1, mapping), (0, server.address())]);
    assert_eq!(elsewhere.report().plaintexts(), []);
}

#[test]
fn a_capture_counts_the_packets_of_a_cable() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::PortRestricted);
    let capture = lab.internet().capture("server", &[]);
    let bytes = 5_000_000;
    let server = lab.server();
    let listener = server.run(|| TcpListener::bind((server.address(), 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let mut input = lab.client(Side::A).run(|| TcpStream::connect(address).unwrap());
    let (mut output, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || output.write_all(&vec![7; bytes]).unwrap());
        input.read_to_end(&mut Vec::new()).unwrap();
    });
    let sent = capture.report().total(|flow| flow.source == address);
    assert!(sent.bytes > bytes as u64, "{sent:?}");
    assert!(sent.bytes <= sent.packets * 1500, "segments are joined: {sent:?}");
}

#[test]
fn a_capture_loses_nothing_while_many_packets_pass() {
    if !lab_available() {
        return;
    }
    let lab = lab_behind(Gateway::Public);
    let client = lab.client(Side::A);
    let probes = [0; 4].map(|_| Probe::bind(client));
    let destination = Probe::bind(lab.server());
    probes[0].mapping(&destination);
    let capture = client.capture("eth0", &[b"a text that is in none of them"]);
    std::thread::scope(|scope| {
        for probe in &probes {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    probe.send(destination.address(), &[0; 1200]);
                }
            });
        }
    });
    let sent = capture.report().total(|flow| flow.destination == destination.address());
    assert_eq!((sent.packets, sent.payload_bytes), (40_000, 40_000 * 1200));
}
