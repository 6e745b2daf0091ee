//! `list` and `get` of offered files between two peers, below the id of their offer.

use std::sync::Arc;

use quiver_protocol::chunk::BLOCK;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode, Request};
use quiver_transfer::get::{self, ServedFile};
use quiver_transfer::list::{self, ListItem};
use quiver_transfer::offered_files::{OfferedContent, OfferedFiles};
use quiver_transfer::served_folder::{FixedMemory, ServedPathError};
use quiver_transfer::{
    BackgroundPool, HashedPrefix, Lane, ProofLimits, ReplacePolicy, ResumableFile, StorageTarget,
    TransferThrottle,
};
use quiver_transport::{CommandStream, StreamError};

use crate::peers::{
    RecordingObserver, Requester, Responder, TIMEOUT, content, path, with_either_dialler,
};

const OFFER: &str = "7";

/// Responds to one request about the offer with this id.
async fn respond(
    files: &Arc<OfferedFiles>,
    lane: Lane,
    request: Request,
    stream: &mut CommandStream,
) -> Result<(), ServedPathError> {
    match request {
        Request::List { path } => {
            let (offer, folder) = path.split_first().ok_or(ServedPathError::NotFound)?;
            assert_eq!(offer, OFFER);
            let memory = FixedMemory::new(64 * 1024);
            let listing = files.list(&folder, path.clone(), lane, memory).await?;
            list::serve(listing, &mut stream.writer).await.unwrap();
        }
        Request::Get { path, have } => {
            let (offer, file) = path.split_first();
            assert_eq!(offer, OFFER);
            let source = files.open(&file.ok_or(ServedPathError::NotAFile)?)?;
            let proofs = ProofLimits::default();
            let served =
                ServedFile { path, source, have, block: BLOCK, proofs, prefix_cache: None };
            let observer = RecordingObserver::default();
            let sent = get::serve(stream, served, &observer).await.unwrap();
            sent.confirm(&mut stream.reader, TIMEOUT, observer).await.unwrap();
        }
        request => panic!("{request:?}"),
    }
    Ok(())
}

/// Responds to the next requests.
async fn serve(responder: &Responder, files: &Arc<OfferedFiles>, requests: usize) {
    let pool = BackgroundPool::new(1);
    for _ in 0..requests {
        let (request, mut stream) = responder.request().await;
        if let Err(error) = respond(files, pool.lane(1), request, &mut stream).await {
            let refusal = Refusal::new(RefusalCode::NotFound, error.to_string());
            stream.refuse(&refusal).await.unwrap();
        }
    }
}

async fn list_paths(requester: &Requester, folder: &str) -> Result<Vec<String>, StreamError> {
    let folder = FolderPath::parse(folder).unwrap();
    let mut entries = list::fetch(&requester.channel, folder, TIMEOUT).await?;
    let mut paths = Vec::new();
    loop {
        match entries.next().await? {
            ListItem::Entry(entry) => paths.push(entry.path.to_string()),
            ListItem::End(_) => return Ok(paths),
        }
    }
}

async fn fetch(requester: &Requester, path: &FilePath, name: &str) {
    let file = get::fetch(&requester.channel, path, None, TIMEOUT).await.unwrap();
    let folder = requester.folder.dir.clone();
    let (name, replace) = (name.to_owned(), ReplacePolicy::Never);
    let target = StorageTarget { folder, name, path: "file".into(), replace };
    let partial = ResumableFile::open(&target, 1, false).await.unwrap();
    let (prefix, throttle) = (HashedPrefix::empty(), TransferThrottle::default());
    let moved = std::future::pending();
    file.store(&partial, prefix, &target, &throttle, moved, |_| {}).await.unwrap();
}

#[tokio::test]
async fn offered_files_are_listed_and_fetched_below_the_id_of_their_offer() {
    with_either_dialler(async |requester, responder| {
        let bytes = content(3 * BLOCK);
        std::fs::create_dir(responder.folder.path("photos")).unwrap();
        responder.folder.write("photos/one", &bytes);
        responder.folder.write("notes", b"text");
        let mut files = OfferedFiles::default();
        for name in ["photos", "notes"] {
            let path = responder.folder.path(name);
            files.add(name, OfferedContent::Path(path)).unwrap();
        }
        let files = Arc::new(files);
        let requests = async {
            let top = list_paths(&requester, "7").await.unwrap();
            assert_eq!(top, ["7/notes", "7/photos"]);
            assert_eq!(list_paths(&requester, "7/photos").await.unwrap(), ["7/photos/one"]);
            let missing = list_paths(&requester, "7/music").await;
            assert!(matches!(missing, Err(StreamError::Refused(_))), "{missing:?}");
            fetch(&requester, &path("7/photos/one"), "one").await;
            fetch(&requester, &path("7/notes"), "notes").await;
            assert!(requester.folder.read("one") == bytes);
            assert_eq!(requester.folder.read("notes"), b"text");
        };
        tokio::join!(serve(&responder, &files, 5), requests);
    })
    .await;
}
