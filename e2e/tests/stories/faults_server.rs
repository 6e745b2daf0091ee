//! A server on kernels and file systems that lack a system call: it stores and serves files as far
//! as that is safe, and reports real failures.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use quiver_e2e::process;
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::wire::{Dialer, hash};
use quiver_e2e::{Client, Faults, Home, Key, Server, binary, faults_available};
use serde_json::json;

const MIB: usize = 1024 * 1024;

/// Neither renames that replace nothing nor hard links, as on many file systems in user space.
const NO_EXCLUSIVE_RENAME: [&str; 2] = ["renameat2:error=EINVAL", "linkat:error=EIO"];

/// The file with the traced system calls, in the server's current folder.
const TRACE: &str = "trace";

/// Options of a server that accepts uploads and meets these faults.
fn options(faults: &[&str]) -> ServerOptions {
    options_with(Faults::inject(faults))
}

fn options_with(faults: Faults) -> ServerOptions {
    let faults = faults.log_to(TRACE);
    Server::options().argument("--allow-upload").argument("--keep-free=0").faults(faults)
}

/// Fails if one of these system calls never met its fault.
fn expect_injected(server: &Server, calls: &[&str]) {
    let trace = fs::read_to_string(server.root().join(TRACE)).unwrap();
    let injected: Vec<_> = trace.lines().filter(|line| line.contains("INJECTED")).collect();
    for call in calls {
        assert!(injected.iter().any(|line| line.contains(call)), "no fault in {call}");
    }
}

/// Stores a small and a large file, new and over an existing one, and returns the large content.
async fn store_files(client: &Client, server: &Server) -> Vec<u8> {
    let large = Random::new(41).bytes(3 * MIB);
    client.request(json!({"command": "make_folder", "path": "folder"})).await.eof();
    client.store("folder/small", b"content").await.unwrap();
    client.store("folder/large", &large).await.unwrap();
    for path in ["folder/small", "folder/large"] {
        assert_eq!(client.store_code(path, b"other").await, "exists");
    }
    let replaced = json!({"command": "put", "path": "folder/small", "size": 5, "replace": true});
    client.put_as(replaced).await.unwrap().send_file(b"newer").await.unwrap();
    assert_eq!(fs::read(server.files().join("folder/small")).unwrap(), b"newer");
    assert!(fs::read(server.files().join("folder/large")).unwrap() == large);
    assert_eq!(names(&server.files().join("folder")), ["large", "small"], "a partial file is left");
    large
}

/// The number of warnings in the server's log that contain this text.
async fn count_warnings(server: &Server, text: &str) -> usize {
    server.log().wait_for(text).await;
    let entries = server.log().entries();
    entries.iter().filter(|entry| entry.level == "WARN" && entry.message.contains(text)).count()
}

#[tokio::test]
async fn the_server_stores_files_without_exclusive_renames_and_links() {
    if !faults_available() {
        return;
    }
    for faults in [&NO_EXCLUSIVE_RENAME, &["renameat2:error=ENOSYS", "linkat:error=EPERM"]] {
        let server = options(faults).start().await;
        let client = Client::member(&server, "Ron").await;
        store_files(&client, &server).await;
        let rename = |from: &str, to: &str| {
            client.request(json!({"command": "rename", "path": from, "to": to}))
        };
        rename("folder/small", "folder/renamed").await.eof();
        assert_eq!(rename("folder/renamed", "folder/large").await.code(), "exists");
        rename("folder", "moved").await.eof();
        client.request(json!({"command": "make_folder", "path": "folder"})).await.eof();
        assert_eq!(rename("moved", "folder").await.code(), "exists");
        assert_eq!(names(&server.files().join("moved")), ["large", "renamed"]);
        expect_injected(&server, &["renameat2", "linkat"]);
    }
}

#[tokio::test]
async fn the_server_links_a_new_file_without_exclusive_renames() {
    if !faults_available() {
        return;
    }
    let server = options(&["renameat2:error=EINVAL"]).start().await;
    store_files(&Client::member(&server, "Ron").await, &server).await;
    // The server cannot remove the temporary name, but stores the file.
    let server = options(&["renameat2:error=EINVAL", "unlinkat:error=EIO"]).start().await;
    let client = Client::member(&server, "Ron").await;
    client.store("large", &vec![1; 2 * MIB]).await.unwrap();
    assert_eq!(fs::read(server.files().join("large")).unwrap().len(), 2 * MIB);
    assert_eq!(count_warnings(&server, "kept its old name").await, 1);
}

