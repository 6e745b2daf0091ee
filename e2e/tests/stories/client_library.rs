//! The client as a library, without the command line, and a real server: requests in, events out, questions
//! answered as values.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::path::{Path, PathBuf};

use quiver_client::event::{ClientEvent, ConnectionState, EventKind, EventReceiver};
use quiver_client::folders::Folders;
use quiver_client::notice::Notice;
use quiver_client::question::{Answer, AnswerError, Question, QuestionId};
use quiver_client::request::{
    ConflictPolicy, Destination, DownloadRequest, TransferOptions, UploadContent, UploadRequest,
};
use quiver_client::transfers::{FileState, TransferEvent, TransferId, TransferState};
use quiver_client::tree::Decision;
use quiver_client::{Client, ClientSettings, ErrorCode, RunningTransfer, TransferEnd};
use quiver_e2e::deadline::{TIMEOUT, wait_until, wait_within};
use quiver_e2e::tree;
use quiver_e2e::{Home, Server};
use quiver_protocol::ClientName;
use quiver_transport::Endpoint;

/// More files than a reader's queue has events.
const FILES: usize = quiver_client::event::CAPACITY + 44;

/// Bytes of a file that takes a while at [`RATE`].
const LARGE: usize = 24 * 1024 * 1024;
const RATE: &str = "4MB/s";

/// A client with folders of its own, of a server whose certificate it does not know.
fn client(server: &Server, home: &Home) -> Client {
    let at = |name: &str| home.folder().join(name);
    let settings = ClientSettings {
        server: server.address().to_string().parse().unwrap(),
        certificate: None,
        name: Some(ClientName::parse("Ron").unwrap()),
        password_file: None,
        timeout: TIMEOUT,
    };
    let folders = Folders::at(at("config"), at("data"), at("state"));
    Client::new(settings, folders, Endpoint::dialler().unwrap()).unwrap()
}

