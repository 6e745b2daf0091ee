//! Files and folders with any time, size, mode and name: server and client clamp times, leave out
//! names that they cannot show, and never panic.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::fake_server::Step;
use quiver_e2e::{Client, FakeServer, Home, Server};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use serde_json::json;

/// A name, a time in seconds and nanoseconds, and its text on the wire. Only a file system in
/// memory stores all of these times.
const TIMES: [(&str, i64, i64, &str); 7] = [
    ("first", i64::MIN, 0, "0000-01-01T00:00:00Z"),
    ("nearly-first", i64::MIN, 999_999_999, "0000-01-01T00:00:00Z"),
    ("year-0", -62_167_219_200, 1, "0000-01-01T00:00:00.000000001Z"),
    ("before-1970", -1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
    ("year-9999", 253_402_300_799, 500_000_000, "9999-12-31T23:59:59.500Z"),
    ("year-10000", 253_402_300_800, 0, "9999-12-31T23:59:59.999999999Z"),
    ("last", i64::MAX, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
];

/// Sets the modification and access time of a file or folder.
fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Creates a folder with a file for each of [`TIMES`].
fn create_tree(root: &Path) {
    for (name, seconds, nanoseconds, _) in TIMES {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), name).unwrap();
        set_time(&folder.join("file"), seconds, nanoseconds);
    }
    for (name, seconds, nanoseconds, _) in TIMES {
        set_time(&root.join(name), seconds, nanoseconds);
    }
}

#[tokio::test]
async fn the_server_serves_and_stores_files_with_any_time() {
    if !small_disks_available() {
        return;
    }
    let options =
        Server::options().disk("16m").argument("--allow-upload").argument("--keep-free=0");
    let server = options.start().await;
    let all = server.files().join("all");
    create_tree(&all);
    set_time(&all, i64::MIN, 0);
    let client = Client::member(&server, "Ron").await;
    let times = |replies: &[serde_json::Value]| -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        replies.iter().map(|entry| (text(&entry["path"]), text(&entry["modified"]))).collect()
    };
    assert_eq!(times(&client.list("").await.replies), [("all".to_owned(), TIMES[0].3.to_owned())]);
    let mut expected = TIMES.map(|(name, .., shown)| (format!("all/{name}"), shown.to_owned()));
    expected.sort();
    assert_eq!(times(&client.list("all").await.replies), expected);
    for (name, .., shown) in TIMES {
        let path = format!("all/{name}/file");
        let listed = client.list(&format!("all/{name}")).await.replies;
        assert_eq!(times(&listed), [(path.clone(), shown.to_owned())]);
        assert_eq!(client.get(&path).await.unwrap().head["modified"], shown);
    }
    // A client gets the tree, and puts it over the existing one.
    let home = Home::new();
    let get = home.quiver_as(&server, "Ben", ["get", "-r", "all"]).run().await;
    assert!(get.expect(0).stderr.starts_with("7 files received and verified"), "{}", get.stderr);
    for (name, ..) in TIMES {
        assert_eq!(fs::read_to_string(home.file("all").join(name).join("file")).unwrap(), name);
    }
    assert_eq!(fs::metadata(home.file("all/before-1970")).unwrap().mtime(), -1);
    fs::write(home.file("all/last/new"), "new").unwrap();
    fs::write(home.file("all/first/file"), "other").unwrap();
    let put = home.quiver_as(&server, "Ben", ["put", "-r", "all", "--overwrite"]).run().await;
    assert!(put.expect(0).stderr.contains("2 files stored and verified"), "{}", put.stderr);
    assert_eq!(fs::read(all.join("last/new")).unwrap(), b"new");
    let other = Home::new();
    fs::create_dir(other.file("all")).unwrap();
    fs::write(other.file("all/file"), "").unwrap();
    for (name, ..) in TIMES {
        fs::write(other.file(format!("all/{name}")), "a file").unwrap();
    }
    // No file replaces a folder, whatever the folder's time is.
    let blocked = other.quiver_as(&server, "Ben", ["put", "-r", "all"]).run().await;
    assert_eq!(blocked.stderr.matches("a folder has that name").count(), 7, "{}", blocked.stderr);
    // The other commands that read or change such files.
    set_time(&all.join("first/file"), i64::MIN, 0);
    set_time(&all.join("first"), i64::MIN, 0);
    for arguments in [
        &["mv", "all/first", "all/moved"][..],
        &["mv", "all/moved/file", "all/moved/moved"],
        &["mkdir", "all/moved/below"],
        &["rm", "--yes", "all/moved/moved"],
    ] {
        home.quiver_as(&server, "Ben", [""; 0]).arguments(arguments).run().await.expect(0);
    }
}

