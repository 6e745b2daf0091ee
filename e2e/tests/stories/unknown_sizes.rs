//! Files whose file system does not tell their size: procfs says 0, sysfs a page. Their content moves all the same,
//! whole and verified, in both directions; and a file that is empty stays one.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use quiver_e2e::process::Signal;
use quiver_e2e::quiver::names;
use quiver_e2e::{Client, Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

/// A few bytes of which procfs says that there are none.
const SMALL: &str = "/proc/sys/kernel/ostype";

/// Some MiB of the same kind.
const LARGE: &str = "/proc/kallsyms";

/// A few bytes of which sysfs says that there are 4096.
const SYSFS: &str = "/sys/class/net/lo/mtu";

/// A folder of such files that change only where somebody changes them.
const FOLDER: &str = "/proc/sys/fs/inotify";

/// A server that takes files.
async fn taking() -> Server {
    Server::options().argument("--allow-upload").argument("--keep-free=0").start().await
}

/// A server that serves a folder of this machine.
async fn serving(folder: &Path) -> Server {
    let mut server = Server::start().await;
    fs::remove_dir(server.files()).unwrap();
    symlink(folder, server.files()).unwrap();
    server.restart_at_new_port().await;
    server
}

/// What is said of files in JSON lines.
fn lines(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_procfs_and_sysfs_hold_is_put_whole() {
    let server = taking().await;
    let home = Home::new();
    for source in [SMALL, LARGE, SYSFS] {
        let content = fs::read(source).unwrap();
        assert_ne!(fs::metadata(source).unwrap().len(), content.len() as u64, "{source}");
        let put = home.quiver_as(&server, "Ron", ["put", source, "--json"]).run().await;
        put.expect(0);
        assert_eq!(lines(&put.stdout)[0]["size"], content.len(), "{}", put.stdout);
        let stored = server.files().join(Path::new(source).file_name().unwrap());
        assert!(fs::read(stored).unwrap() == content, "{source}");
    }
    assert_eq!(server.stored_names(), ["kallsyms", "mtu", "ostype"]);
    assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_tree_of_such_files_is_put_whole_and_known_again() {
    let server = taking().await;
    let home = Home::new();
    // As a version of this program stored them that believed the size.
    server.add_file("inotify/max_user_watches", "");
    let put = async |more: &[&str]| {
        let put = home.quiver_as(&server, "Ron", ["put", "-r", FOLDER]).arguments(more).run().await;
        (put.code(), put.stderr)
    };
    let (code, said) = put(&["--dry-run"]).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = put(&["--overwrite"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 files stored"), "{said}");
    for name in names(Path::new(FOLDER)) {
        let content = fs::read(Path::new(FOLDER).join(&name)).unwrap();
        assert!(!content.is_empty());
        assert_eq!(fs::read(server.files().join("inotify").join(&name)).unwrap(), content);
    }
    let (code, said) = put(&[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("0 files stored, 3 already there"), "{said}");
}

#[tokio::test]
async fn an_empty_file_stays_one_alone_and_in_a_tree() {
    let server = taking().await;
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
    // A file that is not empty there is another one.
    server.add_file("tree/empty", "not empty");
    let differs = home.quiver_as(&server, "Ron", ["put", "-r", "tree"]).run().await;
    assert_eq!(differs.code(), 1, "{}", differs.stderr);
    run(&["put", "-r", "tree", "--overwrite"]).await;
    assert_eq!(fs::read(server.files().join("tree/empty")).unwrap(), b"");
    fs::create_dir(home.file("here")).unwrap();
    run(&["get", "alone", "-o", "here"]).await;
    assert_eq!(fs::read(home.file("here/alone")).unwrap(), b"");
}

#[tokio::test]
async fn such_files_are_listed_empty_and_got_whole() {
    let server = serving(Path::new(FOLDER)).await;
    let home = Home::new();
    let run = async |arguments: &[&str]| {
        let run = home.quiver_as(&server, "Ron", arguments).run().await;
        run.expect(0);
        run
    };
    let listed = lines(&run(&["list", "--json"]).await.stdout);
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(listed.iter().all(|entry| entry["size"] == 0), "{listed:?}");
    run(&["get", "max_user_watches"]).await;
    let here = |name: &str| fs::read(home.file(name)).unwrap();
    let there = |name: &str| fs::read(Path::new(FOLDER).join(name)).unwrap();
    assert_eq!(here("max_user_watches"), there("max_user_watches"));
    let said = run(&["get", "-r", "/"]).await.stderr;
    assert!(said.contains("2 files received") && said.contains("1 already there"), "{said}");
    for name in names(Path::new(FOLDER)) {
        assert_eq!(here(&name), there(&name), "{name}");
    }
    let said = run(&["get", "-r", "/"]).await.stderr;
    assert!(said.contains("0 files received, 3 already there"), "{said}");
}

#[tokio::test]
async fn a_long_one_is_got_whole_and_goes_on_where_it_stopped() {
    let server = serving(Path::new("/proc")).await;
    let home = Home::new();
    let content = fs::read(LARGE).unwrap();
    let get = ["get", "kallsyms"];
    let slow = home.quiver_as(&server, "Ron", get).arguments(["--limit", "1MiB"]);
    let mut slow = slow.start();
    wait_until("some of it to be here", || home.partial_length() > 512 * 1024).await;
    slow.signal(Signal::KILL);
    slow.wait_for_exit(TIMEOUT).await;
    let rest = home.quiver_as(&server, "Ron", get).run().await;
    rest.expect(0);
    assert!(rest.stderr.contains("kallsyms: resuming at "), "{}", rest.stderr);
    assert!(fs::read(home.file("kallsyms")).unwrap() == content);
    assert_eq!(home.names(), ["kallsyms"]);
}

#[tokio::test]
async fn one_that_is_too_long_to_be_copied_first_is_refused_and_says_why() {
    // Half a TiB of zeros, more or less.
    let server = serving(&Path::new("/proc").join(std::process::id().to_string())).await;
    let home = Home::new();
    let get = home.quiver_as(&server, "Ron", ["get", "pagemap"]).run().await;
    get.expect(1);
    let why = "its file system does not tell its size, and it has more than 16777216 bytes";
    assert!(
        get.stderr.starts_with(&format!("error: cannot get pagemap: {why}\n")),
        "{}",
        get.stderr
    );
    assert_eq!(home.names(), Vec::<String>::new());
    // Nothing of it is held any more.
    let client = Client::member(&server, "Ben").await;
    for _ in 0..3 {
        assert_eq!(client.get_code("pagemap").await, "too_large");
    }
    client.assert_alive().await;
}