/// The first event that is wanted.
async fn wait_for<T>(
    events: &mut EventReceiver,
    what: &str,
    wanted: impl Fn(&ClientEvent) -> Option<T>,
) -> T {
    wait_within(TIMEOUT, what, async {
        loop {
            let event = events.next().await.unwrap();
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    })
    .await
}

fn question(event: &ClientEvent) -> Option<(QuestionId, Question)> {
    match &event.kind {
        EventKind::Question(id, question) => Some((*id, (**question).clone())),
        _ => None,
    }
}

fn state(event: &ClientEvent, id: TransferId) -> Option<TransferState> {
    match event.kind {
        EventKind::Transfer(other, TransferEvent::State(state)) if other == id => Some(state),
        _ => None,
    }
}

/// Connects, and trusts the server once it is asked for.
async fn connect(client: &Client, server: &Server) {
    let mut events = client.events();
    let _attendant = client.questions().register_interface();
    let trust = async {
        let (id, question) = wait_for(&mut events, "the question of trust", question).await;
        let Question::Trust { fingerprint, not_remembered: None, .. } = question else {
            panic!("{question:?}")
        };
        assert_eq!(fingerprint.to_string(), server.fingerprint());
        let wrong = client.questions().answer(id, Answer::Replace(true));
        assert_eq!(wrong, Err(AnswerError::WrongKind));
        client.questions().answer(id, Answer::Trust(true)).unwrap();
    };
    let (welcome, ()) =
        wait_within(TIMEOUT, "a connection", async { tokio::join!(client.connect(), trust) }).await;
    assert_eq!(welcome.unwrap().name.as_str(), "Ron");
}

async fn download(
    client: &Client,
    path: &str,
    folder: PathBuf,
    options: TransferOptions,
) -> RunningTransfer {
    let destination = Destination::Folder(folder);
    let request = DownloadRequest { paths: vec![path.to_owned()], destination, options };
    let prepared = client.prepare_download(request).await.unwrap();
    client.start(prepared).unwrap()
}

#[tokio::test]
async fn a_tree_is_watched_to_its_end_and_a_slow_reader_gets_a_snapshot() {
    let server = Server::start().await;
    for number in 0..FILES {
        server.add_file(format!("many/{number:04}"), format!("{number}"));
    }
    let home = Home::new();
    let inbox = home.folder().join("inbox");
    fs::create_dir_all(inbox.join("many")).unwrap();
    fs::write(inbox.join("many/0007"), "another content").unwrap();
    let client = client(&server, &home);
    connect(&client, &server).await;

    let (mut events, mut slow) = (client.events(), client.events());
    let _attendant = client.questions().register_interface();
    let options = TransferOptions {
        recursive: true,
        on_conflict: ConflictPolicy::Ask,
        report_files: true,
        ..TransferOptions::default()
    };
    let mut running = download(&client, "many", inbox.clone(), options).await;
    let (id, asked) = wait_for(&mut events, "the conflict", question).await;
    let Question::Conflict { path } = asked else { panic!("{asked:?}") };
    assert!(path.ends_with("many/0007"), "{path}");
    assert_eq!(client.transfer(running.id).unwrap().state, TransferState::WaitingForAnswer);
    assert_eq!(client.questions().open().len(), 1);
    let decision = Answer::Conflict { decision: Decision::Replace, for_all: true };
    client.questions().answer(id, decision).unwrap();

    let (mut done, mut last) = (0, 0);
    let over = wait_for(&mut events, "the end of the transfer", |event| {
        state(event, running.id).filter(|state| state.is_over())
    });
    assert_eq!(over.await, TransferState::Done);
    assert!(matches!(running.wait().await, TransferEnd::Done));
    let status = client.transfer(running.id).unwrap();
    assert_eq!((status.files, status.files_done), (Some(FILES as u64), FILES as u64));
    assert_eq!((status.received, status.verified), (status.bytes.unwrap(), status.bytes.unwrap()));
    // Its files, in pages: the folder, and what is in it.
    loop {
        let page = client.transfer_files(running.id, last, 100).await.unwrap();
        let Some(file) = page.last() else { break };
        last = file.number;
        done += page.iter().filter(|file| file.state == FileState::Done).count();
    }
    assert_eq!((last, done), (FILES as u64 + 1, FILES));
    assert_eq!(fs::read(inbox.join("many/0007")).unwrap(), b"7");
    assert_eq!(tree::count(&inbox.join("many")), FILES);

    // One that took nothing meanwhile is told how everything is now, and what follows.
    let snapshot = wait_for(&mut slow, "a snapshot", |event| match &event.kind {
        EventKind::Snapshot(snapshot) => Some(snapshot.clone()),
        _ => panic!("{event:?} where a snapshot was due"),
    })
    .await;
    assert!(matches!(snapshot.connection, ConnectionState::Connected(_)));
    assert_eq!(snapshot.transfers[0].state, TransferState::Done);
    assert!(snapshot.questions.is_empty());
    client.shut_down().await;
}

#[tokio::test]
async fn a_running_download_is_paused_resumed_and_cancelled() {
    let server = Server::start().await;
    server.add_file("large", vec![7; LARGE]);
    let home = Home::new();
    let inbox = home.folder().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let client = client(&server, &home);
    connect(&client, &server).await;
    let mut events = client.events();
    let options = TransferOptions { rate_limit: RATE.parse().ok(), ..TransferOptions::default() };
    let mut running = download(&client, "large", inbox.clone(), options).await;
    let id = running.id;
    let received = || client.transfer(id).unwrap().received;
    wait_until("some of it is here", || received() > 1_000_000).await;

    client.pause(id).unwrap();
    wait_for(&mut events, "its pause", |event| {
        state(event, id).filter(|state| *state == TransferState::Paused)
    })
    .await;
    // The server has no more to do with it, and what came is kept.
    server.log().wait_for("not delivered: large").await;
    let before = received();
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Paused);

    client.resume(id).unwrap();
    let offset = wait_for(&mut events, "where it is resumed", |event| match &event.kind {
        EventKind::Notice(Notice::Resuming { offset, .. }) => Some(*offset),
        _ => None,
    });
    let offset = offset.await;
    assert!(offset > 0 && offset <= before, "{offset} of {before}");
    wait_until("more of it is here", || received() > before).await;
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Running);

    client.cancel(id).unwrap();
    assert!(matches!(running.wait().await, TransferEnd::Cancelled));
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Cancelled);
    assert!(client.pause(id).is_err() && client.cancel(id).is_err());
    assert!(!inbox.join("large").exists());
    assert_eq!(partial_files(&inbox), 1, "what came is kept for a later attempt");
    client.shut_down().await;
}

