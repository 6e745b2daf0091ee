//! Trees whose way is broken off: what has arrived stays, and the rest follows.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::path::Path as FilePath;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::tree::{self, TreeEntry, count};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const FILES: usize = 400;
const EACH: usize = 20_000;

/// 400 files in four folders, and a large one.
fn plant(folder: &FilePath, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..FILES {
        let folder = folder.join(format!("{}", number % 4));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:03}")), random.bytes(EACH)).unwrap();
    }
    fs::write(folder.join("large"), random.bytes(4_000_000)).unwrap();
}

fn summary(stdout: &str) -> Value {
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    last["summary"].clone()
}

fn are_the_same(one: &FilePath, other: &FilePath) {
    let (one, other) = (tree::read(one), tree::read(other));
    assert!(one.keys().eq(other.keys()), "{:?}", one.keys());
    assert!(one == other, "other content");
}

#[tokio::test]
async fn a_get_goes_on_by_itself_when_its_server_comes_back() {
    let mut server = Server::start().await;
    plant(&server.files().join("t"), 41);
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "t", "--json"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some files", || count(&home.file("t")) > FILES / 4).await;
    server.restart_at_new_port().await;
    path.redirect_to(server.address());
    path.limit_rate(0);
    let finished = finish(process).await;
    let summary = summary(&finished.expect(0).stdout);
    assert_eq!(summary["moved"], FILES + 1, "{summary}");
    are_the_same(&server.files().join("t"), &home.file("t"));
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn an_interrupted_get_goes_on_with_the_same_command() {
    for signal in [Signal::INT, Signal::KILL] {
        let server = Server::start().await;
        plant(&server.files().join("t"), 42);
        let home = Home::new();
        let path = UdpRelay::start(server.address()).await;
        path.limit_rate(4_000_000);
        let quiver = home.quiver(["--name", "Ron", "get", "-r", "t", "--json"]);
        let quiver = quiver.server(path.address(), &server.certificate());
        let mut process = quiver.start();
        wait_until("some files", || count(&home.file("t")) > FILES / 4).await;
        process.signal(signal);
        process.wait_for_exit(TIMEOUT).await;
        let here = count(&home.file("t"));
        assert!(here < FILES, "{here}");
        path.limit_rate(0);
        let again = quiver.run().await;
        let summary = summary(&again.expect(0).stdout);
        assert_eq!(summary["same"], here, "{summary}");
        assert_eq!(summary["moved"], FILES + 1 - here, "{summary}");
        are_the_same(&server.files().join("t"), &home.file("t"));
        assert!(home.journal().is_empty());
    }
}

#[tokio::test]
async fn a_put_goes_on_by_itself_when_its_server_comes_back() {
    let mut server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    plant(&home.file("t"), 43);
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "put", "-r", "t", "--json"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some files", || count(&server.files().join("t")) > FILES / 4).await;
    server.restart_at_new_port().await;
    path.redirect_to(server.address());
    path.limit_rate(0);
    let finished = finish(process).await;
    let summary = summary(&finished.expect(0).stdout);
    assert_eq!(summary["moved"], FILES + 1, "{summary}");
    are_the_same(&server.files().join("t"), &home.file("t"));
}

#[tokio::test]
async fn a_file_that_is_gone_or_barred_fails_alone() {
    let server = Server::start().await;
    plant(&server.files().join("t"), 44);
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(4_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "t"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    // All is planned once the first files come.
    wait_until("some files", || count(&home.file("t")) > 0).await;
    fs::remove_file(server.files().join("t/3/399")).unwrap();
    path.limit_rate(0);
    let finished = finish(process).await;
    let stderr = &finished.expect(10).stderr;
    assert!(stderr.contains("error: cannot get t/3/399: no such file or folder\n"), "{stderr}");
    assert!(stderr.contains("400 files received and verified"), "{stderr}");
    assert!(stderr.ends_with("error: 1 of 401 files were not downloaded\n"), "{stderr}");
    // The folder it was taken from has another time now.
    let files = |folder: &FilePath| {
        let mut tree = tree::read(folder);
        tree.retain(|_, leaf| !matches!(leaf, TreeEntry::Folder(_)));
        tree
    };
    assert!(files(&server.files().join("t")) == files(&home.file("t")));
}
