//! What becomes of content that is dropped on the page: stored on the server, offered to others, and gone when it is not
//! needed any more.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use quiver_e2e::page_user::{DROPPED_AT, spool_folder, spooled_files, wait_for_empty_spool};
use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, PageUser, Server, SpooledFile, TIMEOUT, wait_until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ONE: &str = "00000000000000a1";
const TWO: &str = "00000000000000b2";

fn modified(path: &Path) -> u128 {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    modified.duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[tokio::test]
async fn dropped_files_are_stored_with_their_paths_and_times() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &[]).await;
    for (path, content) in [("a.txt", "one"), ("b/c/d%20%C3%BC.txt", "two"), ("b/empty", "")] {
        assert_eq!(ann.spool(ONE, path, content.as_bytes()).await, (200, Value::Null), "{path}");
    }
    let transfer = ann.put(ONE, "in").await.unwrap();
    let is_in = |event: &Value| event["folder"] == "in";
    ann.socket.wait_for_event("folder_changed", is_in).await;
    let view = ann.wait_for_transfer(&transfer, "done").await;
    assert_eq!(view["direction"], "upload");
    assert_eq!(view["names"], json!(["a.txt", "b"]));
    assert_eq!((&view["command"], &view["local"]), (&json!(""), &Value::Null));
    let stored = server.root().join("files/in");
    assert_eq!(fs::read_to_string(stored.join("a.txt")).unwrap(), "one");
    assert_eq!(fs::read_to_string(stored.join("b/c/d ü.txt")).unwrap(), "two");
    assert_eq!(fs::read_to_string(stored.join("b/empty")).unwrap(), "");
    assert_eq!(modified(&stored.join("a.txt")), DROPPED_AT as u128);
    wait_for_empty_spool(&home).await;
    assert_eq!(ann.put(ONE, "in").await.unwrap_err()["code"], "not_found");
    // The process leaves nothing.
    ann.page.process.signal(Signal::INT);
    ann.page.process.wait_for_exit(TIMEOUT).await;
    assert_eq!(fs::read_dir(spool_folder(&home)).unwrap().count(), 0);
    assert!(home.journal().is_empty());
}

#[tokio::test]
async fn a_dropped_file_is_offered_and_kept_until_it_is_stored() {
    let server = Server::start().await;
    let (first, second) = (Home::new(), Home::new());
    let mut ann = PageUser::open(&first, &server, "Ann", &[]).await;
    let mut ben = PageUser::open(&second, &server, "Ben", &[]).await;
    ann.spool(ONE, "photos/a.jpg", b"content").await;
    let send = json!({"do": "send_spooled", "drop": ONE, "name": "Ben"});
    let number = ann.socket.request(send.clone()).await.unwrap()["offer"].take();
    assert_eq!(ann.socket.request(send).await.unwrap_err()["code"], "invalid_request");
    let discard = json!({"do": "discard_spooled", "drop": ONE});
    assert_eq!(ann.socket.request(discard).await.unwrap_err()["code"], "invalid_request");
    let is_open = |event: &Value| event["offer"]["state"] == "open";
    let offer = ben.socket.wait_for_event("incoming_offer", is_open).await["offer"].take();
    assert_eq!(offer["names"], json!([{"name": "photos", "kind": "folder"}]));
    assert_eq!(spooled_files(&first).len(), 1);
    let accept = json!({"do": "accept", "offer": offer["number"], "folder": second.folder()});
    ben.socket.request(accept).await.unwrap();
    let is_delivered = |event: &Value| {
        event["offer"]["number"] == number && event["offer"]["state"] == "delivered"
    };
    ann.socket.wait_for_event("outgoing_offer", is_delivered).await;
    assert_eq!(fs::read_to_string(second.file("photos/a.jpg")).unwrap(), "content");
    assert_eq!(modified(&second.file("photos/a.jpg")), DROPPED_AT as u128);
    wait_for_empty_spool(&first).await;
}

#[tokio::test]
async fn an_offer_of_dropped_files_outlives_a_killed_process_and_other_drops_do_not() {
    let server = Server::start().await;
    let (first, second) = (Home::new(), Home::new());
    let mut ann = PageUser::open(&first, &server, "Ann", &[]).await;
    ann.spool(ONE, "a.txt", b"offered").await;
    ann.spool(TWO, "b.txt", b"not used").await;
    let send = json!({"do": "send_spooled", "drop": ONE, "name": "Ben"});
    ann.socket.request(send).await.unwrap();
    ann.page.process.signal(Signal::KILL);
    ann.page.process.wait_for_exit(TIMEOUT).await;
    assert_eq!(spooled_files(&first).len(), 2);
    let mut ann = PageUser::open(&first, &server, "Ann", &[]).await;
    wait_until("a swept spool", || spooled_files(&first).len() == 1).await;
    let mut ben = PageUser::open(&second, &server, "Ben", &[]).await;
    let is_open = |event: &Value| event["offer"]["state"] == "open";
    // Someone has to connect with Ben again.
    ann.socket.request(json!({"do": "path", "name": "Ben"})).await.unwrap();
    let offer = ben.socket.wait_for_event("incoming_offer", is_open).await["offer"].take();
    let accept = json!({"do": "accept", "offer": offer["number"], "folder": second.folder()});
    ben.socket.request(accept).await.unwrap();
    let is_delivered = |event: &Value| event["offer"]["state"] == "delivered";
    ann.socket.wait_for_event("outgoing_offer", is_delivered).await;
    assert_eq!(fs::read_to_string(second.file("a.txt")).unwrap(), "offered");
    wait_for_empty_spool(&first).await;
}

