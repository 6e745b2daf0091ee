//! Files and folders of any time, size, mode and name: nobody panics at them, and what cannot be shown or kept is
//! clamped or left out.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

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

/// Times that only a file system in memory keeps, and how they are shown.
const TIMES: [(&str, i64, i64, &str); 7] = [
    ("first", i64::MIN, 0, "0000-01-01T00:00:00Z"),
    ("nearly-first", i64::MIN, 999_999_999, "0000-01-01T00:00:00Z"),
    ("year-0", -62_167_219_200, 1, "0000-01-01T00:00:00.000000001Z"),
    ("before-1970", -1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
    ("year-9999", 253_402_300_799, 500_000_000, "9999-12-31T23:59:59.500Z"),
    ("year-10000", 253_402_300_800, 0, "9999-12-31T23:59:59.999999999Z"),
    ("last", i64::MAX, 999_999_999, "9999-12-31T23:59:59.999999999Z"),
];

/// Gives a file or folder a time of its last change and of its last access.
fn date(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// A file and a folder of every time.
fn plant(root: &Path) {
    for (name, seconds, nanoseconds, _) in TIMES {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), name).unwrap();
        date(&folder.join("file"), seconds, nanoseconds);
    }
    for (name, seconds, nanoseconds, _) in TIMES {
        date(&root.join(name), seconds, nanoseconds);
    }
}

#[tokio::test]
async fn a_server_serves_files_of_any_time() {
    if !small_disks_available() {
        return;
    }
    let options =
        Server::options().disk("16m").argument("--allow-upload").argument("--keep-free=0");
    let server = options.start().await;
    let all = server.files().join("all");
    plant(&all);
    date(&all, i64::MIN, 0);
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
    // All of it comes, and goes back over what is there.
    let home = Home::new();
    let got = home.quiver_as(&server, "Ben", ["get", "-r", "all"]).run().await;
    assert!(got.expect(0).stderr.starts_with("7 files received and verified"), "{}", got.stderr);
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
    // Where a folder stands no file goes, whatever that folder's time is.
    let blocked = other.quiver_as(&server, "Ben", ["put", "-r", "all"]).run().await;
    assert_eq!(blocked.stderr.matches("a folder has that name").count(), 7, "{}", blocked.stderr);
    // Every other command that meets such a file.
    date(&all.join("first/file"), i64::MIN, 0);
    date(&all.join("first"), i64::MIN, 0);
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
async fn a_client_takes_and_sends_files_of_any_time() {
    let server = Server::options().argument("--allow-upload").start().await;
    let (home, memory) = (Home::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    let all = memory.path().join("all");
    plant(&all);
    date(&all, i64::MIN, 0);
    let from = memory.path().to_str().unwrap();
    let path = format!("{from}/all");
    let put = home.quiver_as(&server, "Ron", ["put", "-r", &path]).run().await;
    assert!(put.expect(0).stderr.contains("7 files stored and verified"), "{}", put.stderr);
    date(&all, i64::MIN, 0);
    for (name, seconds, nanoseconds, _) in TIMES {
        date(&all.join(name).join("file"), seconds, nanoseconds);
        date(&all.join(name), seconds, nanoseconds);
    }
    // Over what is here already, and single files.
    let got = home.quiver_as(&server, "Ron", ["get", "-r", "all", "-o", from]).run().await;
    assert!(got.expect(0).stderr.contains("7 already there"), "{}", got.stderr);
    for (name, ..) in TIMES {
        let folder = all.join(name);
        date(&folder.join("file"), i64::MIN, 0);
        let arguments = ["get", &format!("all/{name}/file"), "--overwrite", "-o"];
        let quiver = home.quiver_as(&server, "Ron", arguments).arguments([&folder]);
        quiver.run().await.expect(0);
        assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), name);
    }
}

#[tokio::test]
async fn a_hostile_server_dates_folders_as_it_likes() {
    let moments = [
        ("year-0", "0000-01-01T00:00:00Z"),
        ("year-1", "0001-01-01T00:00:00.000000001Z"),
        ("before-1970", "1969-12-31T23:59:59.999999999Z"),
        ("year-9999", "9999-12-31T23:59:59.999999999Z"),
        ("leap", "1990-12-31T23:59:60.999999999Z"),
    ];
    let impostor = FakeServer::start(move |request| {
        if request["command"] != "list" {
            return None;
        }
        let (mut acts, mut count) = (Vec::new(), 0);
        if request["path"] == "" || request["path"] == "all" {
            let entries: &[(&str, &str)] =
                if request["path"] == "" { &[("", "0000-01-01T00:00:00Z")] } else { &moments };
            for (name, moment) in entries {
                let path = format!("all/{name}");
                let path = path.trim_end_matches('/');
                count += 1;
                acts.push(Step::reply(&json!({"reply": "entry", "path": path, "kind": "folder",
                    "size": 0, "modified": moment})));
            }
        }
        acts.extend([Step::eof(&json!({"entries": count, "not_served": 0})), Step::Finish]);
        Some(acts)
    });
    let (home, memory) = (Home::new(), tempfile::tempdir_in("/dev/shm").unwrap());
    let quiver =
        home.quiver(["--name", "Ron", "get", "-r", "all", "-o"]).arguments([memory.path()]);
    let got = quiver.server(impostor.address(), &impostor.certificate()).run().await;
    assert_eq!(got.expect(0).stderr, "0 files received\n");
    let seconds = |name: &str| {
        let found = fs::metadata(memory.path().join("all").join(name)).unwrap();
        (found.mtime(), found.mtime_nsec())
    };
    assert_eq!(seconds(""), (-62_167_219_200, 0));
    assert_eq!(seconds("year-0"), (-62_167_219_200, 0));
    assert_eq!(seconds("year-1"), (-62_135_596_800, 1));
    assert_eq!(seconds("before-1970"), (-1, 999_999_999));
    assert_eq!(seconds("year-9999"), (253_402_300_799, 999_999_999));
    assert_eq!(seconds("leap"), (662_688_000, 999_999_999));
}

#[tokio::test]
async fn any_mode_size_and_name_is_served_or_left_out() {
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
    let found: Vec<_> =
        listed.replies.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    for name in ["open", "vast", "vaster"] {
        assert!(found.contains(&name), "{found:?}");
    }
    assert!(listed.replies.iter().any(|entry| entry["size"] == json!(largest - 4095)));
    assert!(!found.iter().any(|name| name.contains(char::is_control)), "{found:?}");
    let home = Home::new();
    // More than there is room for, twice over: their sum has more than 63 bits.
    let got = home.quiver_as(&server, "Ben", ["get", "-r", "/"]).run().await;
    assert!(got.expect(8).stderr.contains("bytes are needed, but only"), "{}", got.stderr);
    let planned = home.quiver_as(&server, "Ben", ["get", "-r", "/", "--dry-run"]).run().await;
    assert_eq!(planned.expect(0).stdout.matches("does not fit").count(), 2, "{}", planned.stdout);
    home.quiver_as(&server, "Ben", ["get", "open"]).run().await.expect(0);
    let mode = fs::metadata(home.file("open")).unwrap().mode();
    assert_eq!(mode & 0o7000, 0, "{mode:o}");
}
