//! Files whose file system reports a wrong size: procfs reports 0, sysfs a page. Their content is
//! transferred whole and verified in both directions, and an empty file stays empty.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::names;
use quiver_e2e::{Client, Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

/// A file with a few bytes, for which procfs reports size 0.
const SMALL: &str = "/proc/sys/kernel/ostype";

/// A file of some MiB, for which procfs reports size 0.
const LARGE: &str = "/proc/kallsyms";

/// A file with a few bytes, for which sysfs reports size 4096.
const SYSFS: &str = "/sys/class/net/lo/mtu";

/// A folder of procfs whose files do not change by themselves.
const FOLDER: &str = "/proc/sys/fs/inotify";

/// Starts a server that accepts uploads.
async fn start_upload_server() -> Server {
    Server::options().argument("--allow-upload").argument("--keep-free=0").start().await
}

/// Starts a server that serves a folder of this machine.
async fn start_server_of(folder: &Path) -> Server {
    let mut server = Server::start().await;
    fs::remove_dir(server.files()).unwrap();
    symlink(folder, server.files()).unwrap();
    server.restart_at_new_port().await;
    server
}

/// Parses lines of JSON.
fn parse_lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn put_stores_files_of_procfs_and_sysfs_whole() {
    let server = start_upload_server().await;
    let home = Home::new();
    for source in [SMALL, LARGE, SYSFS] {
        let content = fs::read(source).unwrap();
        assert_ne!(fs::metadata(source).unwrap().len(), content.len() as u64, "{source}");
        let put = home.quiver_as(&server, "Ron", ["put", source, "--json"]).run().await;
        put.expect(0);
        assert_eq!(parse_lines(&put.stdout)[0]["size"], content.len(), "{}", put.stdout);
        let stored = server.files().join(Path::new(source).file_name().unwrap());
        assert!(fs::read(stored).unwrap() == content, "{source}");
    }
    assert_eq!(server.stored_names(), ["kallsyms", "mtu", "ostype"]);
    assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn put_stores_a_tree_of_procfs_whole_and_recognises_it_again() {
    let server = start_upload_server().await;
    let home = Home::new();
    // An earlier version, which believed the size, stored this file empty.
    server.add_file("inotify/max_user_watches", "");
    let put = async |more: &[&str]| {
        let put = home.quiver_as(&server, "Ron", ["put", "-r", FOLDER]).arguments(more).run().await;
        (put.code(), put.stdout, put.stderr)
    };
    let (code, plan, stderr) = put(&["--dry-run"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(plan.contains("differs, fail       inotify/max_user_watches"), "{plan}");
    assert_eq!(plan.lines().filter(|line| line.starts_with("new ")).count(), 2, "{plan}");
    let (code, _, stderr) = put(&["--overwrite"]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("3 files stored"), "{stderr}");
    for name in names(Path::new(FOLDER)) {
        let content = fs::read(Path::new(FOLDER).join(&name)).unwrap();
        assert!(!content.is_empty());
        assert_eq!(fs::read(server.files().join("inotify").join(&name)).unwrap(), content);
    }
    let (code, _, stderr) = put(&[]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("0 files stored, 3 already there"), "{stderr}");
}

#[tokio::test]
async fn put_and_get_keep_an_empty_file_empty() {
    let server = start_upload_server().await;
    let home = Home::new();
    fs::create_dir(home.file("tree")).unwrap();
    fs::write(home.file("tree/empty"), "").unwrap();
    fs::write(home.file("alone"), "").unwrap();
    let run = async |arguments: &[&str]| {
        let run = home.quiver_as(&server, "Ron", arguments).run().await;
        run.expect(0);
        run.stdout + &run.stderr
    };
    run(&["put", "alone"]).await;
    run(&["put", "-r", "tree"]).await;
    for stored in ["alone", "tree/empty"] {
        assert_eq!(fs::read(server.files().join(stored)).unwrap(), b"", "{stored}");
    }
    let again = run(&["put", "-r", "tree"]).await;
    assert!(again.contains("0 files stored, 1 already there"), "{again}");
    // A file with content on the server differs from the empty one.
    server.add_file("tree/empty", "not empty");
    let differs = home.quiver_as(&server, "Ron", ["put", "-r", "tree"]).run().await;
    assert_eq!(differs.code(), 1, "{}", differs.stderr);
    run(&["put", "-r", "tree", "--overwrite"]).await;
    assert_eq!(fs::read(server.files().join("tree/empty")).unwrap(), b"");
    fs::create_dir(home.file("received")).unwrap();
    run(&["get", "alone", "-o", "received"]).await;
    assert_eq!(fs::read(home.file("received/alone")).unwrap(), b"");
}

#[tokio::test]
async fn the_server_lists_procfs_files_as_empty_and_sends_them_whole() {
    let server = start_server_of(Path::new(FOLDER)).await;
    let home = Home::new();
    let run = async |arguments: &[&str]| {
        let run = home.quiver_as(&server, "Ron", arguments).run().await;
        run.expect(0);
        run
    };
    let listed = parse_lines(&run(&["list", "--json"]).await.stdout);
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(listed.iter().all(|entry| entry["size"] == 0), "{listed:?}");
    run(&["get", "max_user_watches"]).await;
    let received = |name: &str| fs::read(home.file(name)).unwrap();
    let source = |name: &str| fs::read(Path::new(FOLDER).join(name)).unwrap();
    assert_eq!(received("max_user_watches"), source("max_user_watches"));
    let stderr = run(&["get", "-r", "/"]).await.stderr;
    assert!(stderr.contains("2 files received") && stderr.contains("1 already there"), "{stderr}");
    for name in names(Path::new(FOLDER)) {
        assert_eq!(received(&name), source(&name), "{name}");
    }
    let stderr = run(&["get", "-r", "/"]).await.stderr;
    assert!(stderr.contains("0 files received, 3 already there"), "{stderr}");
}

#[tokio::test]
async fn an_interrupted_get_of_a_long_procfs_file_resumes() {
    let server = start_server_of(Path::new("/proc")).await;
    let home = Home::new();
    let content = fs::read(LARGE).unwrap();
    let get = ["get", "kallsyms"];
    let slow = home.quiver_as(&server, "Ron", get).arguments(["--limit", "1MiB"]);
    let mut slow = slow.start();
    wait_until("some content", || home.partial_length() > 512 * 1024).await;
    slow.signal(Signal::KILL);
    slow.wait_for_exit(TIMEOUT).await;
    let rest = home.quiver_as(&server, "Ron", get).run().await;
    rest.expect(0);
    assert!(rest.stderr.contains("kallsyms: resuming at "), "{}", rest.stderr);
    assert!(fs::read(home.file("kallsyms")).unwrap() == content);
    assert_eq!(home.names(), ["kallsyms"]);
}

#[tokio::test]
async fn the_server_refuses_a_procfs_file_that_is_too_long_to_copy_first() {
    // About half a TiB of zeros.
    let server = start_server_of(&Path::new("/proc").join(std::process::id().to_string())).await;
    let home = Home::new();
    let get = home.quiver_as(&server, "Ron", ["get", "pagemap"]).run().await;
    get.expect(1);
    let why = "its file system does not tell its size, and it has more than 16.8 MB";
    assert!(
        get.stderr.starts_with(&format!("error: cannot get pagemap: {why}\n")),
        "{}",
        get.stderr
    );
    assert_eq!(home.names(), Vec::<String>::new());
    // The refused transfer has released its resources.
    let client = Client::member(&server, "Ben").await;
    for _ in 0..3 {
        assert_eq!(client.get_code("pagemap").await, "too_large");
    }
    client.assert_alive().await;
}