#[tokio::test]
async fn a_failed_put_says_why_and_can_be_tried_again_while_it_is_listed() {
    let server =
        Server::options().argument("--allow-upload").argument("--max-file-size=10").start();
    let server = server.await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &[]).await;
    ann.spool(ONE, "large", b"more than ten bytes").await;
    ann.spool(ONE, "small", b"few bytes").await;
    let transfer = ann.put(ONE, "in").await.unwrap();
    let failed = ann.wait_for_transfer(&transfer, "failed").await;
    assert_eq!(failed["can"], json!(["retry", "remove"]));
    let files = json!({"do": "transfer_files", "transfer": transfer, "after": 0, "limit": 10});
    let files = ann.socket.request(files).await.unwrap();
    let find = |name: &str| {
        let mut all = files["files"].as_array().unwrap().iter();
        all.find(|file| file["source"].as_str().unwrap().ends_with(name)).unwrap().clone()
    };
    assert_eq!((&find("small")["state"], &find("small")["error"]), (&json!("done"), &Value::Null));
    assert_eq!(find("large")["state"], "failed");
    let error = find("large")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("large") && error.contains("10 B"), "{error}");
    let retry = json!({"do": "retry", "transfer": transfer});
    let again = ann.socket.request(retry).await.unwrap()["transfer"].take();
    ann.wait_for_transfer(&again, "failed").await;
    assert_eq!(spooled_files(&home).len(), 2);
    ann.socket.request(json!({"do": "remove_transfer", "transfer": again})).await.unwrap();
    wait_for_empty_spool(&home).await;
}

#[tokio::test]
async fn a_cancelled_put_takes_its_content_along() {
    let server = Server::options().argument("--allow-upload").start().await;
    let relay = UdpRelay::start(server.address()).await;
    let home = Home::new();
    let address = relay.address().to_string();
    let mut ann = PageUser::open_at(&home, &server, &address, "Ann", &[]).await;
    ann.spool(ONE, "large", &Random::new(1).bytes(8_000_000)).await;
    relay.limit_rate(1_000_000);
    let transfer = ann.put(ONE, "in").await.unwrap();
    ann.wait_for_transfer(&transfer, "running").await;
    ann.socket.request(json!({"do": "cancel", "transfer": transfer})).await.unwrap();
    let cancelled = ann.wait_for_transfer(&transfer, "cancelled").await;
    assert_eq!(cancelled["can"], json!(["remove"]));
    wait_for_empty_spool(&home).await;
    assert!(!server.root().join("files/in/large").exists());
}

#[tokio::test]
async fn ten_thousand_small_files_are_one_drop() {
    const FILES: usize = 10_000;
    const CONNECTIONS: usize = 6;
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let mut ann = PageUser::open(&home, &server, "Ann", &[]).await;
    let hand_over = async |first: usize| {
        let mut stream = TcpStream::connect(ann.page.address()).await.unwrap();
        for number in (first..FILES).step_by(CONNECTIONS) {
            let (path, content) = (format!("d{}/{number}", number % 10), number.to_string());
            let content = content.as_bytes();
            let file = SpooledFile { dropped: ONE, path: &path, content, modified: DROPPED_AT };
            let head = ann.page.spool_headers(&ann.secret, file).join("\r\n");
            let head = format!("POST /spool HTTP/1.1\r\n{head}\r\n\r\n");
            stream.write_all(&[head.as_bytes(), content].concat()).await.unwrap();
            let mut response = [0; 4096];
            let length = stream.read(&mut response).await.unwrap();
            let text = String::from_utf8_lossy(&response[..length]).into_owned();
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
    };
    tokio::join!(
        hand_over(0),
        hand_over(1),
        hand_over(2),
        hand_over(3),
        hand_over(4),
        hand_over(5)
    );
    let transfer = ann.put(ONE, "").await.unwrap();
    let done = async {
        let done = ann.wait_for_transfer(&transfer, "done").await;
        assert_eq!(done["files_done"], FILES);
    };
    tokio::time::timeout(Duration::from_secs(120), done).await.unwrap();
    assert_eq!(fs::read_to_string(server.root().join("files/d9/9999")).unwrap(), "9999");
    wait_for_empty_spool(&home).await;
}
