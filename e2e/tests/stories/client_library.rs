//! The client library, without the command line, with a real server: requests in, events out, and questions that are
//! answered by values.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::path::{Path, PathBuf};

use quiver_client::event::{ClientEvent, ConnectionState, EventKind, EventReceiver};
use quiver_client::folders::Folders;
use quiver_client::notice::Notice;
use quiver_client::question::{Answer, AnswerError, Question, QuestionId};
use quiver_client::request::{
    ConflictPolicy, Destination, DownloadRequest, TransferOptions, UploadContent, UploadRequest,
};
use quiver_client::settings::PathPolicy;
use quiver_client::transfers::{FileState, TransferEvent, TransferId, TransferState};
use quiver_client::tree::Decision;
use quiver_client::{Client, ClientSettings, ErrorCode, RunningTransfer, TransferEnd};
use quiver_e2e::deadline::{TIMEOUT, wait_until, wait_within};
use quiver_e2e::tree;
use quiver_e2e::{Home, Server};
use quiver_protocol::ClientName;
use quiver_transport::{CongestionControl, Endpoint, EndpointSettings};

/// More files than an event queue has space for.
const FILES: usize = quiver_client::event::CAPACITY + 44;

/// The size of a file that takes several seconds at [`RATE`], in bytes.
const LARGE_SIZE: usize = 24 * 1024 * 1024;
const RATE: &str = "4MB/s";

/// A client that has folders of its own and does not know the server's certificate.
fn client(server: &Server, home: &Home) -> Client {
    let folder = |name: &str| home.folder().join(name);
    let settings = ClientSettings {
        server: server.address().to_string().parse().unwrap(),
        certificate: None,
        name: Some(ClientName::parse("Ron").unwrap()),
        password_file: None,
        timeout: TIMEOUT,
        paths: PathPolicy::default(),
        one_shot: false,
        congestion: CongestionControl::Auto,
    };
    let folders = Folders::at(folder("config"), folder("data"), folder("state"));
    Client::new(settings, folders, Endpoint::dialler(EndpointSettings::default()).unwrap()).unwrap()
}

/// Waits for the first event for which `wanted` returns a value, and returns that value.
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

fn find_question(event: &ClientEvent) -> Option<(QuestionId, Question)> {
    match &event.kind {
        EventKind::Question(id, question) => Some((*id, (**question).clone())),
        _ => None,
    }
}

fn find_state(event: &ClientEvent, id: TransferId) -> Option<TransferState> {
    match event.kind {
        EventKind::Transfer(other, TransferEvent::State(state)) if other == id => Some(state),
        _ => None,
    }
}

/// Connects, and answers that the server is trusted.
async fn connect(client: &Client, server: &Server) {
    let mut events = client.events();
    let _attendant = client.questions().register_interface();
    let trust = async {
        let (id, question) = wait_for(&mut events, "the trust question", find_question).await;
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
async fn events_report_a_tree_download_and_a_slow_reader_gets_a_snapshot() {
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
    let (id, question) = wait_for(&mut events, "the conflict question", find_question).await;
    let Question::Conflict { path } = question else { panic!("{question:?}") };
    assert!(path.ends_with("many/0007"), "{path}");
    assert_eq!(client.transfer(running.id).unwrap().state, TransferState::WaitingForAnswer);
    assert_eq!(client.questions().open().len(), 1);
    let decision = Answer::Conflict { decision: Decision::Replace, for_all: true };
    client.questions().answer(id, decision).unwrap();

    let (mut done, mut last) = (0, 0);
    let end = wait_for(&mut events, "the end of the transfer", |event| {
        find_state(event, running.id).filter(|state| state.is_over())
    });
    assert_eq!(end.await, TransferState::Done);
    assert!(matches!(running.wait().await, TransferEnd::Done));
    let status = client.transfer(running.id).unwrap();
    assert_eq!((status.files, status.files_done), (Some(FILES as u64), FILES as u64));
    assert_eq!((status.received, status.verified), (status.bytes.unwrap(), status.bytes.unwrap()));
    // The pages list the folder and its files.
    loop {
        let page = client.transfer_files(running.id, last, 100).await.unwrap();
        let Some(file) = page.last() else { break };
        last = file.number;
        done += page.iter().filter(|file| file.state == FileState::Done).count();
    }
    assert_eq!((last, done), (FILES as u64 + 1, FILES));
    assert_eq!(fs::read(inbox.join("many/0007")).unwrap(), b"7");
    assert_eq!(tree::count(&inbox.join("many")), FILES);

    // A reader whose queue was full receives a snapshot of the current state.
    let snapshot = wait_for(&mut slow, "a snapshot", |event| match &event.kind {
        EventKind::Snapshot(snapshot) => Some(snapshot.clone()),
        _ => panic!("{event:?} instead of a snapshot"),
    })
    .await;
    assert!(matches!(snapshot.connection, ConnectionState::Connected(_)));
    assert_eq!(snapshot.transfers[0].state, TransferState::Done);
    assert!(snapshot.questions.is_empty());
    client.shut_down().await;
}

#[tokio::test]
async fn the_client_pauses_resumes_and_cancels_a_running_download() {
    let server = Server::start().await;
    server.add_file("large", vec![7; LARGE_SIZE]);
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
    wait_until("the first megabyte", || received() > 1_000_000).await;

    client.pause(id).unwrap();
    wait_for(&mut events, "the pause", |event| {
        find_state(event, id).filter(|state| *state == TransferState::Paused)
    })
    .await;
    // The server has stopped sending, and the client keeps the partial file.
    server.log().wait_for("not delivered: large").await;
    let before = received();
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Paused);

    client.resume(id).unwrap();
    let offset = wait_for(&mut events, "the notice of the offset", |event| match &event.kind {
        EventKind::Notice(Notice::Resuming { offset, .. }) => Some(*offset),
        _ => None,
    });
    let offset = offset.await;
    assert!(offset > 0 && offset <= before, "{offset} of {before}");
    wait_until("more content", || received() > before).await;
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Running);

    client.cancel(id).unwrap();
    assert!(matches!(running.wait().await, TransferEnd::Cancelled));
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Cancelled);
    assert!(client.pause(id).is_err() && client.cancel(id).is_err());
    assert!(!inbox.join("large").exists());
    assert_eq!(count_partial_files(&inbox), 1, "the partial file is kept for a later attempt");
    client.shut_down().await;
}

