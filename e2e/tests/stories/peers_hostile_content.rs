//! A sender whose files and lists are not what it has offered: its recipient stores nothing of them, stops, and says why.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::path::PathBuf;

use quiver_client::request::AcceptRequest;
use quiver_client::settings::PathPolicy;
use quiver_client::{RunningTransfer, TransferEnd};
use quiver_e2e::quiver::names;
use quiver_e2e::wire::{RawFrame, RawResponse, RawStream, hash, kind};
use quiver_e2e::{LibraryClient, PeerConnection, RawPeer, Server, TIMEOUT, wait_within};
use serde_json::{Value, json};

const ID: &str = "000000000000000000000000000000aa";
const MODIFIED: &str = "2024-10-19T17:45:47Z";

/// Mallory, who has offered a file of five bytes, and Ron, who has accepted it.
struct Accepted {
    /// Also ends Ron's connection when it is dropped.
    _server: Server,
    ron: LibraryClient,
    running: RunningTransfer,
    folder: PathBuf,
    _mallory: RawPeer,
    connection: PeerConnection,
    /// The stream of the offer.
    offer: RawStream,
}

impl Accepted {
    async fn start() -> Self {
        let server = Server::start().await;
        let mut ron = LibraryClient::connect(&server, "Ron", PathPolicy::RelayOnly).await;
        let folder = ron.home.folder().join("in");
        fs::create_dir(&folder).unwrap();
        let mallory = RawPeer::sign_in(&server, "Mallory").await;
        let connection = mallory.connect("Ron").await;
        let request = json!({
            "command": "offer", "offer": ID, "count": 1, "files": 1, "bytes": 5,
            "entries": [{"name": "a.txt", "kind": "file", "size": 5}],
        });
        let mut offer = connection.start_request(request).await;
        assert_eq!(offer.next_reply().await["reply"], "pending");
        let number = ron.next_offer().await.number;
        // Before the person accepts, nothing is asked for.
        let early = tokio::time::timeout(std::time::Duration::ZERO, connection.next_request());
        assert!(early.await.is_err(), "a request before the offer is accepted");
        let request = AcceptRequest { folder: folder.clone(), ..AcceptRequest::default() };
        let running = ron.client.accept_offer(number, request).await.unwrap();
        assert_eq!(offer.next_reply().await["reply"], "accepted");
        Self { _server: server, ron, running, folder, _mallory: mallory, connection, offer }
    }

    /// The next request for files, which must be this one. Agreements on direct connections are refused.
    async fn expect_request(&self, command: &str, path: &str) -> RawStream {
        let (request, stream) = self.connection.next_request().await;
        assert_eq!((&request["command"], &request["path"]), (&json!(command), &json!(path)));
        stream
    }

    /// Answers the list of the offer with these entries.
    async fn send_list(&self, entries: &[Value]) {
        let mut stream = self.expect_request("list", ID).await;
        for entry in entries {
            // The recipient may stop at an earlier one.
            let _ = stream.write_frame(&RawFrame::json(kind::REPLY, entry)).await;
        }
        let end = json!({"entries": entries.len(), "not_served": 0});
        let _ = stream.write_frame(&RawFrame::json(kind::EOF, &end)).await;
        stream.finish();
    }

    /// Waits for the end, and returns the error and the answer to the offer.
    async fn failure(mut self) -> (String, RawResponse) {
        let (end, answer) = wait_within(TIMEOUT, "the end", async {
            tokio::join!(self.running.wait(), self.offer.read_response())
        })
        .await;
        let TransferEnd::Failed(error) = end else { panic!("{end:?}") };
        assert_eq!(names(&self.folder), [""; 0]);
        assert_eq!(self.ron.home.names(), ["data", "in", "state"]);
        self.ron.client.shut_down().await;
        (error.to_string(), answer.unwrap())
    }
}

fn entry(path: &str, size: u64) -> Value {
    json!({"reply": "entry", "path": path, "kind": "file", "size": size, "modified": MODIFIED})
}

fn listed(name: &str, size: u64) -> Value {
    entry(&format!("{ID}/{name}"), size)
}