#[tokio::test]
async fn a_client_puts_and_gets_files_with_any_time() {
    let server = Server::options().argument("--allow-upload").start().await;
    let (home, memory) = (Home::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    let all = memory.path().join("all");
    create_tree(&all);
    set_time(&all, i64::MIN, 0);
    let from = memory.path().to_str().unwrap();
    let path = format!("{from}/all");
    let put = home.quiver_as(&server, "Ron", ["put", "-r", &path]).run().await;
    assert!(put.expect(0).stderr.contains("7 files stored and verified"), "{}", put.stderr);
    set_time(&all, i64::MIN, 0);
    for (name, seconds, nanoseconds, _) in TIMES {
        set_time(&all.join(name).join("file"), seconds, nanoseconds);
        set_time(&all.join(name), seconds, nanoseconds);
    }
    // Over the existing tree, then file by file.
    let get = home.quiver_as(&server, "Ron", ["get", "-r", "all", "-o", from]).run().await;
    assert!(get.expect(0).stderr.contains("7 already there"), "{}", get.stderr);
    for (name, ..) in TIMES {
        let folder = all.join(name);
        set_time(&folder.join("file"), i64::MIN, 0);
        let arguments = ["get", &format!("all/{name}/file"), "--overwrite", "-o"];
        let quiver = home.quiver_as(&server, "Ron", arguments).arguments([&folder]);
        quiver.run().await.expect(0);
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), name);
    }
}

