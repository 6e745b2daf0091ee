//! Files that change while the server sends them: the client receives either the complete content of the file
//! that the server opened, or the error `changed`.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use quiver_e2e::random::Random;
use quiver_e2e::wire::RawDownload;
use quiver_e2e::{Client, Server};

/// Larger than all buffers between server and client, so that the server cannot finish before the client reads.
const SIZE: u64 = 16 * 1024 * 1024;

/// A file from yesterday, half of which a client has received.
struct HalfReceivedFile {
    server: Server,
    client: Client,
    download: RawDownload,
    path: PathBuf,
    hash: String,
}

async fn start_download() -> HalfReceivedFile {
    let server = Server::start().await;
    let content = Random::new(3).bytes(SIZE as usize);
    let path = server.add_file("big", &content);
    // Then each write changes the modification time, however coarse the file system's clock is.
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(SIZE / 2).await;
    HalfReceivedFile {
        server,
        client,
        download,
        path,
        hash: blake3::hash(&content).to_hex().to_string(),
    }
}

impl HalfReceivedFile {
    fn open(&self) -> File {
        File::options().write(true).open(&self.path).unwrap()
    }

    /// Receives the rest, and checks that the content is that of the file at the start.
    async fn assert_delivered_unchanged(self) {
        let content = self.download.finish().await.unwrap();
        assert_eq!((content.bytes, content.hash.as_str()), (SIZE, self.hash.as_str()));
        content.acknowledge().await;
        self.server.log().wait_for("delivered big").await;
        self.client.assert_alive().await;
    }

    /// Checks that the download ends with the error `changed`, and that the next one gets the new content.
    async fn assert_refused_as_changed(self) {
        let response = self.download.finish().await.unwrap_err();
        assert_eq!(response.code(), "changed");
        self.server.log().wait_for("not delivered: big to Client 1: Ron").await;
        self.client.assert_alive().await;
        let new = fs::read(&self.path).unwrap();
        let content = self.client.get("big").await.unwrap().finish().await.unwrap();
        assert_eq!(content.hash, blake3::hash(&new).to_hex().as_str());
        content.acknowledge().await;
    }
}

#[tokio::test]
async fn the_server_finishes_sending_a_file_that_is_removed() {
    let file = start_download().await;
    fs::remove_file(&file.path).unwrap();
    assert_eq!(file.client.get_code("big").await, "not_found");
    file.assert_delivered_unchanged().await;
}

#[tokio::test]
async fn the_server_finishes_sending_a_file_that_is_replaced() {
    for new in [&b"new"[..], &vec![7; 2 * SIZE as usize]] {
        let file = start_download().await;
        let replacement = file.path.with_extension("new");
        fs::write(&replacement, new).unwrap();
        fs::rename(&replacement, &file.path).unwrap();
        file.assert_delivered_unchanged().await;
    }
}

#[tokio::test]
async fn the_server_sends_a_growing_file_up_to_its_size_at_the_start() {
    let file = start_download().await;
    let writer = file.open();
    for round in 0..100 {
        writer.write_all_at(b"one more line\n", SIZE + 14 * round).unwrap();
    }
    file.assert_delivered_unchanged().await;
}

#[tokio::test]
async fn the_server_does_not_follow_a_file_that_keeps_growing() {
    let mut file = start_download().await;
    let writer = file.open();
    for round in 0..50 {
        writer.write_all_at(b"one more line\n", SIZE + 14 * round).unwrap();
        file.download.read_at_least(SIZE / 2 + round * (SIZE / 128)).await;
    }
    file.assert_delivered_unchanged().await;
}

#[tokio::test]
async fn the_server_reports_a_file_that_shrinks_as_changed() {
    for length in [SIZE - 1, SIZE / 2 + 1, SIZE / 2, 1, 0] {
        let file = start_download().await;
        file.open().set_len(length).unwrap();
        file.assert_refused_as_changed().await;
    }
}

#[tokio::test]
async fn the_server_reports_a_file_that_shrinks_and_grows_again_as_changed() {
    let file = start_download().await;
    let writer = file.open();
    writer.set_len(SIZE / 4).unwrap();
    writer.set_len(SIZE).unwrap();
    file.assert_refused_as_changed().await;
}

#[tokio::test]
async fn the_server_reports_a_file_that_is_overwritten_in_place_as_changed() {
    // In the content that was sent, at the end, in the middle, and a single byte.
    for (offset, length) in [(0, 1024), (SIZE - 1, 1), (SIZE / 2, 1024 * 1024), (SIZE / 3, 1)] {
        let file = start_download().await;
        file.open().write_all_at(&vec![0xaa; length], offset).unwrap();
        file.assert_refused_as_changed().await;
    }
}

#[tokio::test]
async fn the_server_reports_a_file_that_is_truncated_and_refilled_as_changed() {
    let file = start_download().await;
    // As an editor or `cp` does.
    fs::write(&file.path, vec![0xaa; SIZE as usize]).unwrap();
    file.assert_refused_as_changed().await;
}
