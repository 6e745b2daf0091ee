//! A put, step by step as in docs/protocol.md: the server stores the whole file under its name and
//! nothing else.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::time::{Duration, UNIX_EPOCH};

use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::{Dialer, RawFrame, hash, kind};
use quiver_e2e::{Client, Key, Server, TIMEOUT, wait_until, wait_within};
use quiver_protocol::units;
use serde_json::json;

fn options_with_uploads() -> ServerOptions {
    Server::options().argument("--allow-upload").argument("--keep-free=0")
}

#[tokio::test]
async fn a_put_of_any_size_stores_content_time_and_executable_bit() {
    const MIB: usize = 1024 * 1024;
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let mut random = Random::new(1);
    for (number, size) in [0, 1, 1023, 1024, 1025, MIB + 1, 64 * MIB].into_iter().enumerate() {
        let content = random.bytes(size);
        let executable = number % 2 == 0;
        let path = format!("file-{size}");
        let request = json!({
            "command": "put", "path": path, "size": size,
            "modified": "2024-10-19T17:45:47.123456789Z", "executable": executable,
        });
        let upload = client.put_as(request).await.unwrap();
        assert_eq!(upload.ready, json!({"reply": "ready", "path": path}));
        assert!(!server.files().join(&path).exists(), "the file has its name before its content");
        let stored = upload.send_file(&content).await.unwrap();
        assert_eq!(stored.hash, hash(&content));
        assert_eq!(stored.frames, size.div_ceil(1024) as u64);
        let file = server.files().join(&path);
        assert_eq!(hash(&fs::read(&file).unwrap()), stored.hash);
        let metadata = fs::metadata(&file).unwrap();
        let modified = UNIX_EPOCH + Duration::new(1_729_359_947, 123_456_789);
        assert_eq!(metadata.modified().unwrap(), modified);
        assert_eq!(metadata.mode() & 0o100 != 0, executable);
        let shown = units::bytes(size as u64);
        server.log().wait_for(&format!("stored {path} ({shown}) from Client 1: Ron")).await;
    }
    assert_eq!(names(&server.files()).len(), 7, "a partial file is left");
}

#[tokio::test]
async fn a_put_without_a_size_stores_its_content() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(2).bytes(300_000);
    let upload = client.put_as(json!({"command": "put", "path": "pipe"})).await.unwrap();
    upload.send_file(&content).await.unwrap();
    assert_eq!(fs::read(server.files().join("pipe")).unwrap(), content);
    let upload = client.put("empty", json!(null)).await.unwrap();
    upload.send_file(b"").await.unwrap();
    assert_eq!(names(&server.files()), ["empty", "pipe"]);
}

#[tokio::test]
async fn the_welcome_announces_uploads_and_a_server_without_them_forbids_changes() {
    let server = Server::start().await;
    let client = Client::guest(&server).await;
    assert_eq!(client.hello("Ron").await.reply().get("upload"), None);
    for request in [
        json!({"command": "put", "path": "a", "size": 1}),
        json!({"command": "remove", "path": "a"}),
        json!({"command": "rename", "path": "a", "to": "b"}),
        json!({"command": "make_folder", "path": "a"}),
        json!({"command": "space"}),
    ] {
        assert_eq!(client.request(request).await.code(), "forbidden");
    }
    assert!(!server.root().join("state").exists(), "a server without uploads has a quota database");
    let server = options_with_uploads().start().await;
    let client = Client::guest(&server).await;
    assert_eq!(client.hello("Ron").await.reply()["upload"], true);
}

