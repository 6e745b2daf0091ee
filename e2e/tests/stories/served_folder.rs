//! A served folder that is replaced by another: the server serves the new one; running transfers
//! keep the old one.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::random::Random;
use quiver_e2e::server::is_root;
use quiver_e2e::{Client, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

const NOW_SERVING: &str = "now serving the new folder at ";
const CANNOT_OPEN: &str = "the served folder cannot be opened at ";
const STILL_SERVING: &str = "serving the folder that was opened before";

/// The interval of the server's checks, and time for a busy machine.
const CHECK_LIMIT: Duration = Duration::from_secs(5);

/// The names that the server lists.
async fn listed_names(client: &Client) -> Vec<String> {
    let response = client.list("").await;
    response.eof();
    response.replies.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

/// Waits until the server has replaced the served folder `count` times.
async fn wait_for_replacement(server: &Server, count: usize) {
    let started = Instant::now();
    server.log().wait_for_nth(NOW_SERVING, count).await;
    assert!(started.elapsed() < CHECK_LIMIT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn the_server_serves_a_folder_that_was_created_again() {
    let server = Server::start().await;
    server.add_file("old", "old");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(listed_names(&client).await, ["old"]);
    fs::remove_dir_all(server.files()).unwrap();
    server.log().wait_for(CANNOT_OPEN).await;
    assert_eq!(listed_names(&client).await, [""; 0]);
    server.add_file("new", "new");
    wait_for_replacement(&server, 1).await;
    assert_eq!(listed_names(&client).await, ["new"]);
    assert_eq!(client.get_code("new").await, "");
    assert_eq!(client.get_code("old").await, "not_found");
    assert_eq!(server.log().count(CANNOT_OPEN), 1, "the server logs it once");
}

#[tokio::test]
async fn the_server_keeps_serving_a_folder_that_was_moved_away_and_back() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let client = Client::member(&server, "Ron").await;
    let moved = server.root().join("moved");
    fs::rename(server.files(), &moved).unwrap();
    server.log().wait_for(CANNOT_OPEN).await;
    assert_eq!(client.get_code("a").await, "", "the server reads from the moved folder");
    fs::rename(&moved, server.files()).unwrap();
    server.log().wait_for("the served folder is at ").await;
    assert_eq!(client.get_code("a").await, "");
    assert_eq!(server.log().count(NOW_SERVING), 0);
}

#[tokio::test]
async fn a_running_transfer_keeps_the_folder_it_started_with() {
    let server = Server::options().argument("--allow-upload").start().await;
    let content = Random::new(71).bytes(32 * MIB);
    server.add_file("big", &content);
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    let upload = client.put("up", MIB).await.unwrap();
    let old = server.root().join("old");
    fs::rename(server.files(), &old).unwrap();
    server.add_file("new", "new");
    wait_for_replacement(&server, 1).await;
    assert_eq!(listed_names(&client).await, ["new"]);
    let uploaded = Random::new(72).bytes(MIB);
    upload.send_file(&uploaded).await.unwrap();
    assert!(fs::read(old.join("up")).unwrap() == uploaded);
    download.finish().await.unwrap().acknowledge().await;
    assert_eq!(server.stored_names(), ["new"]);
}

#[tokio::test]
async fn the_server_follows_a_link_to_its_new_target() {
    let prepare = |folder: &Path| {
        fs::rename(folder.join("files"), folder.join("first")).unwrap();
        symlink("first", folder.join("files")).unwrap();
        fs::create_dir(folder.join("second")).unwrap();
        fs::write(folder.join("second/b"), "b").unwrap();
    };
    let server = Server::options().start_with_folder(prepare).await;
    server.add_file("a", "a");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(listed_names(&client).await, ["a"]);
    for (count, (folder, name)) in [("second", "b"), ("first", "a")].into_iter().enumerate() {
        symlink(folder, server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        wait_for_replacement(&server, count + 1).await;
        assert_eq!(listed_names(&client).await, [name]);
    }
}

#[tokio::test]
async fn the_server_serves_a_disk_that_is_mounted_over_its_folder() {
    if !small_disks_available() {
        return;
    }
    // This server has its own mount namespace, in which the test can mount another disk.
    let server = Server::options().disk("1m").start().await;
    server.add_file("below", "below");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(listed_names(&client).await, ["below"]);
    let mut mount = Command::new("nsenter");
    mount.arg("--target").arg(server.id().to_string()).arg("--mount");
    if !is_root() {
        mount.args(["--user", "--preserve-credentials"]);
    }
    mount.args(["--", "mount", "-t", "tmpfs", "tmpfs"]).arg(server.root().join("files"));
    assert!(mount.status().unwrap().success());
    wait_for_replacement(&server, 1).await;
    assert_eq!(listed_names(&client).await, [""; 0]);
    server.add_file("above", "above");
    assert_eq!(listed_names(&client).await, ["above"]);
}

#[tokio::test]
async fn the_server_does_not_serve_a_new_folder_with_its_secrets() {
    let prepare = |folder: &Path| {
        fs::rename(folder.join("files"), folder.join("first")).unwrap();
        symlink("first", folder.join("files")).unwrap();
    };
    let options = Server::options().account("Ron", "tomato").allow_errors();
    let server = options.start_with_folder(prepare).await;
    server.add_file("a", "a");
    let client = quiver_e2e::wire::Dialer::new(&server).connect().await.unwrap();
    assert_eq!(client.sign_in("Ron", "tomato").await.reply()["reply"], "welcome");
    for (count, secret) in [(1, "."), (2, "certs")] {
        symlink(secret, server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        let refusal = server.log().wait_for_nth("not serving the new folder at ", count).await;
        assert_eq!(refusal.level, "ERROR");
        assert!(refusal.message.contains("/certs lies in "), "{}", refusal.message);
        assert!(refusal.message.contains("which every client may read"), "{}", refusal.message);
        assert!(refusal.message.ends_with(STILL_SERVING), "{}", refusal.message);
        assert_eq!(listed_names(&client).await, ["a"]);
        // The link leads back to the first folder.
        symlink("first", server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        server.log().wait_for_nth("the served folder is at ", count).await;
    }
    assert_eq!(server.log().count(NOW_SERVING), 0);
    let errors = server.log().entries().iter().filter(|entry| entry.level == "ERROR").count();
    assert_eq!(errors, 2, "the server logs each refusal once");
}

#[tokio::test]
async fn uploads_go_to_the_new_folder_and_count_there() {
    let quota = (3 * MIB / 2).to_string();
    let options = Server::options().argument("--allow-upload").argument("--quota");
    let server = options.argument(quota).start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(73).bytes(MIB);
    assert_eq!(client.store_code("first", &content).await, "");
    assert_eq!(client.store_code("second", &content).await, "no_space");
    fs::rename(server.files(), server.root().join("old")).unwrap();
    fs::create_dir(server.files()).unwrap();
    wait_for_replacement(&server, 1).await;
    // The server counts the new folder at once, not after an hour.
    let mut code = client.store_code("second", &content).await;
    let deadline = Instant::now() + CHECK_LIMIT;
    while code == "no_space" && Instant::now() < deadline {
        code = client.store_code("second", &content).await;
    }
    assert_eq!(code, "");
    assert_eq!(server.stored_names(), ["second"]);
    assert!(fs::read(server.files().join("second")).unwrap() == content);
}

#[tokio::test]
async fn files_count_again_when_their_folder_is_back() {
    let options = Server::options().argument("--allow-upload").argument("--quota=3MiB");
    let server = options.start().await;
    let client = Client::member(&server, "Ron").await;
    let available =
        async || client.request(json!({"command": "space"})).await.reply()["available"].clone();
    client.store("first", &Random::new(74).bytes(MIB)).await.unwrap();
    assert_eq!(available().await, 2 * MIB);
    let moved = server.root().join("moved");
    // As when a disk is unmounted, and mounted again.
    fs::rename(server.files(), &moved).unwrap();
    fs::create_dir(server.files()).unwrap();
    wait_for_replacement(&server, 1).await;
    wait_within(TIMEOUT, "an empty folder to count", async {
        while available().await != 3 * MIB {}
    })
    .await;
    // An upload that runs meanwhile stays in the folder it started with.
    let upload = client.put("second", MIB).await.unwrap();
    fs::remove_dir_all(server.files()).unwrap();
    fs::rename(&moved, server.files()).unwrap();
    wait_for_replacement(&server, 2).await;
    wait_within(TIMEOUT, "the first file to count again", async {
        while available().await != MIB {}
    })
    .await;
    drop(upload);
    wait_within(TIMEOUT, "the first file alone to count", async {
        while available().await != 2 * MIB {}
    })
    .await;
}
