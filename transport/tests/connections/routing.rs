//! Sockets that dial and accept, and the choice of a handler by the negotiated protocol.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use quiver_protocol::CloseCode;
use quiver_transport::alpn::alpn;
use quiver_transport::endpoint::DialError;
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{
    AcceptedConnection, Channel, Connection, ConnectionEnd, Endpoint, EndpointSettings, Identity,
    Protocol, Role, TrustError,
};
use tokio::task::JoinSet;

use crate::network::{PEER, accept, address, dial, identity, listener, within_timeout};

const BOTH: [Protocol; 2] = [Protocol::QUIVER_1, PEER];

/// Accepts connections until the endpoint is closed, and passes them to the handler of their
/// protocol. Each handler responds with its name, its role, and the port that dialled.
async fn serve(endpoint: Endpoint) {
    let mut handlers = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let handshake = endpoint.start_handshake(incoming).unwrap();
        handlers.spawn(async move {
            let Ok(accepted) = handshake.complete().await else { return };
            if accepted.protocol == PEER {
                respond(accepted, "peer").await;
            } else {
                assert_eq!(accepted.protocol, Protocol::QUIVER_1);
                respond(accepted, "server").await;
            }
        });
    }
}

async fn respond(accepted: AcceptedConnection, handler: &str) {
    let channel = accepted.promote();
    let Ok((mut send, mut receive)) = channel.accept_bi().await else { return };
    assert_eq!(receive.read_to_end(64).await.unwrap(), b"who is it?");
    let port = channel.remote_address().port();
    send.write_all(format!("{handler} {:?} {port}", channel.role()).as_bytes()).await.unwrap();
    send.finish().unwrap();
    channel.closed().await;
}

/// Returns the response of the handler on the other side.
async fn ask(connection: &Connection) -> String {
    let (mut send, mut receive) = within_timeout(connection.open_bi()).await.unwrap();
    send.write_all(b"who is it?").await.unwrap();
    send.finish().unwrap();
    String::from_utf8(within_timeout(receive.read_to_end(64)).await.unwrap()).unwrap()
}

async fn dial_and_ask(
    endpoint: &Endpoint,
    to: SocketAddr,
    protocol: Protocol,
    identity: &Identity,
    other: &Identity,
) -> String {
    let connection = dial(endpoint, to, protocol, Some(identity), other).await.unwrap();
    assert_eq!(alpn(&connection).unwrap(), protocol.alpn());
    ask(&connection).await
}

#[tokio::test]
async fn two_sockets_dial_and_accept_each_other_with_two_protocols_at_once() {
    let [ben, ron] = ["ben", "ron"].map(identity);
    // Ben's socket was opened to dial and Ron's to listen, but both do both.
    let ben_endpoint = Endpoint::dialler(EndpointSettings::default()).unwrap();
    ben_endpoint.start_accepting(&ben, &BOTH).unwrap();
    let ron_endpoint = listener(&ron, &BOTH);
    let mut servers = JoinSet::new();
    servers.spawn(serve(ben_endpoint.clone()));
    servers.spawn(serve(ron_endpoint.clone()));
    let [ben_address, ron_address] = [&ben_endpoint, &ron_endpoint].map(address);
    let responses = tokio::join!(
        dial_and_ask(&ben_endpoint, ron_address, PEER, &ben, &ron),
        dial_and_ask(&ron_endpoint, ben_address, PEER, &ron, &ben),
        dial_and_ask(&ben_endpoint, ron_address, Protocol::QUIVER_1, &ben, &ron),
        dial_and_ask(&ron_endpoint, ben_address, Protocol::QUIVER_1, &ron, &ben),
    );
    let [ben_port, ron_port] = [ben_address, ron_address].map(|address| address.port());
    assert_eq!(responses.0, format!("peer Peer {ben_port}"));
    assert_eq!(responses.1, format!("peer Peer {ron_port}"));
    assert_eq!(responses.2, format!("server Member {ben_port}"));
    assert_eq!(responses.3, format!("server Member {ron_port}"));
}

