//! The limits of a put: the largest file, the quota, the disk and its space that must stay free.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Home, Key, Server};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

fn options_with_uploads() -> ServerOptions {
    Server::options().argument("--allow-upload")
}

/// The reply to a space request.
async fn space(client: &Client) -> Value {
    client.request(json!({"command": "space"})).await.reply().clone()
}

#[tokio::test]
async fn the_server_limits_a_put_without_a_size_to_the_largest_file() {
    let server = options_with_uploads()
        .argument("--keep-free=0")
        .argument("--max-file-size=1MiB")
        .start()
        .await;
    let client = Client::member(&server, "Ron").await;
    assert_eq!(space(&client).await["max_file_size"], MIB);
    let content = Random::new(1).bytes(MIB + 1);
    let refused =
        client.put("a", json!(null)).await.unwrap().send_file(&content).await.unwrap_err();
    assert_eq!(refused.code(), "too_large", "{}", refused.message());
    assert_eq!(client.put("a", MIB + 1).await.unwrap_err().code(), "too_large");
    client.put("a", json!(null)).await.unwrap().send_file(&content[1..]).await.unwrap();
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1);
}

#[tokio::test]
async fn each_client_has_its_own_quota_which_survives_a_restart() {
    let mut server =
        options_with_uploads().argument("--keep-free=0").argument("--quota=1MB").start().await;
    let (ron, ben) = (Key::new(), Key::new());
    let client = Dialer::new(&server).key(&ron).sign_in("Ron").await;
    client.store("a", &[1; 600_000]).await.unwrap();
    assert_eq!(space(&client).await["available"], 400_000);
    assert_eq!(client.put("b", 400_001).await.unwrap_err().code(), "no_space");
    let piped = client.put("b", json!(null)).await.unwrap();
    assert_eq!(piped.send_file(&[1; 400_001]).await.unwrap_err().code(), "no_space");
    // Files of other clients do not count.
    let other = Dialer::new(&server).key(&ben).sign_in("Ben").await;
    other.store("c", &[1; 900_000]).await.unwrap();
    // A running put reserves its space.
    let running = client.put("b", 400_000).await.unwrap();
    assert_eq!(client.put("d", 1).await.unwrap_err().code(), "no_space");
    running.send_file(&[2; 400_000]).await.unwrap();
    assert_eq!(space(&client).await["available"], 0);

    server.restart().await;
    let client = Dialer::new(&server).key(&ron).sign_in("Ronald").await;
    assert_eq!(space(&client).await["available"], 0);
    assert_eq!(client.put("d", 1).await.unwrap_err().code(), "no_space");
    client.request(json!({"command": "rename", "path": "a", "to": "e"})).await.eof();
    assert_eq!(space(&client).await["available"], 0);
    client.request(json!({"command": "remove", "path": "e"})).await.eof();
    assert_eq!(space(&client).await["available"], 600_000);
    // A replaced file counts for the client that replaced it.
    let other = Dialer::new(&server).key(&ben).sign_in("Ben").await;
    let request = json!({"command": "put", "path": "b", "size": 1000, "replace": true});
    other.put_as(request).await.unwrap().send_file(&[3; 1000]).await.unwrap();
    assert_eq!(space(&client).await["available"], 1_000_000);
    assert_eq!(space(&other).await["available"], 99_000);
}

#[tokio::test]
async fn a_partial_file_counts_and_a_file_that_the_operator_removed_does_not() {
    let mut server =
        options_with_uploads().argument("--keep-free=0").argument("--quota=10MB").start().await;
    let key = Key::new();
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    client.store("a", &[1; 1_000_000]).await.unwrap();
    let mut upload = client.put("b", 5_000_000).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&[1; 2 * MIB]).await;
    upload.finish().await.unwrap_err();
    let available = space(&client).await["available"].as_u64().unwrap();
    assert!(available < 9_000_000 - MIB as u64, "{available}");
    fs::remove_file(server.files().join("a")).unwrap();
    server.restart().await;
    server.log().wait_for("listening on").await;
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let recounted = async {
        while space(&client).await["available"] != available + 1_000_000 {
            tokio::task::yield_now().await;
        }
    };
    quiver_e2e::wait_within(quiver_e2e::TIMEOUT, "the cleanup to count again", recounted).await;
}

#[tokio::test]
async fn uploads_leave_the_reserved_space_of_the_disk_free() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_uploads().argument("--keep-free=4MiB").disk("8m").start().await;
    let client = Client::member(&server, "Ron").await;
    let available = space(&client).await["available"].as_u64().unwrap() as usize;
    assert!((3 * MIB..=4 * MIB).contains(&available), "{available}");
    for size in [available as u64 + 1, 1 << 63, u64::MAX] {
        assert_eq!(client.put("a", size).await.unwrap_err().code(), "no_space", "{size}");
    }
    let piped = client.put("a", json!(null)).await.unwrap();
    assert_eq!(piped.send_file(&vec![1; 5 * MIB]).await.unwrap_err().code(), "no_space");
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 0);
    // Of two puts that fit alone, but not together, the second is refused.
    let first = client.put("a", 2 * MIB + 1).await.unwrap();
    assert_eq!(client.put("b", 2 * MIB).await.unwrap_err().code(), "no_space");
    first.send_file(&vec![1; 2 * MIB + 1]).await.unwrap();
    assert_eq!(client.put("b", 2 * MIB).await.unwrap_err().code(), "no_space");
    client.store("b", &vec![1; MIB]).await.unwrap();
}

