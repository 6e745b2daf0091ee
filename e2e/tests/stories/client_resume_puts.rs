//! `quiver resume` goes on with puts, and with what of a tree had not even begun.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::io::Write as _;
use std::path::Path as FilePath;

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

async fn killed(mut process: Process) {
    process.signal(Signal::KILL);
    process.wait_for_exit(TIMEOUT).await;
}

/// Waits until so much of some file is on the server's disk.
async fn comes(server: &Server, bytes: usize) {
    wait_until("content on the server's disk", || {
        let is_part = |name: &String| name.starts_with(".quiver-");
        names(&server.files()).iter().filter(|name| is_part(name)).any(|name| {
            let part = fs::metadata(server.files().join(name));
            part.is_ok_and(|part| part.len() > bytes as u64)
        })
    })
    .await;
}

#[tokio::test]
async fn a_put_is_listed_and_resumed() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(61).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "big", "--as", "there", "--limit", "4MB/s"]);
    let process = put.start();
    comes(&server, 2 * MIB).await;
    // Nobody goes on with what is under way.
    assert_eq!(transfers(&home).await[0]["running"], true);
    let busy = home.quiver(["resume"]).run().await;
    assert_eq!(busy.expect(0).stderr, "there is running in another process\n");
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    assert!(clean.expect(0).stderr.contains("running: nothing was removed"), "{}", clean.stderr);
    killed(process).await;

    let listed = transfers(&home).await;
    assert_eq!(listed.len(), 1);
    let local = home.folder().canonicalize().unwrap().join("big");
    for (field, value) in [
        ("direction", Value::from("put")),
        ("kind", "file".into()),
        ("path", "there".into()),
        ("local", local.to_str().unwrap().into()),
        ("size", (16 * MIB).into()),
        ("here", Value::Null),
        ("running", false.into()),
    ] {
        assert_eq!(listed[0][field], value, "{field}");
    }
    // At once, from anywhere, by any of its names.
    let resumed = home.quiver(["resume", "work/big", "--json"]).in_folder(home.root()).run().await;
    let resumed = rows(&resumed.expect(0).stdout);
    assert!(resumed[0]["resumed_at"].as_u64().unwrap() > 2 * MIB as u64, "{resumed:?}");
    assert!(fs::read(server.files().join("there")).unwrap() == content);
    assert!(home.journal().is_empty());
    assert_eq!(home.quiver(["resume"]).run().await.expect(0).stderr, "no unfinished transfers\n");
}

#[tokio::test]
async fn what_cannot_be_gone_on_with_is_not_written_down() {
    let options = Server::options().argument("--allow-upload").argument("--quota=8MiB");
    let server = options.start().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(62).bytes(9 * MIB)).unwrap();
    let refused = home.quiver_as(&server, "Ron", ["put", "big"]).run().await;
    assert!(refused.expect(1).stderr.contains("quota"), "{}", refused.stderr);
    assert!(home.journal().is_empty());
    // Nor is what comes once.
    let (process, mut pipe) =
        home.quiver_as(&server, "Ron", ["put", "-", "--as", "log"]).start_with_pipe();
    pipe.write_all(&vec![1; 4 * MIB]).unwrap();
    comes(&server, MIB).await;
    killed(process).await;
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn clean_forgets_puts_and_trees() {
    let server = server().await;
    let home = Home::new();
    fs::write(home.file("big"), Random::new(63).bytes(16 * MIB)).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "-r", "big", "--limit", "4MB/s"]);
    let process = put.start();
    comes(&server, 2 * MIB).await;
    killed(process).await;
    let kinds: Vec<Value> = transfers(&home).await.iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["tree", "file"]);
    let clean = home.quiver(["transfers", "--clean"]).run().await;
    let said = &clean.expect(0).stderr;
    assert!(
        said.contains("big: forgotten; the server keeps its partial file for 7 days\n"),
        "{said}"
    );
    assert!(home.journal().is_empty());
    assert!(home.file("big").exists());
}

fn plant(folder: &FilePath, seed: u64) {
    let mut random = Random::new(seed);
    for number in 0..FILES {
        let folder = folder.join(format!("{}", number % 3));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{number:03}")), random.bytes(20_000)).unwrap();
    }
}

