//! The receiver's disk fills up at the first, a middle or the last block of a get or put: the
//! existing file stays unchanged, and the same command succeeds once there is space.

use std::fs;

use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::process::Process;
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// The space that a file of one byte uses on a tmpfs.
const PAGE: usize = 4096;

#[tokio::test]
async fn a_get_that_filled_the_disk_resumes_once_there_is_space() {
    if !small_disks_available() {
        return;
    }
    // The last byte needs a page of its own.
    let content = Random::new(41).bytes(MIB + 1);
    for (case, free, is_resumable) in [
        ("at the first block", 0, false),
        ("at a middle block", MIB / 2, true),
        ("at the last block", MIB, true),
    ] {
        let server = Server::start().await;
        server.add_file("big", &content);
        let home = Home::new();
        let disk = SmallDisk::mount(&home.folder(), "2m");
        let on_disk = |name: &str| disk.folder().join(name);
        fs::write(on_disk("big"), "older").unwrap();
        fs::write(on_disk("used"), vec![0; 2 * MIB - PAGE - free]).unwrap();
        let arguments = ["get", "big", "--overwrite", "--json"];
        let quiver = home.quiver_as(&server, "Ron", arguments);
        let get =
            async || finish(Process::start(&mut disk.command_inside(&quiver.command()))).await;

        let failed = get().await;
        assert_eq!(failed.code(), 8, "{case}: {}", failed.stderr);
        for part in ["cannot store big: No space left on device", "free some space"] {
            assert!(failed.stderr.contains(part), "{case}: {}", failed.stderr);
        }
        assert_eq!(fs::read_to_string(on_disk("big")).unwrap(), "older", "{case}");
        assert_eq!(
            failed.stderr.contains("continues at"),
            is_resumable,
            "{case}: {}",
            failed.stderr
        );
        // The client does not acknowledge a failed get.
        assert_eq!(server.log().count("delivered big"), 0, "{case}");

        fs::remove_file(on_disk("used")).unwrap();
        let resumed = get().await;
        let line: Value = serde_json::from_str(&resumed.expect(0).stdout).unwrap();
        assert_eq!(line["resumed_at"], free, "{case}: {line}");
        assert!(fs::read(on_disk("big")).unwrap() == content, "{case}");
        assert_eq!(names(&disk.folder()), ["big"], "{case}");
        assert!(home.journal().is_empty(), "{case}");
        server.log().wait_for("delivered big").await;
    }
}

fn uploads(size: &str) -> ServerOptions {
    Server::options().argument("--allow-upload").disk(size)
}

#[tokio::test]
async fn a_put_that_filled_the_disk_succeeds_once_there_is_space() {
    if !small_disks_available() {
        return;
    }
    let content = Random::new(42).bytes(4 * MIB + 1);
    for (case, free) in
        [("at the first block", 0), ("at a middle block", 2 * MIB), ("at the last block", 4 * MIB)]
    {
        let server = uploads("6m").argument("--keep-free=0").start().await;
        let home = Home::new();
        fs::write(home.file("big"), &content).unwrap();
        server.add_file("big", "older");
        let used = server.files().join("used");
        let fill = || fs::write(&used, vec![0; 6 * MIB - PAGE - free]).unwrap();
        if free == 0 {
            fill();
        }
        let arguments = ["put", "big", "--overwrite", "--limit", "2MB/s"];
        let mut process = home.quiver_as(&server, "Ron", arguments).start();
        if free > 0 {
            // The server has already reserved the space, and found enough.
            wait_until("some of the content", || partial_length(&server) > MIB as u64 / 2).await;
            fill();
        }
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(1), "{case}");
        let stderr = process.stderr.lines().join("\n");
        assert!(stderr.starts_with("error: cannot put big: "), "{case}: {stderr}");
        assert!(stderr.contains("hint: free space with rm"), "{case}: {stderr}");
        assert_eq!(fs::read_to_string(server.files().join("big")).unwrap(), "older", "{case}");
        assert_eq!(server.stored_names(), ["big", "used"], "{case}");

        fs::remove_file(&used).unwrap();
        let stored = home.quiver_as(&server, "Ron", ["put", "big", "--overwrite"]).run().await;
        stored.expect(0);
        assert!(fs::read(server.files().join("big")).unwrap() == content, "{case}");
        assert_eq!(names(&server.files()), ["big"], "{case}");
    }
}

/// The length in bytes of the partial file in the served folder; 0 if there is none.
fn partial_length(server: &Server) -> u64 {
    let name = names(&server.files()).into_iter().find(|name| name.starts_with(".quiver-"));
    name.and_then(|name| fs::metadata(server.files().join(name)).ok()).map_or(0, |file| file.len())
}

#[tokio::test]
async fn the_server_refuses_a_put_that_needs_the_space_kept_free() {
    if !small_disks_available() {
        return;
    }
    // The default of --keep-free is more than this whole disk.
    let server = uploads("6m").start().await;
    let home = Home::new();
    fs::write(home.file("big"), vec![7; MIB]).unwrap();
    server.add_file("big", "older");
    let refused = home.quiver_as(&server, "Ron", ["put", "big", "--overwrite"]).run().await;
    refused.expect(1);
    assert!(refused.stderr.contains("hint: free space with rm"), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(server.files().join("big")).unwrap(), "older");
    assert_eq!(names(&server.files()), ["big"]);
}
