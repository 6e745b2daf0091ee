//! The server serves only regular files and folders below its folder: bad paths, links, special
//! files and missing permissions are refused.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use quiver_e2e::server::is_root;
use quiver_e2e::wire::{RawFrame, kind};
use quiver_e2e::{Client, Server};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

fn make_node(path: &Path, kind: FileType, device: u64) -> Result<(), rustix::io::Errno> {
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), device)
}

/// The paths in the list of a folder.
async fn listed_paths(client: &Client, folder: &str) -> BTreeSet<String> {
    let response = client.list(folder).await;
    response.eof();
    response.replies.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

/// The number of entries that the list of a folder leaves out.
async fn count_not_served(client: &Client, folder: &str) -> u64 {
    client.list(folder).await.eof()["not_served"].as_u64().unwrap()
}

#[tokio::test]
async fn the_server_refuses_bad_paths_and_never_normalizes_them() {
    let server = Server::start().await;
    // The files that these paths would name, if the server normalized them.
    fs::write(server.root().join("s"), "secret").unwrap();
    for path in ["s", "a/s", "a/b", "etc/passwd", "con", "aux.txt", "a /b"] {
        server.add_file(path, "content");
    }
    let client = Client::member(&server, "Ron").await;
    let (long_part, long) = ("x".repeat(256), "x/".repeat(2048) + "x");
    let bad = [
        "../s",
        "..",
        "a/../../s",
        "a/../s",
        "a/..",
        "../files/s",
        "..\\s",
        "a\\s",
        "a\\..\\..\\s",
        "\\etc\\passwd",
        "C:\\s",
        "/etc/passwd",
        "/s",
        "//etc",
        "//etc/passwd",
        "/",
        ".",
        "./s",
        "a/./s",
        "s/.",
        "a/",
        "a//s",
        "s\0",
        "s\0.txt",
        "\0",
        "s\n",
        "a\u{1}b",
        "\u{7f}",
        "a\u{85}",
        "s.",
        "s ",
        "a./s",
        "a /b",
        "con",
        "CON",
        "nul",
        "aux.txt",
        "prn",
        "a/COM1",
        "com9.tar.gz",
        "LPT²",
        "con .txt",
        "CONIN$",
        "conout$",
        &long_part,
        &long,
    ];
    for path in bad {
        assert_eq!(client.get_code(path).await, "bad_path", "get {path:?}");
        assert_eq!(client.list(path).await.code(), "bad_path", "list {path:?}");
        client.assert_alive().await;
    }
    assert_eq!(client.get_code("").await, "bad_path");
    for command in ["get", "list"] {
        for bytes in [&b"\xff"[..], b"s\xc0\xaf", b"\xed\xa0\x80", b"a/\xc3"] {
            let mut request = format!("{{\"command\":\"{command}\",\"path\":\"").into_bytes();
            request.extend(bytes);
            request.extend(b"\"}");
            let response = client.exchange(&RawFrame::new(kind::REQUEST, request).encode()).await;
            assert_eq!(response.code(), "bad_request", "{command} {bytes:?}");
            client.assert_alive().await;
        }
    }
    for path in ["s", "a/s", "a/b"] {
        assert_eq!(client.get_code(path).await, "");
    }
}

#[tokio::test]
async fn the_server_reports_missing_paths_and_wrong_kinds() {
    let server = Server::start().await;
    server.add_file("a/file", "content");
    let client = Client::member(&server, "Ron").await;
    let longest_part = "x".repeat(255);
    let longest = (longest_part.clone() + "/").repeat(15) + &"x".repeat(255);
    let deep = "x/".repeat(2047) + "x";
    for path in ["none", "a/none", "none/a", "A/file", "a/FILE", &longest_part, &longest, &deep] {
        assert_eq!(client.get_code(path).await, "not_found", "get {path:?}");
        assert_eq!(client.list(path).await.code(), "not_found", "list {path:?}");
    }
    for path in ["a/file/x", "a/file/x/y"] {
        assert_eq!(client.get_code(path).await, "not_a_folder", "get {path:?}");
        assert_eq!(client.list(path).await.code(), "not_a_folder", "list {path:?}");
    }
    assert_eq!(client.list("a/file").await.code(), "not_a_folder");
    assert_eq!(client.get_code("a").await, "not_a_file");
    client.assert_alive().await;
}

#[tokio::test]
async fn the_server_serves_only_regular_files_and_folders() {
    let server = Server::start().await;
    server.add_file("inside/secret.txt", "content");
    server.add_file("plain.txt", "content");
    let outside = server.root().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.txt"), "secret").unwrap();
    let at = |name: &str| server.files().join(name);

    let links = [
        ("link-out", outside.join("secret.txt")),
        ("link-out-relative", "../outside/secret.txt".into()),
        ("link-in", "plain.txt".into()),
        ("link-in-absolute", at("plain.txt")),
        ("link-nowhere", "nothing".into()),
        ("link-to-itself", "link-to-itself".into()),
        ("link-to-link", "link-in".into()),
        ("link-to-proc", "/proc/self/environ".into()),
        ("folder-out", outside.clone()),
        ("folder-in", "inside".into()),
        ("folder-here", ".".into()),
        ("folder-up", "..".into()),
    ];
    for (name, target) in &links {
        symlink(target, at(name)).unwrap();
    }
    make_node(&at("pipe"), FileType::Fifo, 0).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let mut special = vec!["pipe", "socket"];
    let devices = [
        ("null", FileType::CharacterDevice, makedev(1, 3)),
        ("zero", FileType::CharacterDevice, makedev(1, 5)),
        ("terminal", FileType::CharacterDevice, makedev(5, 0)),
        ("no-device", FileType::CharacterDevice, makedev(4000, 1)),
        ("disk", FileType::BlockDevice, makedev(7, 250)),
    ];
    for (name, kind, device) in devices {
        match make_node(&at(name), kind, device) {
            Ok(()) => special.push(name),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "device {name}: {error}");
                eprintln!("SKIPPED: device {name} cannot be created: {error}");
            }
        }
    }

    let client = Client::member(&server, "Ron").await;
    for (name, _) in &links {
        assert_eq!(client.get_code(name).await, "forbidden", "get {name}");
        assert_eq!(client.list(name).await.code(), "forbidden", "list {name}");
        client.assert_alive().await;
    }
    for name in ["folder-out", "folder-in", "folder-here", "folder-up"] {
        for below in ["secret.txt", "outside/secret.txt", "files/plain.txt", "plain.txt", "x/y"] {
            let path = format!("{name}/{below}");
            assert_eq!(client.get_code(&path).await, "forbidden", "{path}");
        }
    }
    for name in &special {
        let code = client.get_code(name).await;
        // The served folder may be on a file system with the option `nodev`.
        let is_nodev = !matches!(*name, "pipe" | "socket") && code == "forbidden";
        assert!(code == "not_a_file" || is_nodev, "get {name}: {code}");
        assert_eq!(client.list(name).await.code(), "not_a_folder", "list {name}");
        client.assert_alive().await;
    }
    // Neither listed nor counted.
    server.add_file(".quiver-0123456789abcdef.part", "x");
    let expected = ["inside", "plain.txt"].map(str::to_owned);
    assert_eq!(listed_paths(&client, "").await, BTreeSet::from(expected));
    assert_eq!(count_not_served(&client, "").await, (links.len() + special.len()) as u64);
    assert_eq!(client.get_code("plain.txt").await, "");
    assert_eq!(client.get_code("inside/secret.txt").await, "");
}