#[tokio::test]
async fn entries_outside_the_offered_folder_end_the_transfer() {
    let paths = ["../a.txt", "/etc/a.txt", "a.txt", "000000000000000000000000000000ab/a.txt"]
        .map(str::to_owned);
    let deep = [format!("{ID}/b/a.txt"), format!("{ID}/../a.txt"), format!("{ID}/a\u{1b}[2J")];
    for path in paths.into_iter().chain(deep) {
        let test = Accepted::start().await;
        test.send_list(&[entry(&path, 5)]).await;
        let (error, answer) = test.failure().await;
        assert_eq!(answer.code(), "internal", "{path:?}");
        assert!(!error.contains(|character: char| character.is_control()), "{error:?}");
    }
}

#[tokio::test]
async fn files_that_begin_with_a_dot_at_the_top_are_not_fetched() {
    let mut test = Accepted::start().await;
    test.send_list(&[listed(".bashrc", 5)]).await;
    // There is nothing else, so the offered file is missed.
    let end = wait_within(TIMEOUT, "the end", test.running.wait()).await;
    let TransferEnd::Failed(error) = end else { panic!("{end:?}") };
    assert_eq!(error.to_string(), "Mallory lists 0 of the 1 offered files");
    assert_eq!(names(&test.folder), [""; 0]);
    test.ron.client.shut_down().await;
}

#[tokio::test]
async fn more_files_or_bytes_than_offered_are_refused_without_a_person() {
    for entries in [
        vec![listed("a.txt", 6)],
        vec![listed("a.txt", 2), listed("b.txt", 3)],
        vec![listed("a.txt", u64::MAX)],
        vec![listed("a.txt", u64::MAX), listed("b.txt", u64::MAX)],
    ] {
        let test = Accepted::start().await;
        test.send_list(&entries).await;
        let (error, answer) = test.failure().await;
        assert_eq!(answer.code(), "too_large", "{entries:?} {error}");
    }
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let test = Accepted::start().await;
    let mut stream = test.expect_request("list", ID).await;
    let endless = async {
        let mut number = 0_u64;
        loop {
            // Also names that are left out count.
            let page: Vec<u8> = (0..500)
                .flat_map(|_| {
                    number += 1;
                    let entry = listed(&format!(".f{number:09}"), 0);
                    RawFrame::json(kind::REPLY, &entry).encode()
                })
                .collect();
            if stream.write(&page).await.is_err() {
                return number;
            }
        }
    };
    let (written, (_, answer)) =
        wait_within(TIMEOUT, "the end", async { tokio::join!(endless, test.failure()) }).await;
    assert_eq!(answer.code(), "too_large");
    assert!(written < 200_000, "{written} entries");
}

#[tokio::test]
async fn a_file_that_is_larger_than_listed_is_not_fetched() {
    for size in [6, 1_000_000, u64::MAX] {
        let test = Accepted::start().await;
        test.send_list(&[listed("a.txt", 5)]).await;
        let mut stream = test.expect_request("get", &format!("{ID}/a.txt")).await;
        let head = json!({
            "reply": "file", "path": format!("{ID}/a.txt"), "size": size, "modified": MODIFIED, "offset": 0,
        });
        stream.write_frame(&RawFrame::json(kind::REPLY, &head)).await.unwrap();
        // The recipient may refuse it before.
        let _ = stream.write_frame(&RawFrame::new(kind::DATA, "123456")).await;
        let (error, answer) = test.failure().await;
        assert_eq!(answer.code(), "too_large", "{size} {error}");
    }
}

#[tokio::test]
async fn content_that_is_not_the_announced_one_is_not_stored() {
    let file = format!("{ID}/a.txt");
    let eof = |size: usize, content: &[u8]| {
        RawFrame::json(kind::EOF, &json!({"size": size, "blake3": hash(content)}))
    };
    let data = |content: &str| RawFrame::new(kind::DATA, content);
    for frames in [
        vec![data("123456"), eof(6, b"123456")],
        vec![data("12345"), data("6"), eof(5, b"12345")],
        vec![data("1234"), eof(4, b"1234")],
        vec![data("12345"), eof(5, b"other")],
    ] {
        let test = Accepted::start().await;
        test.send_list(&[listed("a.txt", 5)]).await;
        let mut stream = test.expect_request("get", &file).await;
        let head =
            json!({"reply": "file", "path": file, "size": 5, "modified": MODIFIED, "offset": 0});
        stream.write_frame(&RawFrame::json(kind::REPLY, &head)).await.unwrap();
        for frame in &frames {
            let _ = stream.write_frame(frame).await;
        }
        stream.finish();
        let (error, answer) = test.failure().await;
        assert_eq!(answer.code(), "internal", "{frames:?} {error}");
    }
}
