//! The source changes during a `quiver get`: the client stores the whole content that the server
//! opened, or nothing, and the next get stores the new content.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use quiver_protocol::units;

const MIB: usize = 1024 * 1024;

const SIZE: usize = 8 * MIB;

/// A running get of `big` that has received a part, and would replace an older file.
struct RunningGet {
    server: Server,
    home: Home,
    relay: UdpRelay,
    process: Process,
    content: Vec<u8>,
}

async fn start_get(seed: u64) -> RunningGet {
    let server = Server::start().await;
    let content = Random::new(seed).bytes(SIZE);
    let source = server.add_file("big", &content);
    // With an old modification time, each write changes it, however coarse the file system's clock.
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(&source).unwrap().set_modified(yesterday).unwrap();
    let home = Home::new();
    fs::write(home.file("big"), "older").unwrap();
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(8 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big", "--overwrite"]);
    let process = quiver.server(relay.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB as u64).await;
    RunningGet { server, home, relay, process, content }
}

#[tokio::test]
async fn a_get_receives_the_opened_file_although_its_name_changes() {
    type FolderChange = fn(&Server);
    let changes: [(&str, FolderChange); 3] = [
        ("replaced", |server| {
            fs::rename(server.add_file("new", "another"), server.files().join("big")).unwrap();
        }),
        ("removed", |server| fs::remove_file(server.files().join("big")).unwrap()),
        ("grown", |server| {
            let big = File::options().write(true).open(server.files().join("big")).unwrap();
            big.write_all_at(b"more", SIZE as u64).unwrap();
        }),
    ];
    for (case, change) in changes {
        let mut get = start_get(61).await;
        change(&get.server);
        get.relay.limit_rate(0);
        let status = get.process.wait_for_exit(TIMEOUT).await;
        let stderr = get.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{case}: {stderr}");
        assert!(fs::read(get.home.file("big")).unwrap() == get.content, "{case}");
        assert_eq!(get.home.names(), ["big"], "{case}");
        let delivered = format!("delivered big ({})", units::bytes(SIZE as u64));
        get.server.log().wait_for(&delivered).await;
    }
}

#[tokio::test]
async fn a_get_of_changed_content_fails_and_the_next_get_stores_the_new_content() {
    type ContentChange = fn(&File);
    let changes: [(&str, ContentChange); 3] = [
        ("truncated", |file| file.set_len(MIB as u64 / 2).unwrap()),
        ("emptied", |file| file.set_len(0).unwrap()),
        ("rewritten", |file| file.write_all_at(b"other", 0).unwrap()),
    ];
    for (case, change) in changes {
        let mut get = start_get(62).await;
        let source = get.server.files().join("big");
        change(&File::options().write(true).open(&source).unwrap());
        get.relay.limit_rate(0);
        let status = get.process.wait_for_exit(TIMEOUT).await;
        let stderr = get.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(9), "{case}: {stderr}");
        assert!(stderr.starts_with("error: cannot get big: "), "{case}: {stderr}");
        assert!(
            stderr.contains("hint: the file was changed during the transfer; try again"),
            "{stderr}"
        );
        assert_eq!(fs::read_to_string(get.home.file("big")).unwrap(), "older", "{case}");
        // The client keeps nothing of the changed content.
        assert_eq!(get.home.names(), ["big"], "{case}");
        assert_eq!(get.server.log().count("delivered big"), 0, "{case}");

        let changed = fs::read(&source).unwrap();
        let again =
            get.home.quiver_as(&get.server, "Ron", ["get", "big", "--overwrite"]).run().await;
        again.expect(0);
        assert!(!again.stderr.contains("resuming at"), "{case}: {}", again.stderr);
        assert!(fs::read(get.home.file("big")).unwrap() == changed, "{case}");
        assert_eq!(get.home.names(), ["big"], "{case}");
        assert!(get.home.journal().is_empty(), "{case}");
    }
}
