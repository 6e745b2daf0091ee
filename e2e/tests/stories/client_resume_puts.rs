//! `quiver resume` resumes interrupted puts, and starts the files of a tree that had not started.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::io::Write as _;
use std::path::Path;

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::tree::{self, TreeEntry, count};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;
const FILES: usize = 300;

async fn server() -> Server {
    Server::options().argument("--allow-upload").start().await
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn transfers(home: &Home) -> Vec<Value> {
    rows(&home.quiver(["transfers", "--json"]).run().await.expect(0).stdout)
}

async fn kill(mut process: Process) {
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
}

/// Waits until a partial file in the served folder has more than `bytes` bytes.
async fn wait_for_partial_file(server: &Server, bytes: usize) {
    wait_until("content on the server's disk", || {
        let is_partial_file = |name: &String| name.starts_with(".quiver-");
        names(&server.files()).iter().filter(|name| is_partial_file(name)).any(|name| {
            let file = fs::metadata(server.files().join(name));
            file.is_ok_and(|file| file.len() > bytes as u64)
        })
    })
    .await;
}

#[tokio::test]
async fn a_client_lists_and_resumes_an_interrupted_put() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(61).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "big", "--as", "remote", "--limit", "4MB/s"]);
    let process = put.start();
    wait_for_partial_file(&server, 2 * MIB).await;
    // A running transfer is neither resumed nor removed by another process.
    assert_eq!(transfers(&home).await[0]["state"], "running");
    let busy = home.quiver(["resume"]).run().await;
    assert_eq!(busy.expect(0).stderr, "remote is running in another process\n");
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    assert!(clean.expect(0).stderr.contains("running: nothing was removed"), "{}", clean.stderr);
    kill(process).await;

    let listed = transfers(&home).await;
    assert_eq!(listed.len(), 1);
    let local = home.folder().canonicalize().unwrap().join("big");
    for (field, value) in [
        ("direction", Value::from("put")),
        ("kind", "file".into()),
        ("path", "remote".into()),
        ("local", local.to_str().unwrap().into()),
        ("size", (16 * MIB).into()),
        ("stored", Value::Null),
        ("running", false.into()),
    ] {
        assert_eq!(listed[0][field], value, "{field}");
    }
    // It can be resumed at once, from any folder, by its remote or its local path.
    let resumed = home.quiver(["resume", "work/big", "--json"]).in_folder(home.root()).run().await;
    let resumed = rows(&resumed.expect(0).stdout);
    assert!(resumed[0]["resumed_at"].as_u64().unwrap() > 2 * MIB as u64, "{resumed:?}");
    assert!(fs::read(server.files().join("remote")).unwrap() == content);
    assert!(home.journal().is_empty());
    assert_eq!(home.quiver(["resume"]).run().await.expect(0).stderr, "no unfinished transfers\n");
}

#[tokio::test]
async fn a_put_that_cannot_be_resumed_is_not_in_the_journal() {
    let options = Server::options().argument("--allow-upload").argument("--quota=8MiB");
    let server = options.start().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(62).bytes(9 * MIB)).unwrap();
    let refused = home.quiver_as(&server, "Ron", ["put", "big"]).run().await;
    assert!(refused.expect(1).stderr.contains("quota"), "{}", refused.stderr);
    assert!(home.journal().is_empty());
    // Standard input can be read only once.
    let (process, mut pipe) =
        home.quiver_as(&server, "Ron", ["put", "-", "--as", "log"]).start_with_pipe();
    pipe.write_all(&vec![1; 4 * MIB]).unwrap();
    wait_for_partial_file(&server, MIB).await;
    kill(process).await;
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn transfers_clean_removes_interrupted_puts_and_trees() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(63).bytes(16 * MIB)).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "-r", "big", "--limit", "4MB/s"]);
    let process = put.start();
    wait_for_partial_file(&server, 2 * MIB).await;
    kill(process).await;
    let kinds: Vec<Value> = transfers(&home).await.iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["tree", "file"]);
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    let stderr = &clean.expect(0).stderr;
    assert!(
        stderr.contains("big: forgotten; the server keeps its partial file for 7 days\n"),
        "{stderr}"
    );
    assert!(home.journal().is_empty());
    assert!(home.file("big").exists());
}

/// Creates [`FILES`] files of random content in three folders.
fn create_tree(folder: &Path, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..FILES {
        let folder = folder.join(format!("{}", number % 3));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:03}")), random.bytes(20_000)).unwrap();
    }
}