#[tokio::test]
async fn the_server_refuses_an_impossible_put_before_any_content() {
    let server = options_with_uploads().argument("--max-file-size=1MB").start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("file", "old");
    fs::create_dir(server.files().join("folder")).unwrap();
    symlink("file", server.files().join("link")).unwrap();
    symlink("folder", server.files().join("linked")).unwrap();
    let refused = async |path: &str, size: u64, replace: bool| {
        let request = json!({"command": "put", "path": path, "size": size, "replace": replace});
        client.put_as(request).await.unwrap_err().code().to_owned()
    };
    for (path, code) in [
        ("folder", "exists"),
        ("link", "forbidden"),
        ("linked/file", "forbidden"),
        ("missing/file", "not_found"),
        ("file/file", "not_a_folder"),
        (".quiver-0123456789abcdef.part", "bad_path"),
        ("../file", "bad_path"),
        ("/file", "bad_path"),
        ("aux.txt", "bad_path"),
    ] {
        for replace in [false, true] {
            assert_eq!(refused(path, 1, replace).await, code, "{path}");
        }
    }
    assert_eq!(refused("file", 1, false).await, "exists");
    for size in [1_000_001, 1 << 53, 1 << 63, u64::MAX] {
        assert_eq!(refused("new", size, false).await, "too_large", "{size}");
    }
    assert_eq!(names(&server.files()), ["file", "folder", "link", "linked"]);
    assert_eq!(fs::read(server.files().join("file")).unwrap(), b"old");
    client.assert_alive().await;
}

#[tokio::test]
async fn a_put_replaces_a_file_only_with_replace() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    server.add_file("file", "old");
    assert_eq!(client.store_code("file", b"new").await, "exists");
    assert_eq!(fs::read(server.files().join("file")).unwrap(), b"old");
    let request = json!({"command": "put", "path": "file", "size": 3, "replace": true});
    client.put_as(request).await.unwrap().send_file(b"new").await.unwrap();
    assert_eq!(fs::read(server.files().join("file")).unwrap(), b"new");
}

#[tokio::test]
async fn one_of_two_clients_that_put_one_path_stores_its_whole_file() {
    let server = options_with_uploads().start().await;
    let one = Client::member(&server, "Ron").await;
    let other = Client::member(&server, "Ben").await;
    let (first, second) = (vec![1; 100_000], vec![2; 200_000]);
    let (a, b) = (one.put("file", first.len()).await, other.put("file", second.len()).await);
    let (a, b) = tokio::join!(a.unwrap().send_file(&first), b.unwrap().send_file(&second));
    let content = fs::read(server.files().join("file")).unwrap();
    let (winner, lost) = if a.is_ok() { (first, b) } else { (second, a) };
    assert!(content == winner, "the content is that of neither");
    assert_eq!(lost.unwrap_err().code(), "exists");
    assert_eq!(names(&server.files()), ["file"]);
}

#[tokio::test]
async fn one_client_can_put_one_path_twice_at_once() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let (first, second) = (vec![1; 100_000], vec![2; 200_000]);
    let put = async |size: usize| {
        let request = json!({"command": "put", "path": "file", "size": size, "replace": true});
        client.put_as(request).await.unwrap()
    };
    let (a, b) = (put(first.len()).await, put(second.len()).await);
    let (a, b) = tokio::join!(a.send_file(&first), b.send_file(&second));
    assert_eq!((a.unwrap().hash, b.unwrap().hash), (hash(&first), hash(&second)));
    let content = fs::read(server.files().join("file")).unwrap();
    assert!(content == first || content == second, "the content is that of neither");
    assert_eq!(names(&server.files()), ["file"]);
}

