//! Transfers of trees that are interrupted: received files stay, and the transfer resumes with the
//! others.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::path::Path;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::tree::{self, TreeEntry, count};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const FILE_COUNT: usize = 400;
const FILE_SIZE: usize = 20_000;

/// Creates small files in four folders, and a large one.
fn create_files(folder: &Path, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..FILE_COUNT {
        let folder = folder.join(format!("{}", number % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:03}")), random.bytes(FILE_SIZE)).unwrap();
    }
    fs::write(folder.join("large"), random.bytes(4_000_000)).unwrap();
}

/// The summary in the last line of JSON.
fn summary(stdout: &str) -> Value {
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    last["summary"].clone()
}

fn assert_same_tree(one: &Path, other: &Path) {
    let (one, other) = (tree::read(one), tree::read(other));
    assert!(one.keys().eq(other.keys()), "{:?}", one.keys());
    assert!(one == other, "the content differs");
}

#[tokio::test]
async fn a_get_of_a_tree_resumes_when_its_server_restarts() {
    let mut server = Server::start().await;
    create_files(&server.files().join("t"), 41);
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "t", "--json"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some files", || count(&home.file("t")) > FILE_COUNT / 4).await;
    server.restart_at_new_port().await;
    relay.redirect_to(server.address());
    relay.limit_rate(0);
    let finished = finish(process).await;
    let summary = summary(&finished.expect(0).stdout);
    assert_eq!(summary["moved"], FILE_COUNT + 1, "{summary}");
    assert_same_tree(&server.files().join("t"), &home.file("t"));
    assert_eq!(home.names(), ["t"], "a partial file is left");
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn an_interrupted_get_of_a_tree_resumes_with_the_same_command() {
    for signal in [Signal::INT, Signal::KILL] {
        let server = Server::start().await;
        create_files(&server.files().join("t"), 42);
        let home = Home::new();
        let relay = UdpRelay::start(server.address()).await;
        relay.limit_rate(4_000_000);
        let quiver = home.quiver(["--name", "Ron", "get", "-r", "t", "--json"]);
        let quiver = quiver.server(relay.address(), &server.certificate());
        let mut process = quiver.start();
        wait_until("some files", || count(&home.file("t")) > FILE_COUNT / 4).await;
        process.signal(signal);
        process.wait_for_exit(TIMEOUT).await;
        let received = count(&home.file("t"));
        assert!(received < FILE_COUNT, "{received}");
        relay.limit_rate(0);
        let resumed = quiver.run().await;
        let summary = summary(&resumed.expect(0).stdout);
        assert_eq!(summary["same"], received, "{summary}");
        assert_eq!(summary["moved"], FILE_COUNT + 1 - received, "{summary}");
        assert_same_tree(&server.files().join("t"), &home.file("t"));
        assert_eq!(home.names(), ["t"], "a partial file is left");
        assert!(home.journal().is_empty());
    }
}

#[tokio::test]
async fn a_put_of_a_tree_resumes_when_its_server_restarts() {
    let mut server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    create_files(&home.file("t"), 43);
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "put", "-r", "t", "--json"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some files", || count(&server.files().join("t")) > FILE_COUNT / 4).await;
    server.restart_at_new_port().await;
    relay.redirect_to(server.address());
    relay.limit_rate(0);
    let finished = finish(process).await;
    let summary = summary(&finished.expect(0).stdout);
    assert_eq!(summary["moved"], FILE_COUNT + 1, "{summary}");
    assert_same_tree(&server.files().join("t"), &home.file("t"));
    assert_eq!(tree::names(&server.files()), ["t"], "a partial file is left");
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn a_removed_file_fails_without_the_rest_of_its_tree() {
    let server = Server::start().await;
    create_files(&server.files().join("t"), 44);
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "t"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    // The client has planned the transfer when it receives the first files.
    wait_until("some files", || count(&home.file("t")) > 0).await;
    fs::remove_file(server.files().join("t/3/399")).unwrap();
    relay.limit_rate(0);
    let finished = finish(process).await;
    let stderr = &finished.expect(10).stderr;
    assert!(stderr.contains("error: cannot get t/3/399: no such file or folder\n"), "{stderr}");
    assert!(stderr.contains("400 files received and verified"), "{stderr}");
    assert!(stderr.ends_with("error: 1 of 401 files were not downloaded\n"), "{stderr}");
    // The modification time of the folder has changed, so only files are compared.
    let files = |folder: &Path| {
        let mut tree = tree::read(folder);
        tree.retain(|_, entry| !matches!(entry, TreeEntry::Folder(_)));
        tree
    };
    assert!(files(&server.files().join("t")) == files(&home.file("t")));
}
