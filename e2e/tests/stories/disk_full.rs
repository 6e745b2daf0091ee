//! Disks that fill up at the first, a middle and the last block, at either end: what stood under the name
//! stands there still, nothing half is under it, and the same command does it once there is room.

use std::fs;

use quiver_e2e::disk::{SmallDisk, small_disks_available};
use quiver_e2e::process::Process;
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use serde_json::Value;

const MIB: usize = 1024 * 1024;

/// What a file of one byte takes of a tmpfs.
const PAGE: usize = 4096;

#[tokio::test]
async fn a_get_goes_on_once_there_is_room() {
    if !small_disks_available() {
        return;
    }
    // Its last byte takes a page of its own.
    let content = Random::new(41).bytes(MIB + 1);
    for (when, free, goes_on) in [
        ("at the first block", 0, false),
        ("at a middle block", MIB / 2, true),
        ("at the last block", MIB, true),
    ] {
        let server = Server::start().await;
        server.add_file("big", &content);
        let home = Home::new();
        let disk = SmallDisk::mount(&home.folder(), "2m");
        let there = |name: &str| disk.folder().join(name);
        fs::write(there("big"), "older").unwrap();
        fs::write(there("used"), vec![0; 2 * MIB - PAGE - free]).unwrap();
        let arguments = ["get", "big", "--overwrite", "--json"];
        let quiver = home.quiver_as(&server, "Ron", arguments);
        let get =
            async || finish(Process::start(&mut disk.command_inside(&quiver.command()))).await;

        let failed = get().await;
        assert_eq!(failed.code(), 8, "{when}: {}", failed.stderr);
        let why = "error: cannot store big: No space left on device\nhint: free some space";
        assert!(failed.stderr.starts_with(why), "{when}: {}", failed.stderr);
        assert_eq!(fs::read_to_string(there("big")).unwrap(), "older", "{when}");
        assert_eq!(failed.stderr.contains("continues at"), goes_on, "{when}: {}", failed.stderr);
        // Of a failed get the server does not hear that it arrived.
        assert_eq!(server.log().count("delivered big"), 0, "{when}");

        fs::remove_file(there("used")).unwrap();
        let arrived = get().await;
        let line: Value = serde_json::from_str(&arrived.expect(0).stdout).unwrap();
        assert_eq!(line["resumed_at"], free, "{when}: {line}");
        assert!(fs::read(there("big")).unwrap() == content, "{when}");
        assert_eq!(names(&disk.folder()), ["big"], "{when}");
        assert!(home.journal().is_empty(), "{when}");
        server.log().wait_for("delivered big").await;
    }
}

fn uploads(size: &str) -> ServerOptions {
    Server::options().argument("--allow-upload").disk(size)
}

#[tokio::test]
async fn a_put_that_meets_a_full_disk_works_once_there_is_room() {
    if !small_disks_available() {
        return;
    }
    let content = Random::new(42).bytes(4 * MIB + 1);
    for (when, free) in
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
            // The server has looked, and found room.
            wait_until("some of the content", || part_length(&server) > MIB as u64 / 2).await;
            fill();
        }
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(1), "{when}");
        let said = process.stderr.lines().join("\n");
        assert!(said.starts_with("error: cannot put big: "), "{when}: {said}");
        assert!(said.contains("hint: free space with rm"), "{when}: {said}");
        assert_eq!(fs::read_to_string(server.files().join("big")).unwrap(), "older", "{when}");
        assert_eq!(server.stored_names(), ["big", "used"], "{when}");

        fs::remove_file(&used).unwrap();
        let stored = home.quiver_as(&server, "Ron", ["put", "big", "--overwrite"]).run().await;
        stored.expect(0);
        assert!(fs::read(server.files().join("big")).unwrap() == content, "{when}");
        assert_eq!(names(&server.files()), ["big"], "{when}");
    }
}

/// How much of a file that comes is on the server's disk.
fn part_length(server: &Server) -> u64 {
    let part = names(&server.files()).into_iter().find(|name| name.starts_with(".quiver-"));
    part.and_then(|part| fs::metadata(server.files().join(part)).ok()).map_or(0, |part| part.len())
}

#[tokio::test]
async fn what_is_to_stay_free_is_refused_before_the_first_byte() {
    if !small_disks_available() {
        return;
    }
    // What stays free where nothing is said is more than the whole of this disk.
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
