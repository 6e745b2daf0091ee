//! One socket dials and accepts, and what it accepts goes to the handler of its protocol.

use std::net::SocketAddr;

use quiver_protocol::CloseCode;
use quiver_transport::alpn::alpn;
use quiver_transport::endpoint::DialError;
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{
    AcceptedConnection, Channel, Connection, ConnectionEnd, Endpoint, Identity, Protocol, Role,
    TrustError,
};
use tokio::task::JoinSet;

use crate::network::{PEER, accept, address, dial, identity, listener, within};

const BOTH: [Protocol; 2] = [Protocol::QUIVER_1, PEER];

/// Accepts until the endpoint is closed, and routes by protocol. Each handler answers with its own word, its
/// role, and the port that dialled.
async fn serve(endpoint: Endpoint) {
    let mut handlers = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        let handshake = endpoint.start_handshake(incoming).unwrap();
        handlers.spawn(async move {
            let Ok(accepted) = handshake.complete().await else { return };
            if accepted.protocol == PEER {
                answer(accepted, "peer").await;
            } else {
                assert_eq!(accepted.protocol, Protocol::QUIVER_1);
                answer(accepted, "server").await;
            }
        });
    }
}

async fn answer(accepted: AcceptedConnection, word: &str) {
    let channel = accepted.promote();
    let Ok((mut send, mut receive)) = channel.accept_bi().await else { return };
    assert_eq!(receive.read_to_end(64).await.unwrap(), b"who is it?");
    let port = channel.remote_address().port();
    send.write_all(format!("{word} {:?} {port}", channel.role()).as_bytes()).await.unwrap();
    send.finish().unwrap();
    channel.closed().await;
}

