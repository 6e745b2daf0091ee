//! Partial files on the server: none is left once a put of the client has stored the file, and the
//! server does not resume one that others can change.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::{ServerOptions, is_root};
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::wire::{Dialer, RawUpload};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;
const QUOTA: usize = 100 * MIB;

fn options_with_quota() -> ServerOptions {
    let options = Server::options().argument("--allow-upload").argument("--keep-free=0");
    options.argument(format!("--quota={QUOTA}"))
}

/// Bytes that count against the client's quota.
async fn counted_bytes(client: &Client) -> usize {
    let space = client.request(json!({"command": "space"})).await;
    QUOTA - usize::try_from(space.reply()["available"].as_u64().unwrap()).unwrap()
}

/// The partial files on the server's disk.
fn partial_files(server: &Server) -> Vec<PathBuf> {
    let names = names(&server.files()).into_iter().filter(|name| name.starts_with(".quiver-"));
    names.map(|name| server.files().join(name)).collect()
}

/// Starts a put of `big`, and waits until half of the content is on the server's disk.
async fn start_put(server: &Server, client: &Client, content: &[u8]) -> RawUpload {
    let before = partial_files(server);
    let mut upload = client.put("big", content.len()).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_offset(0).await;
    upload.send_data(&content[..content.len() * 3 / 4]).await;
    let length = || {
        let new = partial_files(server).into_iter().filter(|file| !before.contains(file));
        new.filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).max().unwrap_or(0)
    };
    wait_until("content on the disk", || length() >= content.len() as u64 / 2).await;
    upload
}

#[tokio::test]
async fn a_third_connection_resumes_the_put_of_two_dead_ones() {
    let server = options_with_quota().start().await;
    let (key, content) = (Key::new(), Random::new(61).bytes(8 * MIB));
    let (first_relay, second_relay) =
        (UdpRelay::start(server.address()).await, UdpRelay::start(server.address()).await);
    let via = |relay: &UdpRelay| Dialer::new(&server).key(&key).via(relay.address());
    let (first, second) =
        (via(&first_relay).sign_in("Ron").await, via(&second_relay).sign_in("Ron").await);
    let third = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let _first_put = start_put(&server, &first, &content).await;
    first_relay.cut();
    let second_put = second.put("big", content.len());
    tokio::pin!(second_put);
    // The second put waits until the server considers the first connection dead; then it loses its
    // own.
    tokio::select! {
        biased;
        _ = &mut second_put => panic!("the server did not check the first connection"),
        text = second.message("Hello") => assert_eq!(text, "Hello ACK"),
    }
    second_relay.cut();
    let third_put = third.put("big", content.len()).await.unwrap();
    let (have, _) = third_put.have().expect("the content of the first put");
    assert!(have >= content.len() as u64 / 2, "{have}");
    third_put.send_file(&content).await.unwrap();
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    // The server removes the partial file of the second put too.
    wait_until("the partial files to be removed", || names(&server.files()) == ["big"]).await;
    let counted = async {
        while counted_bytes(&third).await != content.len() {
            tokio::task::yield_now().await;
        }
    };
    wait_within(TIMEOUT, "one file to count", counted).await;
}

#[tokio::test]
async fn a_stored_file_removes_the_partial_file_of_an_earlier_put() {
    // The server stores small files, files without a size and empty files in different ways.
    let content = Random::new(62).bytes(4 * MIB);
    for (what, size, bytes) in
        [("small", json!(1000), 1000), ("a pipe", json!(null), 200_000), ("empty", json!(0), 0)]
    {
        let server = options_with_quota().start().await;
        let client = Client::member(&server, "Ron").await;
        start_put(&server, &client, &content).await.finish().await.unwrap_err();
        assert_eq!(partial_files(&server).len(), 1, "{what}");
        let put = client.put("big", size).await.unwrap();
        put.send_file(&content[..bytes]).await.unwrap();
        assert_eq!(names(&server.files()), ["big"], "{what}");
        assert_eq!(counted_bytes(&client).await, bytes, "{what}");
    }
}

#[tokio::test]
async fn a_put_that_another_put_overtook_leaves_no_partial_file() {
    let server = options_with_quota().start().await;
    let (key, content) = (Key::new(), Random::new(63).bytes(4 * MIB));
    let (first, second) = (
        Dialer::new(&server).key(&key).sign_in("Ron").await,
        Dialer::new(&server).key(&key).sign_in("Ron").await,
    );
    let old = start_put(&server, &first, &content).await;
    // The first connection is alive, so the second put starts at zero.
    let new = second.put("big", content.len()).await.unwrap();
    assert_eq!(new.have(), None);
    new.send_file(&content).await.unwrap();
    old.stream.abandon();
    server.log().wait_for("not stored: big from ").await;
    wait_until("the partial file to be removed", || partial_files(&server).is_empty()).await;
    assert_eq!(names(&server.files()), ["big"]);
    let counted = async {
        while counted_bytes(&second).await != content.len() {
            tokio::task::yield_now().await;
        }
    };
    wait_within(TIMEOUT, "one file to count", counted).await;
}

#[tokio::test]
async fn the_server_does_not_resume_a_partial_file_that_others_can_change() {
    let content = Random::new(64).bytes(4 * MIB);
    let mut cases = vec!["another link", "writable by all"];
    if is_root() {
        cases.push("another owner");
    } else {
        assert!(std::env::var_os("CI").is_none(), "a partial file of another owner takes root");
        eprintln!("SKIPPED: a partial file of another owner takes root");
    }
    for case in cases {
        let server = options_with_quota().start().await;
        let client = Client::member(&server, "Ron").await;
        start_put(&server, &client, &content).await.finish().await.unwrap_err();
        let partial_file = partial_files(&server).remove(0);
        let precious = server.root().join("precious");
        fs::write(&precious, &content[..MIB]).unwrap();
        match case {
            "another link" => {
                fs::remove_file(&partial_file).unwrap();
                fs::hard_link(&precious, &partial_file).unwrap();
            }
            "another owner" => chown(&partial_file, Some(12_345), None).unwrap(),
            _ => fs::set_permissions(&partial_file, fs::Permissions::from_mode(0o666)).unwrap(),
        }
        let kept = client.request(json!({"command": "kept", "path": "big"})).await;
        assert_eq!(kept.reply().get("have"), None, "{case}");
        let put = client.put("big", content.len()).await.unwrap();
        assert_eq!(put.have(), None, "{case}");
        put.send_file(&content).await.unwrap();
        server.log().wait_for("the partial file of big is not used").await;
        assert!(fs::read(&precious).unwrap() == content[..MIB], "{case}");
        assert!(fs::read(server.files().join("big")).unwrap() == content, "{case}");
        assert_eq!(fs::metadata(server.files().join("big")).unwrap().nlink(), 1, "{case}");
        assert_eq!(names(&server.files()), ["big"], "{case}");
        assert_eq!(counted_bytes(&client).await, content.len(), "{case}");
    }
}
