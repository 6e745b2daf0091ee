//! The client with servers that are busy, silent or malicious.
//!
//! The server is a script for each test, and follows no rules of the protocol by itself.

#![expect(clippy::unwrap_used, reason = "a failure fails the test")]

mod scripted_server;

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use chrono::Utc;
use quiver_client::event::{ConnectionState, EventKind};
use quiver_client::known_servers::KnownServers;
use quiver_client::{ClientSettings, ErrorCode};
use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::{
    CloseCode, ContentEnd, ContentHash, EofPayload as _, Event, FilePath, FrameKind, ListEnd,
    PlainEnd, Refusal, RefusalCode, Reply, Request, Timestamp,
};
use quiver_transport::identity::Validity;
use quiver_transport::trust::peer_fingerprint;
use quiver_transport::{CommandStream, Connection, Endpoint, EndpointSettings, Identity, Protocol};
use tokio::sync::mpsc::{Sender, channel};

use self::scripted_server::{
    ScriptedServer, TIMEOUT, accept_hello, read_request, send_file_head, send_reply,
};

#[tokio::test]
async fn the_client_redials_after_the_server_has_closed_its_guest_connection() {
    let server = ScriptedServer::new(async |number, connection: Connection| {
        if number < 2 {
            let _hello = read_request(&connection).await;
            quiver_transport::close(&connection, CloseCode::TimedOut);
            connection.closed().await;
        } else {
            accept_hello(&connection).await;
            connection.closed().await;
        }
    });
    let client = server.connect(&server.settings()).await.unwrap();
    assert_eq!(client.welcome().unwrap().client, 1);
}

#[tokio::test]
async fn the_message_of_a_busy_server_is_the_error_text() {
    const MESSAGE: &str = "Server is busy: 3 of 3 clients are connected. Try again later.";
    let server = ScriptedServer::new(async |_, connection: Connection| {
        let (mut stream, _) = read_request(&connection).await;
        stream.refuse(&Refusal::new(RefusalCode::Busy, MESSAGE)).await.unwrap();
        stream.writer.delivered(TIMEOUT).await;
        quiver_transport::close(&connection, CloseCode::Busy);
    });
    let failure = server.connect(&server.settings()).await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string()), (ErrorCode::Busy, MESSAGE.to_owned()));
}

#[tokio::test]
async fn an_unknown_server_gets_no_client_certificate_and_no_stream() {
    let (sender, mut presented) = channel(4);
    let server = ScriptedServer::new(move |_, connection: Connection| {
        let sender = sender.clone();
        async move {
            let opened = connection.accept_bi().await;
            let _ = sender.send((peer_fingerprint(&connection), opened.is_ok())).await;
        }
    });
    let settings = ClientSettings { certificate: None, ..server.settings() };
    let failure = server.connect(&settings).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(failure.to_string().contains(&server.identity.fingerprint().to_string()));
    assert_eq!(presented.recv().await, Some((None, false)));
    assert!(!server.folders().state().unwrap().join("known_servers").exists());
}

#[tokio::test]
async fn the_client_rejects_a_server_with_another_key() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        panic!("the client trusted this server: {connection:?}");
    });
    let other = Identity::create("other", &[], Validity::days(Utc::now(), 1)).unwrap();
    std::fs::write(server.path("server.pem"), other.certificate_pem()).unwrap();
    let failure = server.connect(&server.settings()).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    for fingerprint in [other.fingerprint(), server.identity.fingerprint()] {
        assert!(failure.to_string().contains(&fingerprint.to_string()), "{failure}");
    }

    let settings = ClientSettings { certificate: None, ..server.settings() };
    let known = KnownServers::new(server.folders().state().unwrap().join("known_servers"));
    known.remember(&settings.server, other.fingerprint(), chrono::Utc::now()).unwrap();
    let failure = server.connect(&settings).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(format!("{failure:?}").contains("line: 1"), "{failure:?}");
}

#[tokio::test]
async fn the_client_trusts_a_remembered_server() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        accept_hello(&connection).await;
        connection.closed().await;
    });
    let settings = ClientSettings { certificate: None, ..server.settings() };
    let known = KnownServers::new(server.folders().state().unwrap().join("known_servers"));
    known.remember(&settings.server, server.identity.fingerprint(), chrono::Utc::now()).unwrap();
    server.connect(&settings).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_untrusted() {
    let mut server = ScriptedServer::new(async |_, _: Connection| {});
    let issued = Utc::now() - chrono::Days::new(400);
    let expired = Identity::create("old", &[], Validity::days(issued, 1)).unwrap();
    let endpoint = Endpoint::listen(
        (Ipv4Addr::LOCALHOST, 0).into(),
        &expired,
        &[Protocol::QUIVER_1],
        EndpointSettings::default(),
    )
    .unwrap();
    server.address = endpoint.local_addr().unwrap();
    server.tasks.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            assert!(incoming.await.is_err());
        }
    });
    std::fs::write(server.path("server.pem"), expired.certificate_pem()).unwrap();
    let failure = server.connect(&server.settings()).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(failure.to_string().contains("expired on"), "{failure}");
}

#[tokio::test]
async fn the_client_rejects_another_file_than_requested() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        accept_hello(&connection).await;
        let (mut stream, _) = read_request(&connection).await;
        send_file_head(&mut stream, ".bashrc", 0).await;
        stream.writer.flush().await.unwrap();
        connection.closed().await;
    });
    let failure = server.download("a.txt").await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Other);
    assert!(server.inbox_names().is_empty());
}