#[tokio::test]
async fn a_running_upload_is_paused_and_resumed_to_its_end() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let large = home.folder().join("large");
    fs::write(&large, vec![7; LARGE]).unwrap();
    let client = client(&server, &home);
    connect(&client, &server).await;
    let mut events = client.events();
    let request = UploadRequest {
        content: UploadContent::Paths(vec![large]),
        to: String::new(),
        stored_as: None,
        options: TransferOptions {
            rate_limit: "12MB/s".parse().ok(),
            ..TransferOptions::default()
        },
    };
    let mut prepared = client.prepare_upload(request).unwrap();
    client.check_with_server(&mut prepared).await.unwrap();
    let mut running = client.start(prepared).unwrap();
    let id = running.id;
    wait_until("some of it is there", || client.transfer(id).unwrap().received > 1_000_000).await;
    // At once: the server learns of the pause while the next attempt asks for what is kept.
    client.pause(id).unwrap();
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Paused);
    for _ in 0..8 {
        // On the one thread of this test the transfer has its turn, and gives its stream up.
        tokio::task::yield_now().await;
    }
    client.resume(id).unwrap();
    let resumed = wait_for(&mut events, "where it is resumed", |event| match &event.kind {
        EventKind::Notice(Notice::Resuming { offset, .. }) => Some(*offset),
        _ => None,
    });
    assert!(resumed.await > 0);
    let end = wait_within(TIMEOUT * 3, "its end", running.wait()).await;
    assert!(matches!(end, TransferEnd::Done), "{end:?}");
    assert!(fs::read(server.files().join("large")).unwrap() == vec![7; LARGE]);
    let status = client.transfer(id).unwrap();
    let size = LARGE as u64;
    assert_eq!((status.files, status.files_done), (Some(1), 1));
    assert_eq!((status.bytes, status.received, status.verified), (Some(size), size, size));
    client.shut_down().await;
}

#[tokio::test]
async fn a_transfer_that_is_paused_again_and_again_is_whole_and_counted_once() {
    const SIZE: usize = 3_000_000;
    let server = Server::start().await;
    fs::write(server.files().join("file"), vec![7; SIZE]).unwrap();
    let home = Home::new();
    let client = client(&server, &home);
    connect(&client, &server).await;
    // Pauses fall before the first attempt, into the content, and while the file gets its name.
    let mut pauses = 0;
    for round in 0..40_u64 {
        let inbox = home.folder().join(round.to_string());
        fs::create_dir(&inbox).unwrap();
        let options =
            TransferOptions { rate_limit: "200MB/s".parse().ok(), ..TransferOptions::default() };
        let request = DownloadRequest {
            paths: vec!["file".to_owned()],
            destination: Destination::Folder(inbox.clone()),
            options,
        };
        let prepared = client.prepare_download(request).await.unwrap();
        let mut running = client.start(prepared).unwrap();
        let id = running.id;
        let mut pause_at = round * 50_000;
        let end = wait_within(TIMEOUT, "its end", async {
            loop {
                if client.transfer(id).unwrap().received >= pause_at && client.pause(id).is_ok() {
                    let state = client.transfer(id).unwrap().state;
                    assert!(state == TransferState::Paused || state.is_over(), "{state:?}");
                    pauses += 1;
                    tokio::task::yield_now().await;
                    client.resume(id).unwrap();
                    pause_at += 700_000;
                }
                tokio::select! {
                    biased;
                    end = running.wait() => break end,
                    () = tokio::task::yield_now() => {}
                }
            }
        });
        let end = end.await;
        assert!(matches!(end, TransferEnd::Done), "round {round}: {end:?}");
        assert!(fs::read(inbox.join("file")).unwrap() == vec![7; SIZE], "round {round}");
        assert_eq!(partial_files(&inbox), 0);
        let status = client.transfer(id).unwrap();
        let size = SIZE as u64;
        assert_eq!((status.bytes, status.received), (Some(size), size), "round {round}");
        assert_eq!((status.sent, status.verified), (size, size));
    }
    assert!(pauses >= 80, "only {pauses} pauses");
    assert!(client.journal().read().unwrap().0.is_empty(), "nothing is unfinished");
    client.shut_down().await;
}

#[tokio::test]
async fn events_go_on_over_a_renewed_session_and_errors_have_codes() {
    let mut server = Server::start().await;
    let home = Home::new();
    let client = client(&server, &home);
    connect(&client, &server).await;
    let mut readers = [client.events(), client.events()];
    let missing = client.list("missing").await.unwrap().next().await.unwrap_err();
    assert_eq!((missing.code(), missing.code().as_str()), (ErrorCode::NotFound, "not_found"));
    server.restart().await;
    for events in &mut readers {
        wait_for(events, "the loss", |event| match &event.kind {
            EventKind::Connection(ConnectionState::Lost(_)) => Some(()),
            _ => None,
        })
        .await;
    }
    assert!(!client.is_connected());
    client.connect().await.unwrap();
    for events in &mut readers {
        wait_for(events, "the renewed session", |event| match &event.kind {
            EventKind::Connection(ConnectionState::Reconnected(welcome)) => Some(welcome.client),
            _ => None,
        })
        .await;
    }
    assert_eq!(client.message("Hello").await.unwrap(), "Hello ACK");
    client.disconnect().await;
    client.shut_down().await;
    wait_within(TIMEOUT, "the end of events", async {
        while readers[0].next().await.is_some() {}
    })
    .await;
}

fn partial_files(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".part")).count()
}