#[tokio::test]
async fn the_client_pauses_and_resumes_a_running_upload() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let large = home.folder().join("large");
    fs::write(&large, vec![7; LARGE_SIZE]).unwrap();
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
    wait_until("the first megabyte", || client.transfer(id).unwrap().received > 1_000_000).await;
    // Resumed at once, so that the server notices the pause while it handles the next attempt.
    client.pause(id).unwrap();
    assert_eq!(client.transfer(id).unwrap().state, TransferState::Paused);
    for _ in 0..8 {
        // Lets the transfer run on the only thread of this test, and abandon its stream.
        tokio::task::yield_now().await;
    }
    client.resume(id).unwrap();
    let offset = wait_for(&mut events, "the notice of the offset", |event| match &event.kind {
        EventKind::Notice(Notice::Resuming { offset, .. }) => Some(*offset),
        _ => None,
    });
    assert!(offset.await > 0);
    let end = wait_within(TIMEOUT * 3, "the end of the upload", running.wait()).await;
    assert!(matches!(end, TransferEnd::Done), "{end:?}");
    assert!(fs::read(server.files().join("large")).unwrap() == vec![7; LARGE_SIZE]);
    let status = client.transfer(id).unwrap();
    let size = LARGE_SIZE as u64;
    assert_eq!((status.files, status.files_done), (Some(1), 1));
    assert_eq!((status.bytes, status.received, status.verified), (Some(size), size, size));
    client.shut_down().await;
}

#[tokio::test]
async fn a_download_that_is_paused_repeatedly_is_complete_and_counted_once() {
    const SIZE: usize = 3_000_000;
    let server = Server::start().await;
    fs::write(server.files().join("file"), vec![7; SIZE]).unwrap();
    let home = Home::new();
    let client = client(&server, &home);
    connect(&client, &server).await;
    // The pauses come before the first attempt, during the content, and while the file gets its final name.
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
        let end = wait_within(TIMEOUT, "the end of the download", async {
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
        assert_eq!(count_partial_files(&inbox), 0);
        let status = client.transfer(id).unwrap();
        let size = SIZE as u64;
        assert_eq!((status.bytes, status.received), (Some(size), size), "round {round}");
        assert_eq!((status.sent, status.verified), (size, size));
    }
    assert!(pauses >= 80, "only {pauses} pauses");
    assert!(client.journal().read().unwrap().0.is_empty(), "a transfer is unfinished");
    client.shut_down().await;
}

#[tokio::test]
async fn events_continue_after_a_reconnect_and_errors_have_codes() {
    let mut server = Server::start().await;
    let home = Home::new();
    let client = client(&server, &home);
    connect(&client, &server).await;
    let mut readers = [client.events(), client.events()];
    let missing = client.list("missing").await.unwrap().next().await.unwrap_err();
    assert_eq!((missing.code(), missing.code().as_str()), (ErrorCode::NotFound, "not_found"));
    server.restart().await;
    for events in &mut readers {
        wait_for(events, "the connection loss", |event| match &event.kind {
            EventKind::Connection(ConnectionState::Lost(_)) => Some(()),
            _ => None,
        })
        .await;
    }
    assert!(!client.is_connected());
    client.connect().await.unwrap();
    for events in &mut readers {
        wait_for(events, "the reconnect", |event| match &event.kind {
            EventKind::Connection(ConnectionState::Reconnected(welcome)) => Some(welcome.client),
            _ => None,
        })
        .await;
    }
    assert_eq!(client.message("Hello").await.unwrap(), "Hello ACK");
    client.disconnect().await;
    client.shut_down().await;
    wait_within(TIMEOUT, "the end of events", async { while readers[0].next().await.is_some() {} })
        .await;
}

/// The number of partial files in a folder.
fn count_partial_files(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".part")).count()
}