/// Content of `path` that breaks the protocol: what is wrong, the bytes after the offset, and the
/// code of the refusal.
fn invalid_content(content: &[u8]) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let size = content.len();
    let (whole, wrong) = (hash(content), hash(b"other"));
    let data = |bytes: &[u8]| RawFrame::new(kind::DATA, bytes).encode();
    let eof = |size: usize, hash: &str| {
        RawFrame::json(kind::EOF, &json!({"size": size, "blake3": hash})).encode()
    };
    let all: Vec<u8> = content.chunks(1024).flat_map(data).collect();
    let early_eof = eof(1024, &hash(&content[..1024]));
    let error =
        RawFrame::json(kind::ERROR, &json!({"code": "changed", "message": "gone"})).encode();
    let received = RawFrame::json(kind::RECEIVED, &json!({"blake3": whole})).encode();
    vec![
        ("a wrong hash", [&all[..], &eof(size, &wrong)].concat(), "bad_request"),
        ("a wrong size", [&all[..], &eof(size + 1, &whole)].concat(), "bad_request"),
        ("too much", [&all[..], &data(b"x")].concat(), "bad_request"),
        ("a long chunk", data(&content[..1025]), "bad_request"),
        ("an empty chunk", data(b""), "bad_request"),
        ("a chunk after a short one", [data(b"x"), data(b"x")].concat(), "bad_request"),
        ("an early Eof", [&all[..1027], &early_eof].concat(), "bad_request"),
        ("no Eof", all.clone(), "bad_request"),
        ("two Eofs", [&all[..], &eof(size, &whole), &eof(size, &whole)].concat(), "bad_request"),
        ("an Error", [&all[..1027], &error].concat(), "changed"),
        ("another frame", [&all[..], &received].concat(), "bad_request"),
        ("an unknown kind of frame", [&all[..], &[9, 0, 0]].concat(), "bad_request"),
        ("half a chunk", all[..100].to_vec(), "bad_request"),
    ]
}

/// Bytes that count against the client's quota of `quota` bytes.
async fn counted_bytes(client: &Client, quota: u64) -> u64 {
    let space = client.request(json!({"command": "space"})).await;
    quota - space.reply()["available"].as_u64().unwrap()
}

#[tokio::test]
async fn the_server_rejects_invalid_content_and_leaves_nothing_of_it() {
    const QUOTA: u64 = 10_000_000;
    // The server receives small files into memory, and large ones into a partial file.
    for size in [5000, 700_000] {
        let server = options_with_uploads().argument(format!("--quota={QUOTA}")).start().await;
        let client = Client::member(&server, "Ron").await;
        server.add_file("file", "old");
        let content = Random::new(3).bytes(size);
        for (what, bytes, code) in invalid_content(&content) {
            let what = format!("{what}, of {size} bytes");
            let request = json!({"command": "put", "path": "file", "size": size, "replace": true});
            let mut upload = client.put_as(request).await.unwrap();
            // A put after an interrupted one does not resume it.
            upload.send_offset(0).await;
            upload.send_bytes(&bytes).await;
            let refusal = upload.finish().await.unwrap_err();
            assert_eq!(refusal.code(), code, "{what}: {}", refusal.message());
            assert_eq!(fs::read(server.files().join("file")).unwrap(), b"old", "{what}");
            let (names, counted) = (names(&server.files()), counted_bytes(&client, QUOTA).await);
            if what == "no Eof, of 700000 bytes" {
                // The content is valid so far: the server keeps it, and the client can resume.
                assert!(names.len() == 2 && names[0].starts_with(".quiver-"), "{names:?}");
                assert!(counted > 0, "{what}");
            } else {
                assert_eq!((names, counted), (vec!["file".to_owned()], 0), "{what}");
            }
        }
        client.assert_alive().await;
        for offset in [1, u64::MAX] {
            let mut upload = client.put("new", size).await.unwrap();
            upload.send_offset(offset).await;
            assert_eq!(upload.finish().await.unwrap_err().code(), "bad_request", "{offset}");
        }
        let mut upload = client.put("new", size).await.unwrap();
        upload.send_data(&content).await;
        let refusal = upload.finish().await.unwrap_err();
        assert_eq!(refusal.code(), "bad_request", "content without an offset");
        assert_eq!(names(&server.files()), ["file"]);
        assert_eq!(counted_bytes(&client, QUOTA).await, 0);
        // Afterwards, the same client can store the file.
        client.store("new", &content).await.unwrap();
        assert_eq!(fs::read(server.files().join("new")).unwrap(), content);
        assert_eq!(names(&server.files()), ["file", "new"]);
        assert_eq!(counted_bytes(&client, QUOTA).await, size as u64);
    }
}

