//! Changes while a path is in use, and what a path leaves behind.

#![expect(clippy::expect_used, reason = "a failure here fails the test")]

use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use quiver_e2e::TIMEOUT;
use quiver_e2e::path_emulator::{
    Direction, LinkSettings, PathEmulator, PathSettings, path_emulator_available,
};
use quiver_e2e::process::Process;

/// Sockets of the client and the server that send to each other.
pub(crate) fn sockets(path: &PathEmulator) -> (UdpSocket, UdpSocket) {
    let bind = |address| move || UdpSocket::bind((address, 0)).expect("a socket");
    let client = path.client().run(bind(path.client_address()));
    let server = path.server().run(bind(path.server_address()));
    for (socket, peer) in [(&client, &server), (&server, &client)] {
        socket.connect(peer.local_addr().expect("its address")).expect("a route");
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    }
    (client, server)
}

/// How long a packet is on its way from one socket to another.
fn time(from: &UdpSocket, to: &UdpSocket) -> Duration {
    let start = Instant::now();
    from.send(&[7; 972]).expect("it is sent");
    assert_eq!(to.recv(&mut [0; 1500]).expect("it is received"), 972);
    start.elapsed()
}

/// The shortest of some times, because threads wait for a processor too.
fn shortest_time(from: &UdpSocket, to: &UdpSocket) -> Duration {
    (0..10).map(|_| time(from, to)).min().expect("ten times")
}

fn expect_between(what: &str, time: Duration, least: u64, most: u64) {
    let range = Duration::from_millis(least)..Duration::from_millis(most);
    assert!(range.contains(&time), "{what}: {time:?}");
}

#[test]
fn rate_and_delay_change_while_a_path_is_in_use() {
    if !path_emulator_available() {
        return;
    }
    let ms = Duration::from_millis;
    let path = PathEmulator::new(PathSettings::symmetric(LinkSettings::default()));
    let (client, server) = sockets(&path);
    expect_between("no limits", shortest_time(&client, &server), 0, 3);
    // A packet of 1,000 bytes with its headers takes 20 ms.
    path.set(Direction::ToServer, LinkSettings::new(400_000, ms(10), 10_000));
    expect_between("20 ms and a delay of 10 ms", shortest_time(&client, &server), 30, 33);
    expect_between("the other direction", shortest_time(&server, &client), 0, 3);
    path.change(|link| link.delay = ms(40));
    expect_between("a delay of 40 ms", shortest_time(&client, &server), 60, 63);
    expect_between("the other direction", shortest_time(&server, &client), 40, 43);
    assert_eq!(path.settings().to_server.queue, Some(10_000));
}

#[test]
fn silence_loses_all_packets_until_it_ends() {
    if !path_emulator_available() {
        return;
    }
    let path = PathEmulator::new(PathSettings::symmetric(LinkSettings::default()));
    let (client, server) = sockets(&path);
    let _ = time(&client, &server);
    path.set_silence(true);
    for _ in 0..3 {
        client.send(b"lost").expect("it is sent");
    }
    let deadline = Instant::now() + TIMEOUT;
    while path.counters(Direction::ToServer).dropped_silence < 3 {
        assert!(Instant::now() < deadline, "{:?}", path.counters(Direction::ToServer));
        std::thread::park_timeout(Duration::from_millis(1));
    }
    path.set_silence(false);
    // The next packet that is received is the next one that is sent.
    let _ = time(&client, &server);
    let counters = path.counters(Direction::ToServer);
    assert_eq!((counters.packets_in, counters.packets_out, counters.in_transit()), (5, 2, 0));
    path.restart_peaks(Direction::ToServer);
    assert_eq!(path.counters(Direction::ToServer).largest_lateness, Duration::ZERO);
}

#[test]
fn the_client_continues_from_another_address() {
    if !path_emulator_available() {
        return;
    }
    let path = PathEmulator::new(PathSettings::symmetric(LinkSettings::default()));
    let server = path.server().run(|| UdpSocket::bind((path.server_address(), 0)).unwrap());
    let client = path.client().run(|| UdpSocket::bind("0.0.0.0:0").unwrap());
    let address_of_client = || {
        client.send_to(b"hello", server.local_addr().unwrap()).unwrap();
        let (_, from) = server.recv_from(&mut [0; 5]).unwrap();
        server.send_to(b"hello", from).unwrap();
        client.recv_from(&mut [0; 5]).unwrap();
        from.ip()
    };
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    }
    let first = path.client_address();
    assert_eq!(address_of_client(), first);
    let second = path.change_client_address();
    assert_ne!(second, first);
    assert_eq!(address_of_client(), second);
    assert_eq!(path.change_client_address(), first);
    assert_eq!(address_of_client(), first);
}

#[test]
fn paths_are_independent_of_each_other() {
    if !path_emulator_available() {
        return;
    }
    let paths = [0, 1].map(|_| PathEmulator::new(PathSettings::symmetric(LinkSettings::default())));
    let (client, server) = sockets(&paths[0]);
    let _ = time(&client, &server);
    assert_eq!(paths[0].counters(Direction::ToServer).packets_out, 1);
    assert_eq!(paths[1].counters(Direction::ToServer).packets_in, 0);
}

#[tokio::test]
async fn a_drop_kills_the_programs_on_both_hosts() {
    if !path_emulator_available() {
        return;
    }
    let path = PathEmulator::new(PathSettings::symmetric(LinkSettings::default()));
    let programs = [path.client(), path.server()].map(|host| {
        let mut shell = path.shell(host, "echo $SERVER; sleep infinity & wait");
        Process::start(&mut shell)
    });
    let address = path.server_address().to_string();
    for program in &programs {
        program.stdout.wait(|line| (line == address).then_some(())).await.expect("it has started");
    }
    drop(path);
    for mut program in programs {
        assert_eq!(program.wait_for_exit(TIMEOUT).await.signal(), Some(9));
    }
}
