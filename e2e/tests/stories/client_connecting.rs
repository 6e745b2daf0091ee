//! How long connecting takes when no server answers, and what the user sees meanwhile.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use quiver_e2e::fake_server::Certificate;
use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::{Client, Home, Server};

/// Far less than the time after which a client gives up a server that does not answer.
const SOON: Duration = Duration::from_secs(5);

/// `quiver --name Ron ...` with a certificate that no server has.
fn quiver(home: &Home, address: SocketAddr, arguments: &[&str]) -> QuiverCommand {
    let pem = home.root().join("server.pem");
    fs::write(&pem, Certificate::new().pem).unwrap();
    home.quiver(["--name", "Ron"]).server(address, &pem).arguments(arguments)
}

/// A socket that no program reads: packets are neither answered nor refused.
fn silent_socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn closed_address() -> SocketAddr {
    silent_socket().1
}

#[tokio::test]
async fn a_closed_port_is_reported_at_once() {
    let home = Home::new();
    let address = closed_address();
    for arguments in [&["status"][..], &["get", "a"], &[]] {
        let start = Instant::now();
        let finished = quiver(&home, address, arguments).run_with_input("Hello\n").await;
        let took = start.elapsed();
        let stderr = &finished.expect(3).stderr;
        let error = format!("cannot connect to {address}: no program listens at this port");
        assert!(stderr.contains(&error), "{stderr}");
        assert!(stderr.contains("\nhint: check that the server runs"), "{stderr}");
        assert!(took < SOON, "{took:?}");
    }
}

#[tokio::test]
async fn the_trust_question_is_not_waited_for_at_a_closed_port() {
    let home = Home::new();
    let start = Instant::now();
    let unknown = home.quiver(["--name", "Ron", "status"]).server_address(closed_address());
    unknown.run().await.expect(3);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_timeout_bounds_connecting() {
    let home = Home::new();
    let (_socket, address) = silent_socket();
    let start = Instant::now();
    let finished = quiver(&home, address, &["status", "--timeout", "1"]).run().await;
    let took = start.elapsed();
    let error = format!("error: cannot connect to {address}: no answer");
    assert!(finished.expect(3).stderr.starts_with(&error), "{}", finished.stderr);
    assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
}

#[tokio::test]
async fn a_person_sees_that_the_client_still_connects() {
    let home = Home::new();
    let (_socket, address) = silent_socket();
    let connecting = format!("Connecting to {address} ...");
    for arguments in [&["status", "--timeout", "3"][..], &["--timeout", "3"]] {
        let mut terminal = quiver(&home, address, arguments).start_at_terminal();
        terminal.wait_for(&connecting);
        assert_eq!(terminal.wait_for_exit().exit_code(), 3);
    }
    let mut quiet =
        quiver(&home, address, &["status", "--timeout", "3", "--quiet"]).start_at_terminal();
    assert_eq!(quiet.wait_for_exit().exit_code(), 3);
    assert!(!quiet.contents().contains("Connecting"), "{}", quiet.contents());
    // A log has no use for it.
    let logged = quiver(&home, address, &["status", "--timeout", "3"]).run().await;
    assert!(!logged.expect(3).stderr.contains("Connecting"), "{}", logged.stderr);
}

#[tokio::test]
async fn a_server_ignores_what_clients_send_to_find_a_closed_port() {
    let server = Server::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address()).unwrap();
    socket.send(&[0]).unwrap();
    Client::member(&server, "Ron").await.assert_alive().await;
    socket.set_nonblocking(true).unwrap();
    let answer = socket.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(answer.kind(), std::io::ErrorKind::WouldBlock);
    server.log().wait_for("connection from").await;
    assert_eq!(server.log().count("connection from"), 1);
}