/// What the handler at the other side answers.
async fn ask(connection: &Connection) -> String {
    let (mut send, mut receive) = within(connection.open_bi()).await.unwrap();
    send.write_all(b"who is it?").await.unwrap();
    send.finish().unwrap();
    String::from_utf8(within(receive.read_to_end(64)).await.unwrap()).unwrap()
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
async fn two_sockets_dial_and_accept_each_other_at_once_with_two_protocols() {
    let [ben, ron] = ["ben", "ron"].map(identity);
    // One was opened to dial, the other to listen: both do both.
    let here = Endpoint::dialler().unwrap();
    here.start_accepting(&ben, &BOTH).unwrap();
    let there = listener(&ron, &BOTH);
    let mut servers = JoinSet::new();
    servers.spawn(serve(here.clone()));
    servers.spawn(serve(there.clone()));
    let [here_at, there_at] = [&here, &there].map(address);
    let answers = tokio::join!(
        dial_and_ask(&here, there_at, PEER, &ben, &ron),
        dial_and_ask(&there, here_at, PEER, &ron, &ben),
        dial_and_ask(&here, there_at, Protocol::QUIVER_1, &ben, &ron),
        dial_and_ask(&there, here_at, Protocol::QUIVER_1, &ron, &ben),
    );
    let [here, there] = [here_at, there_at].map(|address| address.port());
    assert_eq!(answers.0, format!("peer Peer {here}"));
    assert_eq!(answers.1, format!("peer Peer {there}"));
    assert_eq!(answers.2, format!("server Member {here}"));
    assert_eq!(answers.3, format!("server Member {there}"));
}

#[tokio::test]
async fn a_client_accepts_peers_later_while_its_connection_to_a_server_lasts() {
    let [server, ben, ron] = ["server", "ben", "ron"].map(identity);
    let listening = listener(&server, &[Protocol::QUIVER_1]);
    let client = Endpoint::dialler().unwrap();
    let mut servers = JoinSet::new();
    servers.spawn(serve(listening.clone()));
    let to = address(&listening);
    let to_server = dial(&client, to, Protocol::QUIVER_1, Some(&ben), &server).await.unwrap();

    client.start_accepting(&ben, &[PEER]).unwrap();
    servers.spawn(serve(client.clone()));
    let peer = Endpoint::dialler().unwrap();
    let answer = dial_and_ask(&peer, address(&client), PEER, &ron, &ben).await;
    assert!(answer.starts_with("peer Peer "), "{answer}");
    let port = address(&client).port();
    assert_eq!(ask(&to_server).await, format!("server Member {port}"));
    // It accepts peers, and is no server.
    let error = dial(&peer, address(&client), Protocol::QUIVER_1, Some(&ron), &ben).await;
    assert!(
        matches!(error, Err(DialError::Ended(ConnectionEnd::NoCommonProtocol(_)))),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_listening_socket_dials_with_its_own_verifier() {
    let [ben, ron, eve] = ["ben", "ron", "eve"].map(identity);
    let [here, there] = [&ben, &ron].map(|identity| listener(identity, &[PEER]));
    let mut servers = JoinSet::new();
    servers.spawn(serve(there.clone()));
    let error = dial(&here, address(&there), PEER, Some(&ben), &eve).await.unwrap_err();
    let DialError::Trust(TrustError::WrongKey { expected, presented }) = error else {
        panic!("{error:?}")
    };
    assert_eq!((expected, presented), (eve.fingerprint(), ron.fingerprint()));
    dial(&here, address(&there), PEER, Some(&ben), &ron).await.unwrap();
}

#[tokio::test]
async fn a_protocol_that_is_not_accepted_is_refused_as_no_common_protocol_at_both_ends() {
    let [server, ron] = ["server", "ron"].map(identity);
    let listening = listener(&server, &[Protocol::QUIVER_1]);
    let client = Endpoint::dialler().unwrap();
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
async fn both_ends_of_a_peer_connection_know_the_others_key() {
    let [ben, ron] = ["ben", "ron"].map(identity);
    let [here, there] = [&ben, &ron].map(|identity| listener(identity, &[PEER]));
    let (dialled, accepted) =
        tokio::join!(dial(&here, address(&there), PEER, Some(&ben), &ron), accept(&there));
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(peer_fingerprint(&dialled), Some(ron.fingerprint()));
    assert_eq!(peer_fingerprint(&accepted.connection), Some(ben.fingerprint()));
    assert_eq!(Channel::new(dialled, PEER.dialled_role()).role(), Role::Peer);
    assert_eq!(accepted.promote().role(), Role::Peer);
}

/// As a client of another make would dial: with the peers' ALPN, and without a certificate.
const NO_CERTIFICATE: Protocol = PEER.with_certificate_required(false);

/// How a connection ends that is refused once its certificate is due. TLS 1.3 completes the handshake at the side
/// that dials before that, so it may see a connection first.
async fn refused(dialled: Result<Connection, DialError>) -> ConnectionEnd {
    match dialled {
        Ok(connection) => within(connection.closed()).await.into(),
        Err(DialError::Ended(ended)) => ended,
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn where_only_peers_are_accepted_tls_refuses_one_without_a_certificate() {
    let ben = identity("ben");
    let here = listener(&ben, &[PEER]);
    let stranger = Endpoint::dialler().unwrap();
    let (dialled, accepted) =
        tokio::join!(dial(&stranger, address(&here), NO_CERTIFICATE, None, &ben), accept(&here));
    assert!(matches!(accepted, Err(ConnectionEnd::Failed(_))), "{accepted:?}");
    let ended = refused(dialled).await;
    // The alert certificate_required (RFC 8446, 6.2) is 116, in QUIC 0x100 more.
    let ConnectionEnd::Failed(why) = ended else { panic!("{ended:?}") };
    assert!(why.contains("peer sent no certificates") || why.contains("116"), "{why}");
}

#[tokio::test]
async fn beside_a_server_only_peers_need_a_certificate() {
    let ben = identity("ben");
    let here = listener(&ben, &BOTH);
    let stranger = Endpoint::dialler().unwrap();
    let to = address(&here);
    let (dialled, accepted) =
        tokio::join!(dial(&stranger, to, NO_CERTIFICATE, None, &ben), accept(&here));
    let why = accepted.unwrap_err();
    assert_eq!(why, ConnectionEnd::Failed("the other side showed no certificate".to_owned()));
    assert_eq!(refused(dialled).await, ConnectionEnd::ClosedByPeer(CloseCode::ProtocolViolation));

    let (dialled, accepted) =
        tokio::join!(dial(&stranger, to, Protocol::QUIVER_1, None, &ben), accept(&here));
    dialled.unwrap();
    assert_eq!(accepted.unwrap().protocol, Protocol::QUIVER_1);
}

#[tokio::test]
async fn a_server_can_require_a_certificate() {
    let server = identity("server");
    let listening = listener(&server, &[Protocol::QUIVER_1.with_certificate_required(true)]);
    let client = Endpoint::dialler().unwrap();
    let (_dialled, accepted) = tokio::join!(
        dial(&client, address(&listening), Protocol::QUIVER_1, None, &server),
        accept(&listening),
    );
    assert!(matches!(accepted, Err(ConnectionEnd::Failed(_))), "{accepted:?}");
}

#[tokio::test]
async fn a_peer_is_not_dialled_without_an_identity() {
    let ben = identity("ben");
    let here = listener(&ben, &[PEER]);
    let error = dial(&Endpoint::dialler().unwrap(), address(&here), PEER, None, &ben).await;
    assert!(matches!(error, Err(DialError::NoCertificate)), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_that_would_accept_no_protocol_is_not_opened() {
    let listening = Endpoint::listen("127.0.0.1:0".parse().unwrap(), &identity("server"), &[]);
    let error = listening.unwrap_err().to_string();
    assert_eq!(error, "cannot set up TLS: there is no protocol to accept");
}
