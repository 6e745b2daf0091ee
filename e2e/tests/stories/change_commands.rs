//! The commands remove, rename and make_folder, and the permission to use them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::quiver::names;
use quiver_e2e::server::{ServerOptions, set_account};
use quiver_e2e::{Client, Home, Server};
use serde_json::{Value, json};

fn options_with_uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

/// The code a request is refused with; `""` if it succeeds.
async fn code(client: &Client, request: Value) -> String {
    client.request(request).await.code().to_owned()
}

fn remove(path: &str) -> Value {
    json!({"command": "remove", "path": path})
}

fn rename(path: &str, to: &str, replace: bool) -> Value {
    json!({"command": "rename", "path": path, "to": to, "replace": replace})
}

fn make_folder(path: &str) -> Value {
    json!({"command": "make_folder", "path": path})
}

#[tokio::test]
async fn a_client_can_remove_files_and_empty_folders() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("folder/file", "x");
    symlink("folder", server.files().join("link")).unwrap();
    fs::write(server.files().join(".quiver-0123456789abcdef.part"), "x").unwrap();
    for (path, expected) in [
        ("folder", "not_empty"),
        ("link", "forbidden"),
        ("link/file", "forbidden"),
        ("missing", "not_found"),
        ("folder/file/x", "not_a_folder"),
        (".quiver-0123456789abcdef.part", "bad_path"),
        ("", "bad_path"),
        ("..", "bad_path"),
    ] {
        assert_eq!(code(&client, remove(path)).await, expected, "{path}");
    }
    assert_eq!(client.request(remove("folder/file")).await.eof(), &json!({}));
    assert_eq!(client.request(remove("folder")).await.eof(), &json!({}));
    assert!(!server.files().join("folder").exists());
    server.log().wait_for("removed folder/file for Client 1: Ron").await;
}

#[tokio::test]
async fn a_client_can_rename_files_and_folders() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("a", "a");
    server.add_file("b", "b");
    server.add_file("one/file", "x");
    server.add_file("two/file", "y");
    fs::create_dir(server.files().join("empty")).unwrap();
    symlink("a", server.files().join("link")).unwrap();
    for (path, to, replace, expected) in [
        ("a", "b", false, "exists"),
        ("a", "one", true, "exists"),
        ("one", "b", true, "exists"),
        ("one", "two", true, "exists"),
        ("one", "empty", true, "exists"),
        ("one", "empty", false, "exists"),
        ("a", "link", true, "forbidden"),
        ("link", "c", false, "forbidden"),
        ("a", "link/c", false, "forbidden"),
        ("missing", "c", false, "not_found"),
        ("a", "missing/c", false, "not_found"),
        ("one", "one/c", false, "bad_path"),
        ("a", ".quiver-0123456789abcdef.part", false, "bad_path"),
        ("a", "../c", false, "bad_path"),
    ] {
        let found = code(&client, rename(path, to, replace)).await;
        assert_eq!(found, expected, "{path} to {to}");
    }
    client.request(rename("a", "one/c", false)).await.eof();
    client.request(rename("b", "one/c", true)).await.eof();
    client.request(rename("one", "two/three", false)).await.eof();
    assert_eq!(fs::read(server.files().join("two/three/c")).unwrap(), b"b");
    assert!(!server.files().join("a").exists() && !server.files().join("one").exists());
    server.log().wait_for("renamed one to two/three for Client 1: Ron").await;
}

#[tokio::test]
async fn the_server_creates_a_folder_with_its_parents() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("file", "x");
    symlink("..", server.files().join("link")).unwrap();
    assert_eq!(client.request(make_folder("a/b/c")).await.eof(), &json!({"created": true}));
    assert_eq!(client.request(make_folder("a/b/c")).await.eof(), &json!({"created": false}));
    assert_eq!(client.request(make_folder("a")).await.eof(), &json!({"created": false}));
    assert!(server.files().join("a/b/c").is_dir());
    for (path, expected) in [
        ("file", "not_a_folder"),
        ("file/a", "not_a_folder"),
        ("link", "forbidden"),
        ("link/a", "forbidden"),
        ("a/.quiver-0123456789abcdef.part/b", "bad_path"),
        ("a/../b", "bad_path"),
    ] {
        assert_eq!(code(&client, make_folder(path)).await, expected, "{path}");
    }
    client.store("a/b/c/file", b"content").await.unwrap();
}

#[tokio::test]
async fn an_account_needs_the_permission_to_upload() {
    let server =
        options_with_uploads().account("Ron", "tomato").uploader("Ben", "basil").start().await;
    let ron = Client::guest(&server).await;
    assert_eq!(ron.sign_in("Ron", "tomato").await.reply().get("upload"), None);
    assert_eq!(ron.store_code("a", b"x").await, "forbidden");
    assert_eq!(code(&ron, json!({"command": "space"})).await, "forbidden");
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("ben", "basil").await.reply()["upload"], true);
    ben.store("a", b"x").await.unwrap();
    // A changed permission applies to connected clients.
    let file = server.password_file();
    assert!(set_account(&file, "Ron", "tomato", &["--may", "upload"]).status.success());
    server.log().wait_for_nth("password file reloaded", 1).await;
    ron.store("b", b"x").await.unwrap();
    assert!(set_account(&file, "Ben", "basil", &["--may", "read"]).status.success());
    server.log().wait_for_nth("password file reloaded", 2).await;
    assert_eq!(ben.store_code("c", b"x").await, "forbidden");
    // A new password leaves the permission unchanged.
    assert!(set_account(&file, "Ron", "basil", &[]).status.success());
    server.log().wait_for_nth("password file reloaded", 3).await;
    ron.store("c", b"x").await.unwrap();
}

