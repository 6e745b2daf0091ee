//! A client meets servers that are busy, silent, wrong or worse.
//!
//! The server here is a script: it says what a story needs and knows no rules.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod stage;

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
use quiver_transport::{CommandStream, Connection, Endpoint, Identity, Protocol};
use tokio::sync::mpsc::{Sender, channel};

use self::stage::{PATIENCE, Stage, head, hear, reply, welcome};

#[tokio::test]
async fn a_guest_that_had_to_make_room_says_hello_again() {
    let stage = Stage::new(async |number, connection: Connection| {
        if number < 2 {
            let _hello = hear(&connection).await;
            quiver_transport::close(&connection, CloseCode::TimedOut);
            connection.closed().await;
        } else {
            welcome(&connection).await;
            connection.closed().await;
        }
    });
    let client = stage.connect(&stage.settings()).await.unwrap();
    assert_eq!(client.welcome().unwrap().client, 1);
}

#[tokio::test]
async fn the_words_of_a_full_server_are_passed_on() {
    const WORDS: &str = "Server is busy: 3 of 3 clients are connected. Try again later.";
    let stage = Stage::new(async |_, connection: Connection| {
        let (mut stream, _) = hear(&connection).await;
        stream.refuse(&Refusal::new(RefusalCode::Busy, WORDS)).await.unwrap();
        stream.writer.delivered(PATIENCE).await;
        quiver_transport::close(&connection, CloseCode::Busy);
    });
    let failure = stage.connect(&stage.settings()).await.unwrap_err();
    assert_eq!((failure.code(), failure.to_string()), (ErrorCode::Busy, WORDS.to_owned()));
}

#[tokio::test]
async fn an_unknown_server_learns_nothing_but_that_somebody_asked() {
    let (seen, mut was_seen) = channel(4);
    let stage = Stage::new(move |_, connection: Connection| {
        let seen = seen.clone();
        async move {
            let opened = connection.accept_bi().await;
            let _ = seen.send((peer_fingerprint(&connection), opened.is_ok())).await;
        }
    });
    let settings = ClientSettings { certificate: None, ..stage.settings() };
    let failure = stage.connect(&settings).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(failure.to_string().contains(&stage.identity.fingerprint().to_string()));
    assert_eq!(was_seen.recv().await, Some((None, false)));
    assert!(!stage.folders().state().unwrap().join("known_servers").exists());
}

#[tokio::test]
async fn a_server_that_is_another_one_is_refused() {
    let stage = Stage::new(async |_, connection: Connection| {
        panic!("somebody believed this server: {connection:?}");
    });
    let other = Identity::create("other", &[], Validity::days(Utc::now(), 1)).unwrap();
    std::fs::write(stage.path("server.pem"), other.certificate_pem()).unwrap();
    let failure = stage.connect(&stage.settings()).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    for fingerprint in [other.fingerprint(), stage.identity.fingerprint()] {
        assert!(failure.to_string().contains(&fingerprint.to_string()), "{failure}");
    }

    let settings = ClientSettings { certificate: None, ..stage.settings() };
    let known = KnownServers::new(stage.folders().state().unwrap().join("known_servers"));
    known.remember(&settings.server, other.fingerprint()).unwrap();
    let failure = stage.connect(&settings).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(format!("{failure:?}").contains("line: 1"), "{failure:?}");
}

#[tokio::test]
async fn a_server_that_is_remembered_is_believed() {
    let stage = Stage::new(async |_, connection: Connection| {
        welcome(&connection).await;
        connection.closed().await;
    });
    let settings = ClientSettings { certificate: None, ..stage.settings() };
    let known = KnownServers::new(stage.folders().state().unwrap().join("known_servers"));
    known.remember(&settings.server, stage.identity.fingerprint()).unwrap();
    stage.connect(&settings).await.unwrap();
}

#[tokio::test]
async fn an_expired_certificate_is_a_matter_of_trust() {
    let mut stage = Stage::new(async |_, _: Connection| {});
    let long_ago = Utc::now() - chrono::Days::new(400);
    let expired = Identity::create("old", &[], Validity::days(long_ago, 1)).unwrap();
    let endpoint =
        Endpoint::listen((Ipv4Addr::LOCALHOST, 0).into(), &expired, &[Protocol::QUIVER_1]).unwrap();
    stage.address = endpoint.local_addr().unwrap();
    stage.server.spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            assert!(incoming.await.is_err());
        }
    });
    std::fs::write(stage.path("server.pem"), expired.certificate_pem()).unwrap();
    let failure = stage.connect(&stage.settings()).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Untrusted);
    assert!(failure.to_string().contains("expired on"), "{failure}");
}

#[tokio::test]
async fn another_file_than_asked_for_is_not_taken() {
    let stage = Stage::new(async |_, connection: Connection| {
        welcome(&connection).await;
        let (mut stream, _) = hear(&connection).await;
        head(&mut stream, ".bashrc", 0).await;
        stream.writer.flush().await.unwrap();
        connection.closed().await;
    });
    let failure = stage.get("a.txt").await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Other);
    assert!(stage.inbox().is_empty());
}

