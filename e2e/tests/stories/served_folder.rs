//! A served folder that another one takes the place of: the new one is served, what is under way ends in the old.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::random::Random;
use quiver_e2e::server::is_root;
use quiver_e2e::{Client, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

const NEW: &str = "now serving the new folder at ";
const GONE: &str = "the served folder cannot be opened at ";
const STILL: &str = "serving the folder that was opened before";

/// A moment for the server to look, and some for a busy machine.
const NOTICED: Duration = Duration::from_secs(5);

async fn names(client: &Client) -> Vec<String> {
    let answer = client.list("").await;
    answer.eof();
    answer.replies.iter().map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a folder is served that took another's place.
async fn is_noticed(server: &Server, count: usize) {
    let began = Instant::now();
    server.log().wait_for_nth(NEW, count).await;
    assert!(began.elapsed() < NOTICED, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_folder_that_was_made_anew_is_served() {
    let server = Server::start().await;
    server.add_file("old", "old");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(names(&client).await, ["old"]);
    fs::remove_dir_all(server.files()).unwrap();
    server.log().wait_for(GONE).await;
    assert_eq!(names(&client).await, [""; 0]);
    server.add_file("new", "new");
    is_noticed(&server, 1).await;
    assert_eq!(names(&client).await, ["new"]);
    assert_eq!(client.get_code("new").await, "");
    assert_eq!(client.get_code("old").await, "not_found");
    assert_eq!(server.log().count(GONE), 1, "it is said once");
}

#[tokio::test]
async fn a_folder_that_comes_back_is_the_same() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let client = Client::member(&server, "Ron").await;
    let away = server.root().join("away");
    fs::rename(server.files(), &away).unwrap();
    server.log().wait_for(GONE).await;
    assert_eq!(client.get_code("a").await, "", "it is served from where it is now");
    fs::rename(&away, server.files()).unwrap();
    server.log().wait_for("the served folder is at ").await;
    assert_eq!(client.get_code("a").await, "");
    assert_eq!(server.log().count(NEW), 0);
}

#[tokio::test]
async fn a_transfer_ends_with_the_folder_that_it_began_with() {
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
    is_noticed(&server, 1).await;
    assert_eq!(names(&client).await, ["new"]);
    let content_of_up = Random::new(72).bytes(MIB);
    upload.send_file(&content_of_up).await.unwrap();
    assert!(fs::read(old.join("up")).unwrap() == content_of_up);
    download.finish().await.unwrap().acknowledge().await;
    assert_eq!(server.stored_names(), ["new"]);
}

#[tokio::test]
async fn a_link_that_leads_elsewhere_is_followed() {
    let start = |folder: &Path| {
        fs::rename(folder.join("files"), folder.join("first")).unwrap();
        symlink("first", folder.join("files")).unwrap();
        fs::create_dir(folder.join("second")).unwrap();
        fs::write(folder.join("second/b"), "b").unwrap();
    };
    let server = Server::options().start_with_folder(start).await;
    server.add_file("a", "a");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(names(&client).await, ["a"]);
    for (count, (folder, name)) in [("second", "b"), ("first", "a")].into_iter().enumerate() {
        symlink(folder, server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        is_noticed(&server, count + 1).await;
        assert_eq!(names(&client).await, [name]);
    }
}

#[tokio::test]
async fn a_disk_that_is_mounted_over_the_folder_is_served() {
    if !small_disks_available() {
        return;
    }
    // In a namespace of its own from the start, in which more can be mounted.
    let server = Server::options().disk("1m").start().await;
    server.add_file("below", "below");
    let client = Client::member(&server, "Ron").await;
    assert_eq!(names(&client).await, ["below"]);
    let mut mount = Command::new("nsenter");
    mount.arg("--target").arg(server.id().to_string()).arg("--mount");
    if !is_root() {
        mount.args(["--user", "--preserve-credentials"]);
    }
    mount.args(["--", "mount", "-t", "tmpfs", "tmpfs"]).arg(server.root().join("files"));
    assert!(mount.status().unwrap().success());
    is_noticed(&server, 1).await;
    assert_eq!(names(&client).await, [""; 0]);
    server.add_file("above", "above");
    assert_eq!(names(&client).await, ["above"]);
}

#[tokio::test]
async fn a_folder_with_the_servers_secrets_is_not_served() {
    let start = |folder: &Path| {
        fs::rename(folder.join("files"), folder.join("first")).unwrap();
        symlink("first", folder.join("files")).unwrap();
    };
    let options = Server::options().account("Ron", "tomato").allow_errors();
    let server = options.start_with_folder(start).await;
    server.add_file("a", "a");
    let client = quiver_e2e::wire::Dialer::new(&server).connect().await.unwrap();
    assert_eq!(client.sign_in("Ron", "tomato").await.reply()["reply"], "welcome");
    for secret in [".", "certs"] {
        symlink(secret, server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        let said = server.log().wait_for("not serving the new folder at ").await;
        assert_eq!(said.level, "ERROR");
        assert!(said.message.contains("/certs lies in "), "{}", said.message);
        assert!(said.message.contains("which every client may read"), "{}", said.message);
        assert!(said.message.ends_with(STILL), "{}", said.message);
        assert_eq!(names(&client).await, ["a"]);
        // Back, for the next.
        symlink("first", server.root().join("next")).unwrap();
        fs::rename(server.root().join("next"), server.files()).unwrap();
        wait_until("the first folder", || server.log().count("the served folder is at ") > 0).await;
    }
    assert_eq!(server.log().count(NEW), 0);
    let errors = server.log().entries().iter().filter(|entry| entry.level == "ERROR").count();
    assert!((1..=2).contains(&errors), "each is said once: {errors}");
}

#[tokio::test]
async fn what_clients_store_goes_to_the_new_folder_and_counts_there() {
    let quota = (3 * MIB / 2).to_string();
    let options = Server::options().argument("--allow-upload").argument("--quota");
    let server = options.argument(quota).start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(73).bytes(MIB);
    assert_eq!(client.store_code("first", &content).await, "");
    assert_eq!(client.store_code("second", &content).await, "no_space");
    fs::rename(server.files(), server.root().join("old")).unwrap();
    fs::create_dir(server.files()).unwrap();
    is_noticed(&server, 1).await;
    // What was counted is not there any more: the server looks at once, not after an hour.
    let mut code = client.store_code("second", &content).await;
    let deadline = Instant::now() + NOTICED;
    while code == "no_space" && Instant::now() < deadline {
        code = client.store_code("second", &content).await;
    }
    assert_eq!(code, "");
    assert_eq!(server.stored_names(), ["second"]);
    assert!(fs::read(server.files().join("second")).unwrap() == content);
}

#[tokio::test]
async fn files_that_come_back_with_their_folder_count_again() {
    let options = Server::options().argument("--allow-upload").argument("--quota=3MiB");
    let server = options.start().await;
    let client = Client::member(&server, "Ron").await;
    let available =
        async || client.request(json!({"command": "space"})).await.reply()["available"].clone();
    client.store("first", &Random::new(74).bytes(MIB)).await.unwrap();
    assert_eq!(available().await, 2 * MIB);
    let away = server.root().join("away");
    // As where a disk is unmounted, and mounted again.
    fs::rename(server.files(), &away).unwrap();
    fs::create_dir(server.files()).unwrap();
    is_noticed(&server, 1).await;
    wait_within(TIMEOUT, "nothing to count", async { while available().await != 3 * MIB {} }).await;
    // One that is received meanwhile is in the folder that it began in.
    let upload = client.put("second", MIB).await.unwrap();
    fs::remove_dir_all(server.files()).unwrap();
    fs::rename(&away, server.files()).unwrap();
    is_noticed(&server, 2).await;
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