#[tokio::test]
async fn the_server_stores_files_if_it_cannot_set_times_and_modes() {
    if !faults_available() {
        return;
    }
    for error in ["EPERM", "EINVAL", "EOPNOTSUPP", "EIO"] {
        let faults = ["utimensat", "fchmod"].map(|call| format!("{call}:error={error}"));
        let server = options(&faults.each_ref().map(String::as_str)).start().await;
        let client = Client::member(&server, "Ron").await;
        for (path, size) in [("small", 7), ("large", 2 * MIB)] {
            let request = json!({"command": "put", "path": path, "size": size,
                "modified": "2024-10-19T17:45:47Z", "executable": true});
            client.put_as(request).await.unwrap().send_file(&vec![1; size]).await.unwrap();
            assert_eq!(fs::read(server.files().join(path)).unwrap(), vec![1; size]);
        }
        let dated =
            json!({"command": "make_folder", "path": "f", "modified": "1969-10-19T17:45:47Z"});
        client.request(dated).await.eof();
        assert!(server.files().join("f").is_dir());
        assert_eq!(
            count_warnings(&server, "could not set").await,
            1,
            "the server logs one warning, so that clients cannot fill the log"
        );
        let entry = server.log().wait_for("stored small, but could not set its time (").await;
        assert!(entry.message.contains(" and its permissions ("), "{}", entry.message);
    }
}

#[tokio::test]
async fn the_server_stores_files_if_folders_cannot_be_flushed() {
    if !faults_available() {
        return;
    }
    for error in ["EINVAL", "EBADF", "EOPNOTSUPP", "ENOSYS"] {
        // Only flushes of the served folder fail, not those of its files.
        let faults = Faults::inject(&[&format!("fsync:error={error}")]).on_handle("files");
        let server = options_with(faults).start().await;
        let client = Client::member(&server, "Ron").await;
        client.store("small", b"content").await.unwrap();
        client.store("large", &vec![1; 2 * MIB]).await.unwrap();
        client.request(json!({"command": "make_folder", "path": "folder"})).await.eof();
        client.request(json!({"command": "rename", "path": "small", "to": "folder/a"})).await.eof();
        client.request(json!({"command": "remove", "path": "large"})).await.eof();
        assert_eq!(server.stored_names(), ["folder"]);
        assert_eq!(count_warnings(&server, "cannot flush folders").await, 1);
    }
}

#[tokio::test]
async fn the_server_refuses_a_put_if_flushing_the_folder_fails() {
    if !faults_available() {
        return;
    }
    let faults = Faults::inject(&["fsync:error=EIO"]).on_handle("files");
    let server = options_with(faults).allow_errors().start().await;
    let client = Client::member(&server, "Ron").await;
    for (path, size) in [("small", 7), ("large", 2 * MIB)] {
        assert_eq!(client.store_code(path, &vec![1; size]).await, "internal");
    }
}

#[tokio::test]
async fn the_server_resumes_partial_uploads_without_file_locks() {
    if !faults_available() {
        return;
    }
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let server = options(&[&format!("flock:error={error}")]).start().await;
        let key = Key::new();
        let client = Dialer::new(&server).key(&key).sign_in("Ron").await;
        let large = store_files(&client, &server).await;
        let start_upload = async |client: &Client| {
            let mut upload = client.put("big", large.len()).await.unwrap();
            let have = upload.have().map(|(have, _)| have);
            upload.send_offset(0).await;
            upload.send_data(&large[..2 * MIB]).await;
            (upload, have)
        };
        let (first, have) = start_upload(&client).await;
        assert_eq!(have, None);
        // As with locks, one put at a time has the partial file.
        let (second, have) = start_upload(&client).await;
        assert_eq!(have, None);
        let is_partial_file = |name: &&String| name.starts_with(".quiver-");
        assert_eq!(names(&server.files()).iter().filter(is_partial_file).count(), 2);
        drop(second.finish().await);
        first.finish().await.unwrap_err();
        let upload = client.put("big", large.len()).await.unwrap();
        let (have, blake3) = upload.have().unwrap();
        assert!(have >= MIB as u64, "{have}");
        assert_eq!(blake3, hash(&large[..usize::try_from(have).unwrap()]));
        upload.send_file(&large).await.unwrap();
        assert_eq!(names(&server.files()), ["big", "folder"]);
        expect_injected(&server, &["flock"]);
    }
}

