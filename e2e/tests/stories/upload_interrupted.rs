//! Puts that are interrupted at either end, and clients that stop sending.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::Signal;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::{Dialer, RawFrame, RawStream, RawUpload, hash};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_within};
use serde_json::json;

const MIB: usize = 1024 * 1024;

fn options_with_uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

/// Waits until the server reports that it has written `bytes`.
async fn wait_until_stored(upload: &mut RawUpload, bytes: u64) {
    let reported = async {
        loop {
            let frame = upload.stream.read_frame().await.unwrap().unwrap();
            if frame.value()["stored"].as_u64().unwrap() >= bytes {
                return;
            }
        }
    };
    wait_within(TIMEOUT, "progress", reported).await;
}

#[tokio::test]
async fn a_put_resumes_after_the_server_was_killed() {
    let mut server = options_with_uploads().start().await;
    let key = Key::new();
    let content = Random::new(1).bytes(8 * MIB);
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let mut upload = client.put("big", content.len()).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..5 * MIB]).await;
    wait_until_stored(&mut upload, 4 * MIB as u64).await;
    server.restart().await;
    assert!(!server.files().join("big").exists());
    let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
    let upload = client.put("big", content.len()).await.unwrap();
    let (have, blake3) = upload.have().unwrap();
    assert!(have >= 4 * MIB as u64, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    let stored = upload.send_file(&content).await.unwrap();
    assert_eq!(
        stored.frames,
        (content.len() as u64 - have).div_ceil(1024),
        "the client sent more than the rest"
    );
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 1, "a partial file is left");
}

#[tokio::test]
async fn a_put_of_a_changed_source_starts_again_at_zero() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let mut upload = client.put("big", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    upload.finish().await.unwrap_err();
    let content = Random::new(2).bytes(3 * MIB);
    let upload = client.put("big", content.len()).await.unwrap();
    assert!(upload.have().is_some());
    let stored = upload.send_file(&content).await.unwrap();
    assert_eq!(
        stored.frames,
        content.len().div_ceil(1024) as u64,
        "the client did not send all content"
    );
    assert!(fs::read(server.files().join("big")).unwrap() == content);
    // So does a put of a source that is now shorter than the partial file.
    let mut upload = client.put("small", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    upload.finish().await.unwrap_err();
    let upload = client.put("small", 3).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_file(b"new").await.unwrap();
    assert_eq!(fs::read_dir(server.files()).unwrap().count(), 2, "a partial file is left");
}

#[tokio::test]
async fn the_server_removes_the_partial_file_of_a_client_without_a_certificate() {
    let server = options_with_uploads().start().await;
    let client = Dialer::new(&server).without_certificate().sign_in("Ron").await;
    let mut upload = client.put("big", 3 * MIB).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&vec![1; 2 * MIB]).await;
    client.close().await;
    server.log().wait_for("not stored: big").await;
    quiver_e2e::wait_until("the partial file to be removed", || {
        fs::read_dir(server.files()).unwrap().count() == 0
    })
    .await;
}

#[tokio::test]
async fn messages_get_responses_while_puts_stall() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    // As many puts as the server accepts at once; each sends as much as may wait unread.
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
            _ = &mut fourth => panic!("the server accepted more puts than its limit"),
            text = client.message("Hello") => assert_eq!(text, "Hello ACK"),
        }
    }
    // Abandoned puts release their memory: the fourth put gets it first, then a small one.
    let request = json!({"command": "put", "path": "small", "size": 10});
    running.pop().unwrap().stream.abandon();
    let mut fourth = fourth.await.unwrap();
    fourth.send_offset(0).await;
    running.pop().unwrap().stream.abandon();
    client.put_as(request).await.unwrap().send_file(&[1; 10]).await.unwrap();
}

#[tokio::test]
async fn the_server_ends_silent_puts_and_serves_other_streams_meanwhile() {
    let server = options_with_uploads().argument("--put-timeout=5").start().await;
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
    let ended_puts = || server.log().count("no content for 5 seconds");
    let mut rounds = 0;
    let others = async {
        for number in 0.. {
            other.store(&format!("other-{number}"), &content).await.unwrap();
            assert_eq!(silent.message("Hello").await, "Hello ACK");
            match ended_puts() {
                0 => rounds += 1,
                3 => return,
                _ => {}
            }
        }
    };
    wait_within(TIMEOUT, "the end of the silent puts", others).await;
    assert!(rounds > 0, "no other put was stored before the silent ones ended");
    for mut upload in running {
        let refusal =
            wait_within(TIMEOUT, "the end of a put", upload.read_outcome()).await.unwrap_err();
        assert_eq!(refusal.code(), "bad_request");
    }
    // The server accepts the waiting puts now.
    for ready in waiting.drain(..3).map(RawStream::read_ready) {
        ready.await.unwrap().send_file(&content).await.unwrap();
    }
}

#[tokio::test]
async fn a_stopping_server_lets_a_running_put_end() {
    let mut server = options_with_uploads().start().await;
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