#[tokio::test]
async fn a_put_on_a_full_disk_leaves_no_partial_file() {
    if !small_disks_available() {
        return;
    }
    for (when, used, size) in [
        ("at the first block", 2 * MIB, 10),
        ("at the first of several", 2 * MIB, 2 * MIB),
        ("in the middle", MIB, 2 * MIB),
        ("at the last block", 4096, 2 * MIB),
    ] {
        let server = options_with_uploads().argument("--keep-free=0").disk("2m").start().await;
        let client = Client::member(&server, "Ron").await;
        let request = json!({"command": "put", "path": "old", "size": size, "replace": true});
        if used < 2 * MIB {
            server.add_file("old", "");
        }
        // The disk becomes full after the server has checked the space.
        let upload = client.put_as(request).await.unwrap();
        fs::write(server.files().join("used"), vec![0; used]).unwrap();
        let refusal = upload.send_file(&vec![7; size]).await.unwrap_err();
        assert_eq!(refusal.code(), "no_space", "{when}: {}", refusal.message());
        let mut names: Vec<_> =
            fs::read_dir(server.files()).unwrap().map(|name| name.unwrap().file_name()).collect();
        names.sort();
        let expected = if used < 2 * MIB { &["old", "used"][..] } else { &["used"] };
        assert_eq!(names, expected, "{when}");
        fs::remove_file(server.files().join("used")).unwrap();
        client.store("new", b"content").await.unwrap();
    }
}

#[tokio::test]
async fn the_server_reports_a_folder_that_it_cannot_write_to_as_forbidden() {
    let server = options_with_uploads().argument("--keep-free=0").unprivileged().start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("folder/file", "old");
    let folder = server.files().join("folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let refused = client.put("folder/new", 1).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        ("forbidden", "the server may not write there")
    );
    for request in [
        json!({"command": "remove", "path": "folder/file"}),
        json!({"command": "rename", "path": "folder/file", "to": "folder/b"}),
        json!({"command": "make_folder", "path": "folder/new/deeper"}),
    ] {
        assert_eq!(client.request(request.clone()).await.code(), "forbidden", "{request}");
    }
    assert_eq!(fs::read(folder.join("file")).unwrap(), b"old");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn space_that_is_only_kept_free_is_named_by_both_ends() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_uploads().argument("--keep-free=8MiB").disk("8m").start().await;
    let warning = server.log().wait_for("nothing can be stored: ").await;
    assert!(warning.message.ends_with("and --keep-free keeps 8.4 MB"), "{}", warning.message);
    let home = Home::new();
    fs::create_dir(home.file("photos")).unwrap();
    fs::write(home.file("photos/a"), [1; 100]).unwrap();
    fs::write(home.file("b"), [1; 100]).unwrap();
    let put = |arguments: &'static [&'static str]| home.quiver_as(&server, "Ron", arguments);
    let tree = put(&["put", "-r", "photos"]).run().await;
    let expected = "100 B are needed, but only 0 B are free: the server keeps another ";
    assert!(tree.expect(1).stderr.contains(expected), "{}", tree.stderr);
    let file = put(&["put", "b"]).run().await;
    let expected = "the server keeps 8.4 MB of its disk free";
    assert!(file.expect(1).stderr.contains(expected), "{}", file.stderr);
    server.log().wait_for(expected).await;
    // More than the disk has is another reason.
    let client = Client::member(&server, "Ben").await;
    let refused = client.put("c", 1_u64 << 40).await.unwrap_err();
    assert_eq!(refused.message(), "the server's disk does not have enough space");
}

#[tokio::test]
async fn each_disk_below_the_served_folder_has_its_own_space() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_uploads().argument("--keep-free=0").other_disk("4m").start().await;
    let client = Client::member(&server, "Ron").await;
    let on = async |path: &str| {
        let request = json!({"command": "space", "path": path});
        client.request(request).await.reply()["available"].as_u64().unwrap()
    };
    let size = 4 * MIB as u64;
    assert!(on("").await > size);
    for path in ["other", "other/new", "other/new/below"] {
        assert_eq!(on(path).await, size, "{path}");
    }
    // What is reserved on one disk is not missing on the other one.
    let upload = client.put("other/a", 3 * MIB).await.unwrap();
    assert_eq!(on("other").await, size - 3 * MIB as u64);
    let on_top = client.put("b", 3 * MIB).await.unwrap();
    assert_eq!(client.put("other/c", 2 * MIB).await.unwrap_err().code(), "no_space");
    assert_eq!(on("other").await, size - 3 * MIB as u64);
    drop((upload, on_top));
    fs::write(server.files().join("file"), "").unwrap();
    for path in ["file", "file/below"] {
        let refused = client.request(json!({"command": "space", "path": path})).await;
        assert_eq!(refused.code(), "not_a_folder", "{path}");
    }
    let home = Home::new();
    fs::create_dir_all(home.file("other")).unwrap();
    fs::write(home.file("other/big"), vec![1; 5 * MIB]).unwrap();
    let put = home.quiver_as(&server, "Ben", ["put", "-r", "other"]).run().await;
    assert!(put.expect(1).stderr.contains(" MB are needed, but only"), "{}", put.stderr);
}