#[tokio::test]
async fn a_client_resumes_an_interrupted_get_of_a_tree() {
    let server = Server::start().await;
    create_tree(&server.files().join("t"), 64);
    let home = Home::new();
    // One file differs, and the client keeps it beside the new one.
    fs::create_dir_all(home.file("t/0")).unwrap();
    fs::write(home.file("t/0/000"), "mine").unwrap();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(2_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "--keep-both", "t"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some files", || count(&home.file("t")) > FILES / 4).await;
    kill(process).await;
    let received = count(&home.file("t"));
    assert!(received < FILES, "{received}");
    let listed = transfers(&home).await;
    assert_eq!(listed[0]["kind"], "tree");
    assert_eq!(listed[0]["named"], serde_json::json!(["t"]));
    let shown = home.quiver(["transfers"]).run().await;
    assert!(shown.expect(0).stdout.starts_with("t from "), "{}", shown.stdout);

    let resume = home.quiver(["resume", "t/", "--json"]).server_address(server.address());
    let resumed = resume.in_folder(home.root()).run().await;
    let rows = rows(&resumed.expect(0).stdout);
    assert!(rows.last().unwrap()["summary"]["same"].as_u64().unwrap() > 0, "{rows:?}");
    assert!(home.journal().is_empty());
    assert_eq!(fs::read(home.file("t/0/000")).unwrap(), b"mine");
    let beside = fs::read(home.file("t/0/000 (2)")).unwrap();
    assert!(beside == fs::read(server.files().join("t/0/000")).unwrap());
    assert!(!home.file("t/0/000 (3)").exists(), "the resumed get kept the file a second time");
    assert_eq!(count(&home.file("t")), FILES + 1);
}

#[tokio::test]
async fn a_client_resumes_an_interrupted_put_of_a_tree() {
    let server = server().await;
    let home = Home::new();
    create_tree(&home.file("t"), 65);
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(100_000);
    // `.` gives the folder no name: `--to` alone names the target.
    let put = home.quiver(["--name", "Ron", "put", "-r", ".", "--to", "remote"]);
    let put = put.in_folder(home.file("t")).server(relay.address(), &server.certificate());
    let process = put.start();
    wait_until("some files", || count(&server.files().join("remote")) > FILES / 4).await;
    kill(process).await;
    assert!(count(&server.files().join("remote")) < FILES);
    assert_eq!(transfers(&home).await[0]["path"], "remote");

    let resumed =
        home.quiver(["resume"]).server_address(server.address()).in_folder(home.root()).run().await;
    resumed.expect(0);
    assert!(home.journal().is_empty());
    // The killed client's uploads keep their partial files until the server notices that the
    // connection is lost.
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let files = |folder: &Path| {
        let mut tree = tree::read(folder);
        tree.retain(|_, entry| !matches!(entry, TreeEntry::Folder(_)));
        tree
    };
    let stored = files(&server.files().join("remote"));
    assert!(stored == files(&home.file("t")), "{:?}", stored.keys());
}

#[tokio::test]
async fn a_resume_finishes_when_the_server_has_the_whole_file() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(68).bytes(16 * MIB);
    fs::create_dir(home.file("t")).unwrap();
    fs::write(home.file("t/big"), &content).unwrap();
    let process = home.quiver_as(&server, "Ron", ["put", "-r", "t", "--limit", "4MB/s"]).start();
    wait_until("content on the server's disk", || {
        let folder = server.files().join("t");
        let is_large = |name: &String| {
            fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 2 * MIB as u64)
        };
        folder.exists() && names(&folder).iter().any(is_large)
    })
    .await;
    kill(process).await;
    assert_eq!(home.journal().len(), 2, "the tree and its file");
    // An earlier run that was killed after its last byte would have left this file.
    fs::write(server.files().join("t/big"), &content).unwrap();
    home.quiver(["resume"]).run().await.expect(0);
    assert!(home.journal().is_empty());
    assert!(fs::read(server.files().join("t/big")).unwrap() == content);
}

#[tokio::test]
async fn a_dry_run_tells_where_the_put_would_resume() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(66).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "big", "--limit", "4MB/s"]);
    let process = put.start();
    wait_for_partial_file(&server, 2 * MIB).await;
    kill(process).await;
    let plan = async || {
        let plan =
            home.quiver_as(&server, "Ron", ["put", "big", "--dry-run", "--json"]).run().await;
        rows(&plan.expect(0).stdout).remove(0)
    };
    let row = plan().await;
    assert_eq!(row["plan"], "resume");
    let offset = row["resume_at"].as_u64().unwrap();
    assert!(offset > 2 * MIB as u64, "{row}");
    let shown = home.quiver_as(&server, "Ron", ["put", "big", "--dry-run"]).run().await;
    assert!(shown.expect(0).stdout.starts_with("resume at "), "{}", shown.stdout);
    // Only the same client can resume the partial file, and only with the same content.
    fs::write(home.file("big"), Random::new(67).bytes(16 * MIB)).unwrap();
    assert_eq!(plan().await["plan"], "new");
    let other = Home::new();
    fs::write(other.file("big"), &content).unwrap();
    let plan = other.quiver_as(&server, "Ben", ["put", "big", "--dry-run", "--json"]).run().await;
    assert_eq!(rows(&plan.expect(0).stdout)[0]["plan"], "new");
    // A dry run does not remove the partial file.
    fs::write(home.file("big"), &content).unwrap();
    let resumed = home.quiver(["resume", "--json"]).run().await;
    assert!(rows(&resumed.expect(0).stdout)[0]["resumed_at"].as_u64().unwrap() >= offset);
}
