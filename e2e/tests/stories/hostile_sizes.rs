//! File sizes of up to 2^64 - 1 bytes, announced by a hostile client or server: the other side
//! reserves neither space nor memory for them.

use std::fs;
use std::fs::File;

use quiver_e2e::fake_server::Step;
use quiver_e2e::process::Signal;
use quiver_e2e::quiver::names;
use quiver_e2e::{Client, FakeServer, Home, Server, TIMEOUT, wait_until};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

const SIZES: [u64; 4] = [1 << 62, i64::MAX as u64, 1 << 63, u64::MAX];

/// Limit for the memory of a program that has reserved none for a file, in KiB.
const MAX_MEMORY: u64 = 64 * 1024;

const TIME: &str = "2024-10-19T17:45:47Z";

#[tokio::test]
async fn the_server_keeps_no_reservation_of_a_refused_put() {
    let server = Server::options()
        .argument("--allow-upload")
        .argument("--quota=8MiB")
        .argument("--keep-free=0")
        .start()
        .await;
    server.add_file("old", "older");
    let client = Client::member(&server, "Ron").await;
    let space =
        async || client.request(json!({"command": "space"})).await.reply()["available"].clone();
    let before = space().await;
    assert_eq!(before, 8 * MIB, "the quota is less than the free space");
    for round in 0..25 {
        for size in SIZES {
            for path in ["new", "old"] {
                let request =
                    json!({"command": "put", "path": path, "size": size, "replace": true});
                let refused = client.put_as(request).await.unwrap_err();
                assert_eq!(refused.code(), "no_space", "{path}, {size}, round {round}");
            }
        }
    }
    for size in [json!(1.8e19), json!(-1), json!("1")] {
        let refused = client.put("new", size.clone()).await.unwrap_err();
        assert_eq!(refused.code(), "bad_request", "{size}");
    }
    assert_eq!(space().await, before);
    assert_eq!(names(&server.files()), ["old"]);
    assert_eq!(fs::read_to_string(server.files().join("old")).unwrap(), "older");
    // The whole quota is available.
    client.store("new", &vec![7; 8 * MIB]).await.unwrap();
    assert!(server.memory().peak < MAX_MEMORY, "{:?}", server.memory());
}

#[tokio::test]
async fn the_server_refuses_the_largest_sparse_file_before_any_content() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    // The largest size of the file system; on some it is 2^63 - 1.
    let file = File::create(home.file("sparse")).unwrap();
    let size =
        (40..63).rev().map(|bits| (1_u64 << bits) - 1).find(|size| file.set_len(*size).is_ok());
    let size = size.expect("a file of 2^40 bytes");
    let refused = home.quiver_as(&server, "Ron", ["put", "sparse"]).run().await;
    assert!(
        refused.expect(1).stderr.contains("hint: free space with rm"),
        "{size}: {}",
        refused.stderr
    );
    assert!(names(&server.files()).is_empty());
}

/// The head of a response to `get`, with this size.
fn head(size: u64) -> Step {
    let head = json!({"reply": "file", "path": "a", "size": size, "modified": TIME, "offset": 0});
    Step::reply(&head)
}

#[tokio::test]
async fn a_client_reserves_nothing_for_an_announced_size() {
    for size in SIZES {
        let fake_server = FakeServer::start(move |request| {
            (request["command"] == "get").then(|| {
                let content = (0..4096).map(|_| Step::data(&[7; 1024]));
                [head(size)].into_iter().chain(content).collect()
            })
        });
        let home = Home::new();
        let quiver = home.quiver(["--name", "Ron", "get", "a", "--retry-timeout", "0"]);
        let mut process = quiver.server(fake_server.address(), &fake_server.certificate()).start();
        // The server sends no more, and the client waits.
        wait_until("some of the content", || home.partial_length() >= 2 * MIB as u64).await;
        let file = fs::metadata(&home.partial_files()[0]).unwrap();
        let used = std::os::unix::fs::MetadataExt::blocks(&file) * 512;
        assert!(used <= 8 * MIB as u64, "{size}: {used} bytes of the disk");
        assert!(process.memory().peak < MAX_MEMORY, "{size}: {:?}", process.memory());
        process.signal(Signal::INT);
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130), "{size}");
        let stderr = process.stderr.lines().join("\n");
        assert!(!stderr.contains("panicked"), "{size}: {stderr}");
        assert!(stderr.contains("continues at 0 %"), "{size}: {stderr}");
        let list = home.quiver(["transfers", "--json"]).run().await;
        assert_eq!(list.expect(0).stdout.lines().count(), 1, "{size}: {}", list.stdout);
        home.quiver(["transfers"]).run().await.expect(0);
    }
}

#[tokio::test]
async fn a_client_shows_a_list_with_any_sizes() {
    let entries = SIZES.map(|size| {
        let path = format!("{size}.bin");
        json!({"reply": "entry", "path": path, "kind": "file", "size": size, "modified": TIME})
    });
    let fake_server = FakeServer::start(move |request| {
        (request["command"] == "list").then(|| {
            // No file or folder is called like the pattern.
            if request["path"] != "" {
                return vec![Step::error("not_found", "there is none"), Step::Finish];
            }
            let end = Step::eof(&json!({"entries": SIZES.len(), "not_served": 0}));
            entries.iter().map(Step::reply).chain([end, Step::Finish]).collect()
        })
    });
    let home = Home::new();
    let run = async |arguments: &[&str]| {
        let quiver = home.quiver(["--name", "Ron"]).arguments(arguments);
        quiver.server(fake_server.address(), &fake_server.certificate()).run().await
    };
    let list = run(&["list", "--json"]).await;
    let sizes: Vec<u64> = list
        .expect(0)
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["size"].as_u64().unwrap())
        .collect();
    assert_eq!(sizes, SIZES);
    assert_eq!(run(&["list"]).await.expect(0).stdout.lines().count(), SIZES.len());
    // The sum of the sizes does not fit into 64 bits.
    let plan = run(&["get", "*", "--dry-run"]).await;
    assert!(!plan.stderr.contains("panicked"), "{}", plan.stderr);
    assert_eq!(plan.expect(0).stdout.matches(".bin").count(), SIZES.len(), "{}", plan.stdout);
    assert!(home.names().is_empty());
}