#[tokio::test]
async fn a_client_can_start_to_accept_peers_while_it_is_connected_to_a_server() {
    let [server, ben, ron] = ["server", "ben", "ron"].map(identity);
    let listening = listener(&server, &[Protocol::QUIVER_1]);
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let mut servers = JoinSet::new();
    servers.spawn(serve(listening.clone()));
    let to = address(&listening);
    let to_server = dial(&client, to, Protocol::QUIVER_1, Some(&ben), &server).await.unwrap();

    client.start_accepting(&ben, &[PEER]).unwrap();
    servers.spawn(serve(client.clone()));
    let peer = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let response = dial_and_ask(&peer, address(&client), PEER, &ron, &ben).await;
    assert!(response.starts_with("peer Peer "), "{response}");
    let port = address(&client).port();
    assert_eq!(ask(&to_server).await, format!("server Member {port}"));
    // It accepts peers but not clients of a server.
    let error = dial(&peer, address(&client), Protocol::QUIVER_1, Some(&ron), &ben).await;
    assert!(
        matches!(error, Err(DialError::Ended(ConnectionEnd::NoCommonProtocol(_)))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_listening_socket_dials_with_the_verifier_of_the_call() {
    let [ben, ron, eve] = ["ben", "ron", "eve"].map(identity);
    let [ben_endpoint, ron_endpoint] = [&ben, &ron].map(|identity| listener(identity, &[PEER]));
    let ron_address = address(&ron_endpoint);
    let mut servers = JoinSet::new();
    servers.spawn(serve(ron_endpoint));
    let error = dial(&ben_endpoint, ron_address, PEER, Some(&ben), &eve).await.unwrap_err();
    let DialError::Trust(TrustError::WrongKey { expected, presented }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((expected, presented), (eve.fingerprint(), ron.fingerprint()));
    dial(&ben_endpoint, ron_address, PEER, Some(&ben), &ron).await.unwrap();
}

#[tokio::test]
async fn both_ends_report_no_common_protocol_if_the_listener_does_not_accept_it() {
    let [server, ron] = ["server", "ron"].map(identity);
    let listening = listener(&server, &[Protocol::QUIVER_1]);
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let (dialled, accepted) = tokio::join!(
        dial(&client, address(&listening), PEER, Some(&ron), &server),
        accept(&listening),
    );
    assert!(
        matches!(dialled, Err(DialError::Ended(ConnectionEnd::NoCommonProtocol(_)))),
        "{dialled:?}"
    );
    assert!(matches!(accepted, Err(ConnectionEnd::NoCommonProtocol(_))), "{accepted:?}");
}

#[tokio::test]
async fn both_ends_of_a_peer_connection_know_each_others_key() {
    let [ben, ron] = ["ben", "ron"].map(identity);
    let [ben_endpoint, ron_endpoint] = [&ben, &ron].map(|identity| listener(identity, &[PEER]));
    let (dialled, accepted) = tokio::join!(
        dial(&ben_endpoint, address(&ron_endpoint), PEER, Some(&ben), &ron),
        accept(&ron_endpoint),
    );
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(peer_fingerprint(&dialled), Some(ron.fingerprint()));
    assert_eq!(peer_fingerprint(&accepted.connection), Some(ben.fingerprint()));
    assert_eq!(Channel::with_fixed_windows(dialled, PEER.dialled_role()).role(), Role::Peer);
    assert_eq!(accepted.promote().role(), Role::Peer);
}

/// The peers' protocol as a foreign client may dial it: without a certificate.
const NO_CERTIFICATE: Protocol = PEER.with_certificate_required(false);

/// How a connection ends whose dialling side showed no certificate. In TLS 1.3 the handshake of the
/// dialling side is complete before the other side checks the certificate, so it may have a
/// connection at first.
async fn end_of_refused(dialled: Result<Connection, DialError>) -> ConnectionEnd {
    match dialled {
        Ok(connection) => within_timeout(connection.closed()).await.into(),
        Err(DialError::Ended(end)) => end,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn tls_refuses_a_peer_without_a_certificate_if_only_peers_are_accepted() {
    let ben = identity("ben");
    let listening = listener(&ben, &[PEER]);
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let (dialled, accepted) = tokio::join!(
        dial(&client, address(&listening), NO_CERTIFICATE, None, &ben),
        accept(&listening),
    );
    assert!(matches!(accepted, Err(ConnectionEnd::Failed(_))), "{accepted:?}");
    let end = end_of_refused(dialled).await;
    // The alert certificate_required (RFC 8446, 6.2) is 116, as a QUIC error 0x100 more.
    let ConnectionEnd::Failed(reason) = end else { panic!("{end:?}") };
    assert!(reason.contains("peer sent no certificates") || reason.contains("116"), "{reason}");
}

#[tokio::test]
async fn only_peers_need_a_certificate_if_clients_are_accepted_too() {
    let ben = identity("ben");
    let listening = listener(&ben, &BOTH);
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let to = address(&listening);
    let (dialled, accepted) =
        tokio::join!(dial(&client, to, NO_CERTIFICATE, None, &ben), accept(&listening));
    let end = accepted.unwrap_err();
    assert_eq!(end, ConnectionEnd::Failed("the other side showed no certificate".to_owned()));
    let end = end_of_refused(dialled).await;
    assert_eq!(end, ConnectionEnd::ClosedByPeer(CloseCode::ProtocolViolation));

    let (dialled, accepted) =
        tokio::join!(dial(&client, to, Protocol::QUIVER_1, None, &ben), accept(&listening));
    dialled.unwrap();
    assert_eq!(accepted.unwrap().protocol, Protocol::QUIVER_1);
}

#[tokio::test]
async fn a_server_can_require_a_certificate() {
    let server = identity("server");
    let listening = listener(&server, &[Protocol::QUIVER_1.with_certificate_required(true)]);
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let (_dialled, accepted) = tokio::join!(
        dial(&client, address(&listening), Protocol::QUIVER_1, None, &server),
        accept(&listening),
    );
    assert!(matches!(accepted, Err(ConnectionEnd::Failed(_))), "{accepted:?}");
}

#[tokio::test]
async fn dialling_a_peer_without_an_identity_fails() {
    let ben = identity("ben");
    let listening = listener(&ben, &[PEER]);
    let error = dial(
        &Endpoint::dialler(EndpointSettings::default()).unwrap(),
        address(&listening),
        PEER,
        None,
        &ben,
    )
    .await;
    assert!(matches!(error, Err(DialError::NoCertificate)), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_without_a_protocol_is_not_opened() {
    let listening = Endpoint::listen(
        "127.0.0.1:0".parse().unwrap(),
        &identity("server"),
        &[],
        EndpointSettings::default(),
    );
    let error = listening.unwrap_err().to_string();
    assert_eq!(error, "cannot set up TLS: there is no protocol to accept");
}

/// A first packet of QUIC version 1 (RFC 9000, 17.2.2) with ids of 8 bytes, that is zero after its header.
fn first_packet() -> Vec<u8> {
    let mut packet = vec![0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 1, 2, 3, 4, 5, 6, 7, 8];
    // No token, and the length of the rest as a number of two bytes.
    packet.extend([0, 0x44, 0x96]);
    packet.resize(1200, 0);
    packet
}

#[tokio::test]
async fn an_endpoint_that_accepts_no_connections_answers_no_first_packet() {
    let [server, ben] = ["server", "ben"].map(identity);
    let listening = listener(&server, &[Protocol::QUIVER_1]);
    let mut servers = JoinSet::new();
    servers.spawn(serve(listening.clone()));
    let client = Endpoint::dialler(EndpointSettings::default()).unwrap();
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    stranger.set_nonblocking(true).unwrap();
    stranger.send_to(&first_packet(), address(&client)).unwrap();
    // The client has received the stranger's packet before those of the server.
    let to = address(&listening);
    let response = dial_and_ask(&client, to, Protocol::QUIVER_1, &ben, &server).await;
    assert!(response.starts_with("server Member "), "{response}");
    let answer = stranger.recv_from(&mut [0; 1500]);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
}
