//! Quota rows: each file and folder of a client counts against its quota from its first name to its
//! removal, also when others rename and remove at the same time, and when a disk is full.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::io::Write as _;

use quiver_e2e::disk::small_disks_available;
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::Dialer;
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::json;

const QUOTA: u64 = 10_000_000;

/// Bytes that a folder counts.
const FOLDER_BYTES: u64 = 4096;

fn options_with_quota() -> ServerOptions {
    Server::options().argument("--allow-upload").argument(format!("--quota={QUOTA}"))
}

/// Bytes that count against the client's quota.
async fn counted_bytes(client: &Client) -> u64 {
    let space = client.request(json!({"command": "space"})).await;
    QUOTA - space.reply()["available"].as_u64().unwrap()
}

async fn rename(client: &Client, path: &str, to: &str) -> String {
    let response = client.request(json!({"command": "rename", "path": path, "to": to})).await;
    response.code().to_owned()
}

async fn make_folder(client: &Client, path: &str) -> String {
    client.request(json!({"command": "make_folder", "path": path})).await.code().to_owned()
}

async fn remove(client: &Client, path: &str) -> String {
    client.request(json!({"command": "remove", "path": path})).await.code().to_owned()
}

/// Bytes of all files in the served folder.
fn stored_bytes(server: &Server) -> u64 {
    let files = fs::read_dir(server.files()).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn a_file_that_its_client_renames_or_removes_during_the_commit_counts_right() {
    let server = options_with_quota().argument("--keep-free=0").start().await;
    let client = Client::member(&server, "Ron").await;
    // The server commits small and large files in different ways.
    for (round, size) in [1000, 100_000].repeat(15).into_iter().enumerate() {
        let content = Random::new(round as u64).bytes(size);
        let change = async {
            // Succeeds as soon as the file has its name.
            loop {
                let code = match round % 3 {
                    0 => remove(&client, "new").await,
                    _ => rename(&client, "new", &format!("moved {round}")).await,
                };
                if code != "not_found" {
                    return code;
                }
            }
        };
        let change = wait_within(TIMEOUT, "the file", change);
        let (put, changed) = tokio::join!(client.store("new", &content), change);
        put.unwrap();
        assert_eq!(changed, "", "round {round}");
        assert_eq!(counted_bytes(&client).await, stored_bytes(&server), "round {round}");
    }
    assert_eq!(server.stored_names().len(), 20);
}

#[tokio::test]
async fn folders_count_against_the_quota_until_they_are_removed() {
    let mut server = options_with_quota().argument("--keep-free=0").start().await;
    let key = Key::new();
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    // The server creates the parent folders too.
    assert_eq!(make_folder(&client, "a/b/c").await, "");
    assert_eq!(counted_bytes(&client).await, 3 * FOLDER_BYTES);
    assert_eq!(make_folder(&client, "a/b/c").await, "");
    client.store("a/b/file", &[1; 100]).await.unwrap();
    assert_eq!(counted_bytes(&client).await, 3 * FOLDER_BYTES + 100);
    assert_eq!(rename(&client, "a", "new").await, "");
    assert_eq!(counted_bytes(&client).await, 3 * FOLDER_BYTES + 100);
    // The operator's folders count for no client.
    fs::create_dir(server.files().join("operators")).unwrap();
    assert_eq!(make_folder(&client, "operators/d").await, "");
    assert_eq!(counted_bytes(&client).await, 4 * FOLDER_BYTES + 100);
    server.restart().await;
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    server.log().wait_for("listening on").await;
    assert_eq!(counted_bytes(&client).await, 4 * FOLDER_BYTES + 100);
    for path in ["operators/d", "operators", "new/b/c", "new/b/file", "new/b", "new"] {
        assert_eq!(remove(&client, path).await, "", "{path}");
    }
    assert_eq!(counted_bytes(&client).await, 0);
}

#[tokio::test]
async fn the_server_creates_no_folder_that_does_not_fit_the_quota_or_the_disk() {
    let server = options_with_quota().argument("--keep-free=0").start().await;
    let client = Client::member(&server, "Ron").await;
    let rest = usize::try_from(QUOTA - 2 * FOLDER_BYTES - 10).unwrap();
    client.store("file", &vec![1; rest]).await.unwrap();
    let deep = json!({"command": "make_folder", "path": "a/b/c"});
    let refused = client.request(deep).await;
    assert_eq!(refused.code(), "no_space", "{}", refused.message());
    assert_eq!(make_folder(&client, "d").await, "no_space");
    assert_eq!(server.stored_names(), ["a", "file"]);
    assert!(server.files().join("a/b").is_dir());
    assert_eq!(fs::read_dir(server.files().join("a/b")).unwrap().count(), 0);
    assert_eq!(counted_bytes(&client).await, QUOTA - 10);

    if !small_disks_available() {
        return;
    }
    // The disk is smaller than the space that must stay free.
    let server = options_with_quota().argument("--keep-free=8MiB").disk("4m").start().await;
    let client = Client::member(&server, "Ron").await;
    assert_eq!(make_folder(&client, "a").await, "no_space");
    assert_eq!(client.store_code("empty", b"").await, "no_space");
    assert_eq!(names(&server.files()), [""; 0]);
}

#[tokio::test]
async fn the_server_stores_nothing_whose_quota_row_it_cannot_write() {
    if !small_disks_available() {
        return;
    }
    let server = options_with_quota()
        .argument("--keep-free=0")
        .state_disk("256k")
        .allow_errors()
        .start()
        .await;
    let client = Client::member(&server, "Ron").await;
    client.store("first", &[1; 10]).await.unwrap();
    let full = server.state().join("full");
    let fill = || {
        let mut file = fs::File::create(&full).unwrap();
        while file.write_all(&[0; 512]).is_ok() {}
    };
    fill();
    let mut refused = 0;
    for number in 0..200 {
        let code = client.store_code(&format!("file {number}"), &[1; 1000]).await;
        assert!(["", "no_space"].contains(&code.as_str()), "{code}");
        refused += usize::from(!code.is_empty());
        assert_eq!(server.stored_names().len(), 201 - refused - (199 - number));
    }
    assert!(refused > 0);
    assert_eq!(counted_bytes(&client).await, stored_bytes(&server));
    let content = Random::new(1).bytes(1_000_000);
    assert_eq!(client.store_code("large", &content).await, "no_space");
    assert_eq!(
        client
            .put("piped", json!(null))
            .await
            .unwrap()
            .send_file(&content)
            .await
            .unwrap_err()
            .code(),
        "no_space"
    );
    assert_eq!(make_folder(&client, "folder").await, "no_space");
    assert_eq!(rename(&client, "first", "last").await, "no_space");
    assert_eq!(counted_bytes(&client).await, stored_bytes(&server));
    // A client can remove files while the disk of the database is full.
    assert_eq!(remove(&client, "first").await, "");
    assert!(!server.stored_names().contains(&"first".to_owned()));
    server.log().wait_for("cannot record who stores what").await;
    fs::remove_file(&full).unwrap();
    client.store("large", &content).await.unwrap();
    assert_eq!(make_folder(&client, "folder").await, "");
}

#[tokio::test]
async fn a_client_can_rename_to_the_path_of_a_folder_that_the_operator_removed() {
    let server = options_with_quota().argument("--keep-free=0").start().await;
    let client = Client::member(&server, "Ron").await;
    for folder in ["old", "new"] {
        assert_eq!(make_folder(&client, folder).await, "");
        client.store(&format!("{folder}/a"), &[1; 100]).await.unwrap();
    }
    fs::remove_dir_all(server.files().join("old")).unwrap();
    assert_eq!(rename(&client, "new", "old").await, "");
    assert_eq!(server.stored_names(), ["old"]);
    assert_eq!(counted_bytes(&client).await, FOLDER_BYTES + 100);
    // The rows are those of the renamed folder.
    assert_eq!(rename(&client, "old", "new").await, "");
    assert_eq!(remove(&client, "new/a").await, "");
    assert_eq!(remove(&client, "new").await, "");
    assert_eq!(counted_bytes(&client).await, 0);
}