#[tokio::test]
async fn the_server_neither_lists_nor_serves_unreadable_files() {
    let server = Server::options().unprivileged().start().await;
    let set_mode = |path: &str, mode: u32| {
        fs::set_permissions(server.files().join(path), Permissions::from_mode(mode)).unwrap();
    };
    for folder in ["open", "closed", "blind", "still"] {
        server.add_file(format!("{folder}/file"), "content");
    }
    server.add_file("hidden", "content");
    server.add_file("write-only", "content");
    for (path, bits) in [
        ("hidden", 0o000),
        ("write-only", 0o222),
        ("closed", 0o000),
        ("blind", 0o111),
        ("still", 0o444),
    ] {
        set_mode(path, bits);
    }
    if !is_root() {
        eprintln!("not root: the server runs as the owner of the files");
    }

    let client = Client::member(&server, "Ron").await;
    for path in ["hidden", "write-only", "closed/file", "blind/file", "still/file"] {
        assert_eq!(client.get_code(path).await, "forbidden", "{path}");
        client.assert_alive().await;
    }
    for path in ["closed", "blind"] {
        assert_eq!(client.list(path).await.code(), "forbidden", "{path}");
    }
    assert_eq!(listed_paths(&client, "").await, BTreeSet::from(["open".to_owned()]));
    assert_eq!(count_not_served(&client, "").await, 5);
    assert_eq!(client.get_code("open/file").await, "");

    // The server serves a folder again once it is readable.
    for folder in ["closed", "blind", "still"] {
        set_mode(folder, 0o755);
        assert_eq!(client.get_code(&format!("{folder}/file")).await, "");
    }
}

