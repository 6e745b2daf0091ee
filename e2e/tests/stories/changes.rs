//! Files that change while they are sent: an answer is either what was there at its beginning, whole, or
//! it is an Error `changed`.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use quiver_e2e::random::Random;
use quiver_e2e::wire::RawDownload;
use quiver_e2e::{Client, Server};

/// More than can be on its way: a get that is not read does not end.
const SIZE: u64 = 16 * 1024 * 1024;

/// A file from yesterday, half way to the client.
struct Half {
    server: Server,
    client: Client,
    download: RawDownload,
    path: PathBuf,
    hash: String,
}

async fn half() -> Half {
    let server = Server::start().await;
    let content = Random::new(3).bytes(SIZE as usize);
    let path = server.add_file("big", &content);
    // Any write is seen then, whatever the grain of the file system's clock.
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(&path).unwrap().set_modified(yesterday).unwrap();
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(SIZE / 2).await;
    Half { server, client, download, path, hash: blake3::hash(&content).to_hex().to_string() }
}

impl Half {
    fn open(&self) -> File {
        File::options().write(true).open(&self.path).unwrap()
    }

    async fn comes_as_it_was(self) {
        let content = self.download.finish().await.unwrap();
        assert_eq!((content.bytes, content.hash.as_str()), (SIZE, self.hash.as_str()));
        content.acknowledge().await;
        self.server.log().wait_for("delivered big").await;
        self.client.assert_alive().await;
    }

    async fn ends_in_changed(self) {
        let answer = self.download.finish().await.unwrap_err();
        assert_eq!(answer.code(), "changed");
        self.server.log().wait_for("not delivered: big to Client 1: Ron").await;
        self.client.assert_alive().await;
        // Asked for again, it comes as it is now.
        let now = fs::read(&self.path).unwrap();
        let content = self.client.get("big").await.unwrap().finish().await.unwrap();
        assert_eq!(content.hash, blake3::hash(&now).to_hex().as_str());
        content.acknowledge().await;
    }
}

#[tokio::test]
async fn a_file_that_vanishes_comes_as_it_was() {
    let half = half().await;
    fs::remove_file(&half.path).unwrap();
    assert_eq!(half.client.get_code("big").await, "not_found");
    half.comes_as_it_was().await;
}

#[tokio::test]
async fn a_file_that_is_replaced_comes_as_it_was() {
    for new in [&b"new"[..], &vec![7; 2 * SIZE as usize]] {
        let half = half().await;
        let beside = half.path.with_extension("new");
        fs::write(&beside, new).unwrap();
        fs::rename(&beside, &half.path).unwrap();
        half.comes_as_it_was().await;
    }
}

#[tokio::test]
async fn a_file_that_grows_comes_as_it_was() {
    let half = half().await;
    let file = half.open();
    for round in 0..100 {
        file.write_all_at(b"one more line\n", SIZE + 14 * round).unwrap();
    }
    half.comes_as_it_was().await;
}

#[tokio::test]
async fn a_file_that_never_stops_growing_comes_as_it_was() {
    let mut half = half().await;
    let file = half.open();
    for round in 0..50 {
        file.write_all_at(b"one more line\n", SIZE + 14 * round).unwrap();
        half.download.read_at_least(SIZE / 2 + round * (SIZE / 128)).await;
    }
    half.comes_as_it_was().await;
}

#[tokio::test]
async fn a_file_that_shrinks_has_changed() {
    for length in [SIZE - 1, SIZE / 2 + 1, SIZE / 2, 1, 0] {
        let half = half().await;
        half.open().set_len(length).unwrap();
        half.ends_in_changed().await;
    }
}

#[tokio::test]
async fn a_file_that_shrinks_and_grows_again_has_changed() {
    let half = half().await;
    let file = half.open();
    file.set_len(SIZE / 4).unwrap();
    file.set_len(SIZE).unwrap();
    half.ends_in_changed().await;
}

#[tokio::test]
async fn a_file_that_is_rewritten_in_place_has_changed() {
    // Before what was sent, at the end, and a single byte.
    for (place, length) in [(0, 1024), (SIZE - 1, 1), (SIZE / 2, 1024 * 1024), (SIZE / 3, 1)] {
        let half = half().await;
        half.open().write_all_at(&vec![0xaa; length], place).unwrap();
        half.ends_in_changed().await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_anew_has_changed() {
    let half = half().await;
    // Truncated and filled again, as an editor or `cp` does.
    fs::write(&half.path, vec![0xaa; SIZE as usize]).unwrap();
    half.ends_in_changed().await;
}
