//! Checks of a download before its first request.

use std::fs;

use super::*;
use crate::error::ErrorCode;
use crate::event::{ConnectionState, EventHub, EventKind};
use crate::questions::Questions;
use crate::request::Destination;
use crate::seen_names::SeenNames;

fn request(folder: &Path, paths: &[&str]) -> DownloadRequest {
    DownloadRequest {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        destination: Destination::Folder(folder.to_owned()),
        options: TransferOptions::default(),
    }
}

fn reporter(hub: EventHub, questions: Questions) -> Reporter {
    let connection = Arc::new(parking_lot::Mutex::new(ConnectionState::Disconnected));
    Reporter::new(hub, questions, connection, SeenNames::none())
}

async fn prepared(request: DownloadRequest) -> Result<Download, ClientError> {
    let hub = EventHub::default();
    Download::prepare(request, &reporter(hub.clone(), Questions::new(hub))).await
}

#[tokio::test]
async fn a_file_is_stored_under_the_last_component_of_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a/b/-rf", "with space.txt"];
    let download = prepared(request(folder.path(), &paths)).await.unwrap();
    let names = download.items().iter().map(|item| match &item.target {
        DownloadTarget::File(target, _) => target.name.as_str(),
        DownloadTarget::Stream => "-",
    });
    assert_eq!(names.collect::<Vec<_>>(), ["-rf", "with space.txt"]);
}

#[tokio::test]
async fn a_file_may_be_stored_under_a_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let renamed = |paths: &[&str], name: &str| DownloadRequest {
        destination: Destination::Renamed {
            folder: folder.path().to_owned(),
            name: name.to_owned(),
        },
        ..request(folder.path(), paths)
    };
    // The path of a single file is no pattern.
    let download = prepared(renamed(&["/a/x*y"], "new")).await.unwrap();
    let [item] = download.items() else { panic!("{download:?}") };
    assert_eq!(item.path.as_str(), "a/x*y");
    assert_eq!(download.targets(), [folder.path().canonicalize().unwrap().join("new")]);
    for (paths, name) in [(&["a", "b"][..], "c"), (&["a"], "b/c"), (&["a"], ".."), (&["a"], "")] {
        let error = prepared(renamed(paths, name)).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidRequest, "{name:?}: {error}");
    }
}

#[tokio::test]
async fn prepare_rejects_a_target_that_cannot_be_stored() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let missing = folder.path().join("missing");
    for (folder, paths, code) in [
        (folder.path(), &["a/x", "b/x"][..], ErrorCode::InvalidRequest),
        (folder.path(), &["../x"], ErrorCode::InvalidRequest),
        (folder.path(), &["/"], ErrorCode::NotFound),
        (folder.path(), &["free", "taken"], ErrorCode::Other),
        (folder.path(), &["folder"], ErrorCode::Other),
        (folder.path(), &[".quiver-0123456789abcdef.part"], ErrorCode::LocalDisk),
        (missing.as_path(), &["x"], ErrorCode::LocalDisk),
    ] {
        let error = prepared(request(folder, paths)).await.unwrap_err();
        assert_eq!(error.code(), code, "{paths:?}: {error}");
    }
    let mut overwriting = request(folder.path(), &["taken"]);
    overwriting.options.on_conflict = ConflictPolicy::Decided(crate::tree::Decision::Replace);
    assert_eq!(prepared(overwriting).await.unwrap().file_count(), 1);
}

#[tokio::test]
async fn files_that_the_user_keeps_are_not_downloaded() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "").unwrap();
    fs::write(folder.path().join("b"), "").unwrap();
    let hub = EventHub::default();
    let mut events = hub.subscribe();
    let questions = Questions::new(hub.clone());
    let _attendant = questions.register_interface();
    let reporter = reporter(hub, questions.clone());
    let mut asking = request(folder.path(), &["a", "b"]);
    asking.options.on_conflict = ConflictPolicy::Ask;
    let answers = async {
        for _ in 0..2 {
            let (id, path) = loop {
                let event = events.next().await.unwrap();
                let EventKind::Question(id, question) = event.kind else { continue };
                let Question::Replace { path, on_server: false } = &*question else { panic!() };
                break (id, path.clone());
            };
            questions.answer(id, Answer::Replace(path.ends_with("/b"))).unwrap();
        }
    };
    let (download, ()) = tokio::join!(Download::prepare(asking, &reporter), answers);
    let download = download.unwrap();
    assert_eq!(download.not_replaced, [folder.path().join("a")]);
    assert_eq!((download.items().len(), download.file_count()), (1, 2));
}
