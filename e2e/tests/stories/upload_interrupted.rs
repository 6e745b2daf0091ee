//! Puts that break off, at either end, and clients that let the server wait.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::{Dialer, RawFrame, RawStream, RawUpload, hash};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

fn uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

/// Waits until the server says that it wrote so much.
async fn stored(upload: &mut RawUpload, bytes: u64) {
    let told = async {
        loop {
            let frame = upload.stream.read_frame().await.unwrap().unwrap();
            if frame.value()["stored"].as_u64().unwrap() >= bytes {
                return;
            }
        }
    };
    wait_within(TIMEOUT, "progress", told).await;
}

#[tokio::test]
async fn a_killed_server_goes_on_where_it_stopped() {
    let mut server = uploads().start().await;
    let key = Key::new();
    let content = Random::new(1).bytes(8 * MIB);
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let mut upload = client.put("big", content.len()).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..5 * MIB]).await;
    stored(&mut upload, 4 * MIB as u64).await;
    server.restart().await;
    assert!(!server.files().join("big").exists());
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let upload = client.put("big", content.len()).await.unwrap();
    let (have, blake3) = upload.have().unwrap();
    assert!(have >= 4 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    let stored = upload.send_file(&content).await.unwrap();
    assert_eq!(stored.frames, (content.len() as u64 - have).div_ceil(1024), "only the rest");
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "no part is left");
}

#[tokio::test]
async fn a_source_that_changed_starts_over() {
    let server = uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let mut upload = client.put("big", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    upload.finish().await.unwrap_err();
    let content = Random::new(2).bytes(3 * MIB);
    let upload = client.put("big", content.len()).await.unwrap();
    assert!(upload.have().is_some());
    let stored = upload.send_file(&content).await.unwrap();
    assert_eq!(stored.frames, content.len().div_ceil(1024) as u64, "all of it");
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    // What became shorter than what is here does, too.
    let mut upload = client.put("small", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    upload.finish().await.unwrap_err();
    let upload = client.put("small", 3).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_file(b"new").await.unwrap();
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 2, "no part is left");
}

#[tokio::test]
async fn whoever_cannot_be_known_again_leaves_no_part() {
    let server = uploads().start().await;
    let client = Dialer::new(&server).without_certificate().sign_in("Ron").await;
    let mut upload = client.put("big", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    client.close().await;
    server.log().wait_for("not stored: big").await;
    quiver_e2e::wait_until("the part to go", || fs::read_dir(server.files()).unwrap().count() == 0)
        .await;
}

#[tokio::test]
async fn messages_pass_while_puts_stall() {
    let server = uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    // As many as the server lets in at once, and more; each with all that may wait unread.
    let mut running = Vec::new();
    for number in 0..3 {
        let mut upload = client.put(&format!("file-{number}"), 64 * MIB).await.unwrap();
        upload.send_offset(0).await;
        upload.send_data(&vec![1; MIB]).await;
        running.push(upload);
    }
    let fourth = client.put("file-4", 64 * MIB);
    tokio::pin!(fourth);
    for _ in 0..100 {
        tokio::select! {
            _ = &mut fourth => panic!("more was let in than there is room for"),
            said = client.message("Hello") => assert_eq!(said, "Hello ACK"),
        }
    }
    // A small one still fits beside them, and room that is given back is used again.
    let request = json!({"command": "put", "path": "small", "size": 10});
    running.pop().unwrap().stream.abandon();
    let mut fourth = fourth.await.unwrap();
    fourth.send_offset(0).await;
    running.pop().unwrap().stream.abandon();
    client.put_as(request).await.unwrap().send_file(&[1; 10]).await.unwrap();
}

#[tokio::test]
async fn a_client_that_falls_silent_is_cut_off_and_others_work_meanwhile() {
    let server = uploads().argument("--put-timeout=5").start().await;
    let silent = Client::member(&server, "Ron").await;
    let mut running = Vec::new();
    for number in 0..3 {
        let mut upload = silent.put(&format!("file-{number}"), MIB).await.unwrap();
        upload.send_offset(0).await;
        upload.send_data(&vec![1; 1024]).await;
        running.push(upload);
    }
    let mut waiting = Vec::new();
    for number in 3..16 {
        let mut stream = silent.open().await.unwrap();
        let request = json!({"command": "put", "path": format!("file-{number}"), "size": MIB});
        stream.write_frame(&RawFrame::request(&request)).await.unwrap();
        waiting.push(stream);
    }
    let other = Client::member(&server, "Ben").await;
    let content = Random::new(3).bytes(MIB);
    let cut = || server.log().count("no content for 5 seconds");
    let mut meanwhile = 0;
    let others = async {
        for number in 0.. {
            other.store(&format!("other-{number}"), &content).await.unwrap();
            assert_eq!(silent.message("Hello").await, "Hello ACK");
            match cut() {
                0 => meanwhile += 1,
                3 => return,
                _ => {}
            }
        }
    };
    wait_within(TIMEOUT, "silent puts to be cut off", others).await;
    assert!(meanwhile > 0, "nothing worked beside them");
    for mut upload in running {
        let cut =
            wait_within(TIMEOUT, "a put to be cut off", upload.read_outcome()).await.unwrap_err();
        assert_eq!(cut.code(), "bad_request");
    }
    // Those that waited have their turn now.
    for turn in waiting.drain(..3).map(RawStream::read_ready) {
        turn.await.unwrap().send_file(&content).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_stops_lets_a_running_put_end() {
    let mut server = uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(4).bytes(2 * MIB);
    let mut upload = client.put("big", content.len()).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..MIB]).await;
    server.signal(Signal::TERM);
    server.log().wait_for("stopping").await;
    assert_eq!(client.store_code("new", b"x").await, "shutting_down");
    upload.send_data(&content[MIB..]).await;
    upload.send_eof(content.len() as u64, &hash(&content)).await;
    upload.finish().await.unwrap();
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    assert!(fs::read(server.files().join("big")).unwrap() == content);
}