#[tokio::test]
async fn a_client_accepts_any_folder_time_of_a_hostile_server() {
    let times = [
        ("year-0", "0000-01-01T00:00:00Z"),
        ("year-1", "0001-01-01T00:00:00.000000001Z"),
        ("before-1970", "1969-12-31T23:59:59.999999999Z"),
        ("year-9999", "9999-12-31T23:59:59.999999999Z"),
        ("leap", "1990-12-31T23:59:60.999999999Z"),
    ];
    let fake_server = FakeServer::start(move |request| {
        if request["command"] != "list" {
            return None;
        }
        let (mut steps, mut count) = (Vec::new(), 0);
        if request["path"] == "" || request["path"] == "all" {
            let entries: &[(&str, &str)] =
                if request["path"] == "" { &[("", "0000-01-01T00:00:00Z")] } else { &times };
            for (name, time) in entries {
                let path = format!("all/{name}");
                let path = path.trim_end_matches('/');
                count += 1;
                steps.push(Step::reply(&json!({"reply": "entry", "path": path, "kind": "folder",
                    "size": 0, "modified": time})));
            }
        }
        steps.extend([Step::eof(&json!({"entries": count, "not_served": 0})), Step::Finish]);
        Some(steps)
    });
    let (home, memory) = (Home::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    let quiver =
        home.quiver(["--name", "Ron", "get", "-r", "all", "-o"]).arguments([memory.path()]);
    let get = quiver.server(fake_server.address(), &fake_server.certificate()).run().await;
    assert_eq!(get.expect(0).stderr, "0 files received\n");
    let modified = |name: &str| {
        let metadata = fs::metadata(memory.path().join("all").join(name)).unwrap();
        (metadata.mtime(), metadata.mtime_nsec())
    };
    assert_eq!(modified(""), (-62_167_219_200, 0));
    assert_eq!(modified("year-0"), (-62_167_219_200, 0));
    assert_eq!(modified("year-1"), (-62_135_596_800, 1));
    assert_eq!(modified("before-1970"), (-1, 999_999_999));
    assert_eq!(modified("year-9999"), (253_402_300_799, 999_999_999));
    assert_eq!(modified("leap"), (662_688_000, 999_999_999));
}

#[tokio::test]
async fn the_server_serves_or_leaves_out_files_with_any_mode_size_and_name() {
    if !small_disks_available() {
        return;
    }
    let server = Server::options().disk("16m").start().await;
    for (name, mode) in [("shut", 0o000), ("open", 0o7777)] {
        let path = server.add_file(name, "content");
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let largest = i64::MAX as u64;
    for name in ["vast", "vaster"] {
        File::create(server.files().join(name)).unwrap().set_len(largest - 4095).unwrap();
    }
    for name in [&b"\xff\xfe"[..], b"two\nlines", b"\x1b[2J", b" ", b"a\\b", "\u{202e}".as_bytes()]
    {
        fs::write(server.files().join(OsStr::from_bytes(name)), "content").unwrap();
    }
    let client = Client::member(&server, "Ron").await;
    let listed = client.list("").await;
    let paths: Vec<_> =
        listed.replies.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["open", "shut", "vast", "vaster", "\u{202e}"]);
    assert_eq!(listed.eof()["not_served"], 5);
    assert!(listed.replies.iter().any(|entry| entry["size"] == json!(largest - 4095)));
    let home = Home::new();
    // Each file is larger than the free space, and their sum has more than 63 bits.
    let get = home.quiver_as(&server, "Ben", ["get", "-r", "/"]).run().await;
    assert!(get.expect(8).stderr.contains("B are needed, but only"), "{}", get.stderr);
    let planned = home.quiver_as(&server, "Ben", ["get", "-r", "/", "--dry-run"]).run().await;
    assert_eq!(planned.expect(0).stdout.matches("does not fit").count(), 2, "{}", planned.stdout);
    home.quiver_as(&server, "Ben", ["get", "open"]).run().await.expect(0);
    let mode = fs::metadata(home.file("open")).unwrap().mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
}

#[tokio::test]
async fn a_replaced_file_keeps_its_permissions_on_both_sides() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    // A file that is stored in one step, and one with a partial file.
    for (size, mode) in [(10, 0o600), (2 << 20, 0o640)] {
        let (name, new) = (format!("{size}"), format!("{size}.new"));
        let (local, remote) = (home.file(&name), server.files().join(&name));
        let permissions = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        for folders in [false, true] {
            let options: &[&str] = if folders { &["-r", "--overwrite"] } else { &["--overwrite"] };
            for (from, to, command) in [(&local, &remote, "put"), (&remote, &local, "get")] {
                fs::write(from, vec![b'n'; size]).unwrap();
                fs::set_permissions(from, Permissions::from_mode(0o644)).unwrap();
                fs::write(to, vec![b'o'; size]).unwrap();
                fs::set_permissions(to, Permissions::from_mode(mode)).unwrap();
                let transfer = home.quiver_as(&server, "Ron", [command]).arguments(options);
                transfer.arguments([&name]).run().await.expect(0);
                assert!(fs::read(to).unwrap() == vec![b'n'; size], "{command} {name}");
                assert_eq!(permissions(to), mode, "{command} {name}");
            }
        }
        // A new file has the permissions of any new file there.
        fs::write(home.file(&new), "new").unwrap();
        fs::set_permissions(home.file(&new), Permissions::from_mode(0o600)).unwrap();
        home.quiver_as(&server, "Ron", ["put", &new]).run().await.expect(0);
        assert_eq!(permissions(&server.files().join(&new)) & 0o600, 0o600);
    }
}