#[tokio::test]
async fn a_list_shows_exactly_the_files_that_get_serves() {
    let server = Server::start().await;
    let names: [&[u8]; 24] = [
        b"plain.txt",
        b".hidden",
        b"..a",
        b"a b",
        b"-",
        b"\xf0\x9f\x8f\xb9",
        b"\xe2\x80\xae",
        b"colon:star*",
        b"COM10",
        b"com",
        b"back\\slash",
        b"new\nline",
        b"escape\x1b[2J",
        b"delete\x7f",
        b"c1\xc2\x85",
        b"dot.",
        b"space ",
        b"con",
        b"Aux.txt",
        b"lpt1",
        b"com\xc2\xb9",
        b"not-\xff-text",
        b"\xc3",
        b".quiver-0123456789abcdef.part",
    ];
    for name in names {
        fs::write(server.files().join(OsStr::from_bytes(name)), "content").unwrap();
    }
    server.add_file("folder/file", "content");
    fs::create_dir(server.files().join("nul")).unwrap();
    server.add_file("nul/file", "content");
    symlink("plain.txt", server.files().join("link")).unwrap();

    let client = Client::member(&server, "Ron").await;
    let listed = listed_paths(&client, "").await;
    let mut refused = 0;
    for entry in fs::read_dir(server.files()).unwrap() {
        let name = entry.unwrap().file_name();
        let Some(text) = name.to_str() else {
            refused += 1;
            continue;
        };
        let is_served = match text {
            "folder" | "nul" => client.list(text).await.code().is_empty(),
            _ => client.get_code(text).await.is_empty(),
        };
        assert_eq!(listed.contains(text), is_served, "{text:?}");
        refused += u64::from(!is_served && text != ".quiver-0123456789abcdef.part");
    }
    // Ten valid names and the folder.
    assert_eq!(listed.len(), 11);
    assert_eq!(count_not_served(&client, "").await, refused);
    assert_eq!(client.get_code(".quiver-0123456789abcdef.part").await, "not_found");
    assert_eq!(client.get_code("nul/file").await, "bad_path");
}

#[tokio::test]
async fn a_list_shows_kind_and_size_of_each_entry() {
    let server = Server::start().await;
    server.add_file("b/empty", "");
    server.add_file("b/file", "content");
    server.add_file("b/c/deeper", "content");
    fs::create_dir(server.files().join("a")).unwrap();
    let client = Client::member(&server, "Ron").await;
    let rows = async |folder: &str| {
        let response = client.list(folder).await;
        let row = |entry: &serde_json::Value| {
            format!("{} {} {}", entry["path"], entry["kind"], entry["size"]).replace('"', "")
        };
        (response.replies.iter().map(row).collect::<Vec<_>>(), response.eof()["entries"].clone())
    };
    assert_eq!(rows("").await, (vec!["a folder 0".into(), "b folder 0".into()], 2.into()));
    assert_eq!(rows("a").await, (vec![], 0.into()));
    let below = ["b/c folder 0", "b/empty file 0", "b/file file 7"].map(str::to_owned);
    assert_eq!(rows("b").await, (below.to_vec(), 3.into()));
}

#[tokio::test]
async fn the_server_lists_a_folder_with_ten_thousand_files() {
    let server = Server::start().await;
    for number in 0..10_000 {
        fs::write(server.files().join(format!("file-{number:05}")), "").unwrap();
    }
    let client = Client::member(&server, "Ron").await;
    let listed = listed_paths(&client, "").await;
    assert_eq!(listed.len(), 10_000);
    assert_eq!(listed.last().unwrap(), "file-09999");
}