/// Serves three bytes to whoever asks, and ends as the story wants. Says whether Received came.
async fn three_bytes(connection: Connection, kind: FrameKind, end: Vec<u8>, heard: Sender<bool>) {
    welcome(&connection).await;
    let (mut stream, request) = hear(&connection).await;
    let Request::Get { path, .. } = request else { panic!("{request:?}") };
    head(&mut stream, path.as_str(), 3).await;
    stream.writer.write_frame(FrameKind::Data, b"abc").await.unwrap();
    stream.writer.end(kind, &end).await.unwrap();
    let frame = stream.reader.read_frame(1024, PATIENCE).await;
    heard.send(frame.is_ok_and(|frame| frame.kind == FrameKind::Received)).await.unwrap();
    connection.closed().await;
}

#[tokio::test]
async fn only_what_was_sent_gets_its_name_and_is_acknowledged() {
    // b3sum of abc.
    let hex = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let blake3 = ContentHash::parse(hex).unwrap();
    let good = ContentEnd { size: 3, blake3, slowed_by: None };
    let changed = Refusal::new(RefusalCode::Changed, "it changed");
    for (path, kind, end, code) in [
        ("good.txt", FrameKind::Eof, good.encode(), None),
        (
            "hash.txt",
            FrameKind::Eof,
            ContentEnd { blake3: ContentHash([0; 32]), ..good }.encode(),
            Some(ErrorCode::Verification),
        ),
        (
            "size.txt",
            FrameKind::Eof,
            ContentEnd { size: 4, ..good }.encode(),
            Some(ErrorCode::Verification),
        ),
        ("changed.txt", FrameKind::Error, changed.encode(), Some(ErrorCode::Verification)),
    ] {
        let (heard, mut was_heard) = channel(1);
        let stage = Stage::new(move |_, connection| {
            three_bytes(connection, kind, end.clone(), heard.clone())
        });
        let result = stage.get(path).await;
        assert_eq!(result.err().map(|failure| failure.code()), code, "{path}");
        let there = if code.is_none() { vec![path.to_owned()] } else { Vec::new() };
        assert_eq!(stage.inbox(), there);
        assert_eq!(was_heard.recv().await, Some(code.is_none()), "{path}");
    }
}

#[tokio::test]
async fn a_folder_lists_nothing_but_its_own() {
    let stage = Stage::new(async |_, connection: Connection| {
        welcome(&connection).await;
        let (mut stream, _) = hear(&connection).await;
        let path = FilePath::parse("elsewhere/a.txt").unwrap();
        let modified = Timestamp(Utc::now());
        let entry = FolderEntry { path, kind: EntryKind::File, size: 1, modified };
        reply(&mut stream, &Reply::Entry(entry)).await;
        let end = ListEnd { entries: 1, not_served: 0 };
        stream.writer.end(FrameKind::Eof, &end.encode()).await.unwrap();
        connection.closed().await;
    });
    let client = stage.connect(&stage.settings()).await.unwrap();
    let failure = client.list("notes").await.unwrap().next().await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Other);
}

#[tokio::test]
async fn a_silence_ends_when_patience_does() {
    let stage = Stage::new(async |_, connection: Connection| {
        welcome(&connection).await;
        let _asked = hear(&connection).await;
        connection.closed().await;
    });
    let settings = ClientSettings { timeout: Duration::from_millis(200), ..stage.settings() };
    let client = stage.connect(&settings).await.unwrap();
    let failure = client.message("Hello").await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Connection);
}

#[tokio::test]
async fn events_of_newer_servers_are_heard_out_and_ignored() {
    let stage = Stage::new(async |_, connection: Connection| {
        welcome(&connection).await;
        for payload in [
            &br#"{"event":"party"}"#[..],
            &Event::StillThere.encode(),
            &Event::Stopping { grace_seconds: 8 }.encode(),
        ] {
            let mut stream = CommandStream::open(&connection).await.unwrap();
            stream.writer.write_frame(FrameKind::Reply, payload).await.unwrap();
            stream.writer.end(FrameKind::Eof, &PlainEnd {}.encode()).await.unwrap();
            assert!(stream.writer.delivered(PATIENCE).await, "read to its end");
            stream.reader.read_end(PATIENCE).await.unwrap();
        }
        quiver_transport::close(&connection, CloseCode::ShuttingDown);
    });
    let client = stage.client(&stage.settings()).unwrap();
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
async fn the_client_shows_the_same_key_every_time() {
    let (seen, mut was_seen) = channel(4);
    let stage = Stage::new(move |_, connection: Connection| {
        let seen = seen.clone();
        async move {
            welcome(&connection).await;
            let _ = seen.send(peer_fingerprint(&connection)).await;
            connection.closed().await;
        }
    });
    stage.connect(&stage.settings()).await.unwrap();
    stage.connect(&stage.settings()).await.unwrap();
    let first = was_seen.recv().await.unwrap();
    assert!(first.is_some());
    assert_eq!(was_seen.recv().await.unwrap(), first);
    let key = stage.folders().data().unwrap().join("identity/client.key");
    assert!(Path::new(&key).exists());
}