#[tokio::test]
async fn the_rest_of_a_get_of_a_tree_follows() {
    let server = Server::start().await;
    plant(&server.files().join("t"), 64);
    let home = Home::new();
    // One differs, and stays beside the new one.
    fs::create_dir_all(home.file("t/0")).unwrap();
    fs::write(home.file("t/0/000"), "mine").unwrap();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(2_000_000);
    let quiver = home.quiver(["--name", "Ron", "get", "-r", "--keep-both", "t"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some files", || count(&home.file("t")) > FILES / 4).await;
    killed(process).await;
    let here = count(&home.file("t"));
    assert!(here < FILES, "{here}");
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
    assert!(!home.file("t/0/000 (3)").exists(), "what is kept beside is kept once");
    assert_eq!(count(&home.file("t")), FILES + 1);
}

#[tokio::test]
async fn the_rest_of_a_put_of_a_tree_follows() {
    let server = server().await;
    let home = Home::new();
    plant(&home.file("t"), 65);
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(100_000);
    // The folder has no name of its own where one is in it.
    let put = home.quiver(["--name", "Ron", "put", "-r", ".", "--to", "there"]);
    let put = put.in_folder(home.file("t")).server(path.address(), &server.certificate());
    let process = put.start();
    wait_until("some files", || count(&server.files().join("there")) > FILES / 4).await;
    killed(process).await;
    assert!(count(&server.files().join("there")) < FILES);
    assert_eq!(transfers(&home).await[0]["path"], "there");

    let resumed =
        home.quiver(["resume"]).server_address(server.address()).in_folder(home.root()).run().await;
    resumed.expect(0);
    assert!(home.journal().is_empty());
    // What was under way goes with the connection that was lost, and leaves its folders another time.
    server.log().wait_for("Client 1: Ron has disconnected").await;
    let files = |folder: &FilePath| {
        let mut tree = tree::read(folder);
        tree.retain(|_, leaf| !matches!(leaf, TreeEntry::Folder(_)));
        tree
    };
    let there = files(&server.files().join("there"));
    assert!(there == files(&home.file("t")), "{:?}", there.keys());
}

#[tokio::test]
async fn what_has_arrived_meanwhile_is_done() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(68).bytes(16 * MIB);
    fs::create_dir(home.file("t")).unwrap();
    fs::write(home.file("t/big"), &content).unwrap();
    let process = home.quiver_as(&server, "Ron", ["put", "-r", "t", "--limit", "4MB/s"]).start();
    wait_until("content on the server's disk", || {
        let folder = server.files().join("t");
        let is_large = |name: &String| {
            fs::metadata(folder.join(name)).is_ok_and(|part| part.len() > 2 * MIB as u64)
        };
        folder.exists() && names(&folder).iter().any(is_large)
    })
    .await;
    killed(process).await;
    assert_eq!(home.journal().len(), 2, "the tree and its file");
    // As an earlier run would have left it, that was killed after its last byte.
    fs::write(server.files().join("t/big"), &content).unwrap();
    home.quiver(["resume"]).run().await.expect(0);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn a_plan_knows_what_the_server_has_kept() {
    let server = server().await;
    let home = Home::new();
    let content = Random::new(66).bytes(16 * MIB);
    fs::write(home.file("big"), &content).unwrap();
    let put = home.quiver_as(&server, "Ron", ["put", "big", "--limit", "4MB/s"]);
    let process = put.start();
    comes(&server, 2 * MIB).await;
    killed(process).await;
    let plan = async || {
        let plan =
            home.quiver_as(&server, "Ron", ["put", "big", "--dry-run", "--json"]).run().await;
        rows(&plan.expect(0).stdout).remove(0)
    };
    let row = plan().await;
    assert_eq!(row["plan"], "resume");
    let begun = row["resume_at"].as_u64().unwrap();
    assert!(begun > 2 * MIB as u64, "{row}");
    let shown = home.quiver_as(&server, "Ron", ["put", "big", "--dry-run"]).run().await;
    assert!(shown.expect(0).stdout.starts_with("resume at "), "{}", shown.stdout);
    // It is of use for this content, and for nobody else.
    fs::write(home.file("big"), Random::new(67).bytes(16 * MIB)).unwrap();
    assert_eq!(plan().await["plan"], "new");
    let other = Home::new();
    fs::write(other.file("big"), &content).unwrap();
    let plan = other.quiver_as(&server, "Ben", ["put", "big", "--dry-run", "--json"]).run().await;
    assert_eq!(rows(&plan.expect(0).stdout)[0]["plan"], "new");
    // To ask took nothing away.
    fs::write(home.file("big"), &content).unwrap();
    let resumed = home.quiver(["resume", "--json"]).run().await;
    assert!(rows(&resumed.expect(0).stdout)[0]["resumed_at"].as_u64().unwrap() >= begun);
}