#[tokio::test]
async fn the_server_removes_the_partial_file_of_a_resumed_put_with_a_wrong_hash() {
    const QUOTA: u64 = 10_000_000;
    let server = options_with_uploads().argument(format!("--quota={QUOTA}")).start().await;
    let client = Client::member(&server, "Ron").await;
    let content = Random::new(5).bytes(3_000_000);
    let mut upload = client.put("big", content.len()).await.unwrap();
    upload.send_offset(0).await;
    upload.send_data(&content[..2_000_000]).await;
    upload.finish().await.unwrap_err();
    let mut upload = client.put("big", content.len()).await.unwrap();
    let (have, _) = upload.have().expect("a partial file");
    upload.send_offset(have).await;
    upload.send_data(&content[have as usize..]).await;
    upload.send_eof(content.len() as u64, &hash(b"other")).await;
    assert_eq!(upload.finish().await.unwrap_err().code(), "bad_request");
    assert_eq!(names(&server.files()), [""; 0]);
    assert_eq!(counted_bytes(&client, QUOTA).await, 0);
    assert_eq!(client.put("big", content.len()).await.unwrap().have(), None);
}

#[tokio::test]
async fn the_server_refuses_content_that_precedes_its_ready_reply() {
    let server = options_with_uploads().start().await;
    let client = Client::member(&server, "Ron").await;
    let request = RawFrame::request(&json!({"command": "put", "path": "a", "size": 1})).encode();
    let offset = RawFrame::json(kind::REPLY, &json!({"reply": "content", "offset": 0})).encode();
    let mut stream = client.open().await.unwrap();
    stream
        .write(&[request, offset, RawFrame::new(kind::DATA, "x").encode()].concat())
        .await
        .unwrap();
    let response = wait_within(TIMEOUT, "a response", stream.read_frames()).await.unwrap();
    // The server may have sent its ready reply before it read the content; it does not store the
    // file.
    assert_eq!(response.last().unwrap().value()["code"], "bad_request");
    assert!(names(&server.files()).is_empty());
    client.assert_alive().await;
}

#[tokio::test]
async fn an_interrupted_put_resumes_at_its_offset() {
    let server = options_with_uploads().start().await;
    let key = Key::new();
    let content = Random::new(4).bytes(3_000_000);
    let dialer = || Dialer::new(&server).key(&key);
    let first = dialer().sign_in("Ron").await;
    let mut upload = first.put("big", content.len()).await.unwrap();
    assert_eq!(upload.have(), None);
    upload.send_offset(0).await;
    upload.send_data(&content[..2 * 1024 * 1024]).await;
    // The server reports what it has written; then this client closes the connection.
    loop {
        let frame =
            wait_within(TIMEOUT, "progress", upload.stream.read_frame()).await.unwrap().unwrap();
        if frame.value()["stored"].as_u64().unwrap() >= 1024 * 1024 {
            break;
        }
        upload.send_data(&[]).await;
    }
    first.connection().close(1_u32.into(), b"");
    server.log().wait_for("not stored: big from Client 1: Ron").await;
    assert!(!server.files().join("big").exists());
    // Another client is not offered this client's partial file.
    let other = Client::member(&server, "Ben").await;
    assert_eq!(other.put("big", content.len()).await.unwrap().have(), None);
    let second = dialer().sign_in("Ron").await;
    let upload = second.put("big", content.len()).await.unwrap();
    let (have, blake3) = upload.have().unwrap();
    assert!(have >= 1024 * 1024, "{have}");
    assert_eq!(blake3, hash(&content[..have as usize]));
    let stored = upload.send_file(&content).await.unwrap();
    assert_eq!(
        stored.frames,
        (content.len() as u64 - have).div_ceil(1024),
        "the client sent more than the rest"
    );
    assert_eq!(fs::read(server.files().join("big")).unwrap(), content);
    wait_until("the partial files to be removed", || names(&server.files()) == ["big"]).await;
}