/// Serves three bytes, ends the content with the given frame, and sends whether the client responded with Received.
async fn serve_three_bytes(
    connection: Connection,
    kind: FrameKind,
    end: Vec<u8>,
    acknowledged: Sender<bool>,
) {
    accept_hello(&connection).await;
    let (mut stream, request) = read_request(&connection).await;
    let Request::Get { path, .. } = request else { panic!("{request:?}") };
    send_file_head(&mut stream, path.as_str(), 3).await;
    stream.writer.write_frame(FrameKind::Data, b"abc").await.unwrap();
    stream.writer.end(kind, &end).await.unwrap();
    let frame = stream.reader.read_frame(1024, TIMEOUT).await;
    acknowledged.send(frame.is_ok_and(|frame| frame.kind == FrameKind::Received)).await.unwrap();
    connection.closed().await;
}

#[tokio::test]
async fn only_a_verified_file_is_stored_and_acknowledged() {
    // b3sum of abc.
    let hex = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let blake3 = ContentHash::parse(hex).unwrap();
    let valid = ContentEnd { size: 3, blake3, slowed_by: None, network: None };
    let changed = Refusal::new(RefusalCode::Changed, "it changed");
    for (path, kind, end, code) in [
        ("good.txt", FrameKind::Eof, valid.encode(), None),
        (
            "hash.txt",
            FrameKind::Eof,
            ContentEnd { blake3: ContentHash([0; 32]), ..valid }.encode(),
            Some(ErrorCode::Verification),
        ),
        (
            "size.txt",
            FrameKind::Eof,
            ContentEnd { size: 4, ..valid }.encode(),
            Some(ErrorCode::Verification),
        ),
        ("changed.txt", FrameKind::Error, changed.encode(), Some(ErrorCode::Verification)),
    ] {
        let (acknowledged, mut results) = channel(1);
        let server = ScriptedServer::new(move |_, connection| {
            serve_three_bytes(connection, kind, end.clone(), acknowledged.clone())
        });
        let result = server.download(path).await;
        assert_eq!(result.err().map(|failure| failure.code()), code, "{path}");
        let expected = if code.is_none() { vec![path.to_owned()] } else { Vec::new() };
        assert_eq!(server.inbox_names(), expected);
        assert_eq!(results.recv().await, Some(code.is_none()), "{path}");
    }
}

#[tokio::test]
async fn the_client_rejects_an_entry_of_another_folder() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        accept_hello(&connection).await;
        let (mut stream, _) = read_request(&connection).await;
        let path = FilePath::parse("elsewhere/a.txt").unwrap();
        let modified = Timestamp(Utc::now());
        let entry = FolderEntry { path, kind: EntryKind::File, size: 1, modified };
        send_reply(&mut stream, &Reply::Entry(entry)).await;
        let end = ListEnd { entries: 1, ..ListEnd::default() };
        stream.writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
        connection.closed().await;
    });
    let client = server.connect(&server.settings()).await.unwrap();
    let failure = client.list("notes").await.unwrap().next().await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Other);
}

#[tokio::test]
async fn a_command_fails_after_the_idle_timeout() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        accept_hello(&connection).await;
        let _request = read_request(&connection).await;
        connection.closed().await;
    });
    let settings = ClientSettings { timeout: Duration::from_millis(200), ..server.settings() };
    let client = server.connect(&settings).await.unwrap();
    let failure = client.message("Hello").await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Connection);
}

#[tokio::test]
async fn the_client_reads_unknown_events_to_their_end_and_ignores_them() {
    let server = ScriptedServer::new(async |_, connection: Connection| {
        accept_hello(&connection).await;
        for payload in [
            &br#"{"event":"party"}"#[..],
            &Event::StillThere.encode(),
            &Event::Stopping { grace_seconds: 8 }.encode(),
        ] {
            let mut stream = CommandStream::open(&connection).await.unwrap();
            stream.writer.write_frame(FrameKind::Reply, payload).await.unwrap();
            stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await.unwrap();
            assert!(stream.writer.delivered(TIMEOUT).await, "the client read the event to its end");
            stream.reader.read_end(TIMEOUT).await.unwrap();
        }
        quiver_transport::close(&connection, CloseCode::ShuttingDown);
    });
    let client = server.client(&server.settings()).unwrap();
    let mut events = client.all_events();
    client.connect().await.unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        match event.kind {
            EventKind::ServerStopping(grace) => seen.push(grace),
            EventKind::Connection(ConnectionState::Lost(why)) => {
                assert_eq!(why, CloseCode::ShuttingDown.reason());
                break;
            }
            _ => {}
        }
    }
    assert_eq!(seen, [Duration::from_secs(8)]);
}

#[tokio::test]
async fn the_client_presents_the_same_key_on_every_connection() {
    let (sender, mut presented) = channel(4);
    let server = ScriptedServer::new(move |_, connection: Connection| {
        let sender = sender.clone();
        async move {
            accept_hello(&connection).await;
            let _ = sender.send(peer_fingerprint(&connection)).await;
            connection.closed().await;
        }
    });
    server.connect(&server.settings()).await.unwrap();
    server.connect(&server.settings()).await.unwrap();
    let first = presented.recv().await.unwrap();
    assert!(first.is_some());
    assert_eq!(presented.recv().await.unwrap(), first);
    let key = server.folders().data().unwrap().join("identity/client.key");
    assert!(Path::new(&key).exists());
}