#[tokio::test]
async fn a_server_without_uploads_forbids_them_to_uploaders() {
    let server = Server::options().uploader("Ben", "basil").start().await;
    let ben = Client::guest(&server).await;
    assert_eq!(ben.sign_in("Ben", "basil").await.reply().get("upload"), None);
    assert_eq!(ben.store_code("a", b"x").await, "forbidden");
}

#[tokio::test]
async fn a_server_does_not_start_with_its_state_in_the_served_folder() {
    let failed =
        options_with_uploads().argument("--state=files/state").expect_start_failure(|_| {}).await;
    assert_eq!(failed.code(), 1);
    assert!(failed.stderr.contains("files/state lies in"), "{}", failed.stderr);
    let failed = options_with_uploads()
        .argument("--state=certs/missing/state")
        .expect_start_failure(|_| {})
        .await;
    assert_eq!(failed.code(), 1);
    assert!(failed.stderr.contains("cannot open the quota database"), "{}", failed.stderr);
}

#[tokio::test]
async fn files_and_folders_move_to_another_disk_below_the_served_folder() {
    if !small_disks_available() {
        return;
    }
    let options = options_with_uploads().argument("--quota=10MB").other_disk("8m");
    let server = options.start().await;
    let client = Client::member(&server, "Ron").await;
    let files = server.files();
    let used = async || {
        let space = client.request(json!({"command": "space"})).await;
        10_000_000 - space.reply()["available"].as_u64().unwrap()
    };
    client.store("file", &[1; 700_000]).await.unwrap();
    fs::set_permissions(files.join("file"), fs::Permissions::from_mode(0o640)).unwrap();
    for folder in ["tree", "tree/below"] {
        client.request(make_folder(folder)).await.eof();
    }
    for (path, size) in [("tree/a", 300_000), ("tree/below/b", 0), ("tree/below/c", 10)] {
        client.store(path, &vec![2; size]).await.unwrap();
    }
    fs::write(files.join("tree/below/.quiver-0123456789abcdef.part"), "x").unwrap();
    let modified = |path: &str| fs::metadata(files.join(path)).unwrap().modified().unwrap();
    let times = ["file", "tree", "tree/below", "tree/below/c"].map(modified);
    let before = used().await;

    for (from, to) in [("file", "other/moved"), ("tree", "other/tree")] {
        assert_eq!(code(&client, rename(from, to, false)).await, "", "{from}");
        assert!(!files.join(from).exists(), "{from}");
    }
    let moved = ["other/moved", "other/tree", "other/tree/below", "other/tree/below/c"];
    assert_eq!(moved.map(modified), times);
    assert_eq!(fs::metadata(files.join("other/moved")).unwrap().mode() & 0o777, 0o640);
    assert!(fs::read(files.join("other/moved")).unwrap() == [1; 700_000]);
    assert!(fs::read(files.join("other/tree/a")).unwrap() == [2; 300_000]);
    assert_eq!(names(&files.join("other")), ["moved", "tree"]);
    assert_eq!(names(&files.join("other/tree/below")), ["b", "c"]);
    assert_eq!(names(&files), ["other"]);
    assert_eq!(used().await, before, "who has stored them is still known");

    // Back again, over a file of the same name.
    client.store("file", b"old").await.unwrap();
    assert_eq!(code(&client, rename("other/moved", "file", false)).await, "exists");
    assert_eq!(fs::read(files.join("file")).unwrap(), b"old");
    assert_eq!(code(&client, rename("other/moved", "file", true)).await, "");
    assert!(fs::read(files.join("file")).unwrap() == [1; 700_000]);
    assert_eq!(names(&files.join("other")), ["tree"]);
    assert_eq!(used().await, before);
    assert_eq!(code(&client, rename("other", "renamed", false)).await, "forbidden", "a disk");
}

#[tokio::test]
async fn a_move_to_another_disk_that_fails_leaves_everything_as_it_was() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_uploads().other_disk("1m").start().await;
    let client = Client::member(&server, "Ron").await;
    let files = server.files();
    client.store("large", &vec![1; 2 << 20]).await.unwrap();
    client.request(make_folder("tree")).await.eof();
    client.store("tree/a", &[2; 1000]).await.unwrap();
    client.store("small", b"small").await.unwrap();
    fs::create_dir(files.join("other/small")).unwrap();
    symlink("a", files.join("tree/link")).unwrap();
    for (from, to, replace, expected) in [
        ("large", "other/large", false, "no_space"),
        ("tree", "other/tree", false, "forbidden"),
        ("small", "other/small", true, "exists"),
        ("small", "other/missing/small", false, "not_found"),
        ("missing", "other/missing", false, "not_found"),
        ("tree", "tree/inside", false, "bad_path"),
    ] {
        assert_eq!(code(&client, rename(from, to, replace)).await, expected, "{from}");
    }
    assert_eq!(names(&files), ["large", "other", "small", "tree"]);
    assert_eq!(names(&files.join("tree")), ["a", "link"]);
    assert_eq!(names(&files.join("other")), ["small"]);
    assert_eq!(names(&files.join("other/small")), [""; 0]);
}

#[tokio::test]
async fn mv_moves_a_file_to_another_disk() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_uploads().other_disk("64m").start().await;
    let home = Home::new();
    fs::write(server.files().join("file"), vec![7; 40 << 20]).unwrap();
    let moved = home.quiver_as(&server, "Ron", ["mv", "file", "other/"]).run().await;
    assert_eq!(moved.expect(0).stderr, "file is now other/file\n");
    assert!(fs::read(server.files().join("other/file")).unwrap() == vec![7; 40 << 20]);
}