#[tokio::test]
async fn the_server_serves_files_without_access_checks_of_the_kernel() {
    if !faults_available() {
        return;
    }
    for error in ["ENOSYS", "EPERM"] {
        let faults = Faults::inject(&[&format!("faccessat2:error={error}")]).log_to(TRACE);
        let options = Server::options().unprivileged().argument("--allow-upload").faults(faults);
        let server = options.start().await;
        for (path, mode) in
            [("a", 0o644), ("shut", 0o000), ("folder/b", 0o644), ("closed/c", 0o644)]
        {
            let path = server.add_file(path, "content");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for (folder, mode) in [("closed", 0o000), ("folder", 0o777)] {
            let folder = server.files().join(folder);
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        }
        symlink("a", server.files().join("link")).unwrap();
        let client = Client::member(&server, "Ron").await;
        let listed = client.list("").await;
        let paths: Vec<_> = listed.replies.iter().map(|entry| &entry["path"]).collect();
        if quiver_e2e::disk::is_root() {
            assert_eq!(paths, [&json!("a"), &json!("folder")]);
        }
        client.get("folder/b").await.unwrap();
        assert_eq!(client.get_code("shut").await, "forbidden");
        assert_eq!(client.get_code("closed/c").await, "forbidden");
        client.store("folder/new", b"content").await.unwrap();
        if quiver_e2e::disk::is_root() {
            assert_eq!(client.store_code("new", b"content").await, "forbidden");
        }
        expect_injected(&server, &["faccessat2"]);
    }
}

#[tokio::test]
async fn the_server_opens_paths_step_by_step_without_openat2() {
    if !faults_available() {
        return;
    }
    for error in ["ENOSYS", "EPERM"] {
        let server = options(&[&format!("openat2:error={error}")]).start().await;
        server.add_file("a/b/c", "content");
        symlink("b", server.files().join("a/link")).unwrap();
        let client = Client::member(&server, "Ron").await;
        client.get("a/b/c").await.unwrap();
        assert_eq!(client.get_code("a/link/c").await, "forbidden");
        store_files(&client, &server).await;
        expect_injected(&server, &["openat2"]);
    }
}

#[tokio::test]
async fn the_server_stores_files_if_the_free_space_is_unknown() {
    if !faults_available() {
        return;
    }
    let server = options(&["fstatfs:error=ENOSYS"]).start().await;
    let client = Client::member(&server, "Ron").await;
    store_files(&client, &server).await;
    let home = Home::new();
    fs::create_dir(home.file("notes")).unwrap();
    fs::write(home.file("notes/a"), "content").unwrap();
    home.quiver_as(&server, "Ben", ["put", "-r", "notes"]).run().await.expect(0);
    expect_injected(&server, &["fstatfs"]);
}

#[tokio::test]
async fn server_and_client_run_on_an_old_kernel() {
    if !faults_available() {
        return;
    }
    // System calls newer than Linux 4.4.
    let newer = [
        "copy_file_range",
        "preadv2",
        "pwritev2",
        "statx",
        "io_uring_setup",
        "pidfd_open",
        "clone3",
        "rseq",
        "close_range",
        "openat2",
        "faccessat2",
        "epoll_pwait2",
    ];
    let newer = newer.map(|call| format!("{call}:error=ENOSYS"));
    let newer = newer.each_ref().map(String::as_str);
    let server = options(&newer).start().await;
    let client = Client::member(&server, "Ron").await;
    store_files(&client, &server).await;
    let home = Home::new();
    let run = async |arguments: &[&str]| {
        let quiver = home.quiver_as(&server, "Ben", [""; 0]).arguments(arguments);
        let mut command = Faults::inject(&newer).wrap(&quiver.command());
        quiver_e2e::quiver::finish(process::Process::start(&mut command)).await
    };
    let get = run(&["get", "-r", "folder"]).await;
    assert!(get.expect(0).stderr.starts_with("2 files received and verified"), "{}", get.stderr);
    run(&["message", "Hello"]).await.expect(0);
    run(&["put", "folder/small", "--as", "again"]).await.expect(0);
    run(&["put", "-r", "folder", "--to", "back"]).await.expect(0);
    assert_eq!(names(&server.files()), ["again", "back", "folder"]);
    expect_injected(&server, &["openat2", "faccessat2"]);
}

#[test]
fn user_add_changes_accounts_without_file_locks_and_exclusive_renames() {
    if !faults_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("passwords");
    let mut faults = vec!["flock:error=ENOLCK", "fsync:error=EINVAL"];
    faults.extend(NO_EXCLUSIVE_RENAME);
    for name in ["Ron", "Ben", "Ron"] {
        let mut command = user_add_command(&file, name);
        command = Faults::inject(&faults).wrap(&command);
        let added = process::run(&mut command, b"a secret\n");
        added.expect(0);
    }
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(names(folder.path()), ["passwords"]);
}

/// `quiver-server user add NAME` with this password file.
fn user_add_command(file: &Path, name: &str) -> std::process::Command {
    let mut command = std::process::Command::new(binary::server());
    command.args(["user", "add", name, "--password-stdin", "--passwords"]).arg(file);
    command
}
