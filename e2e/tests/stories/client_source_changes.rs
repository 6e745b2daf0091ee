//! A source that changes in the middle of a `quiver get`: the opened file's content arrives whole, or
//! nothing does, and the next attempt gets what is there then.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, SystemTime};

use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};

const MIB: usize = 1024 * 1024;

const SIZE: usize = 8 * MIB;

/// A get of `big` that is in the middle, over an older file of the name.
struct Half {
    server: Server,
    home: Home,
    path: UdpRelay,
    process: Process,
    content: Vec<u8>,
}

async fn half(seed: u64) -> Half {
    let server = Server::start().await;
    let content = Random::new(seed).bytes(SIZE);
    let source = server.add_file("big", &content);
    // Any write is seen then, whatever the grain of the file system's clock.
    let yesterday = SystemTime::now() - Duration::from_secs(86_400);
    File::options().write(true).open(&source).unwrap().set_modified(yesterday).unwrap();
    let home = Home::new();
    fs::write(home.file("big"), "older").unwrap();
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(8 * MIB as u64);
    let quiver = home.quiver(["--name", "Ron", "get", "big", "--overwrite"]);
    let process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB as u64).await;
    Half { server, home, path, process, content }
}

#[tokio::test]
async fn what_was_opened_arrives_whole() {
    type Change = fn(&Server);
    let changes: [(&str, Change); 3] = [
        ("replaced", |server| {
            fs::rename(server.add_file("new", "another"), server.files().join("big")).unwrap();
        }),
        ("gone", |server| fs::remove_file(server.files().join("big")).unwrap()),
        ("grown", |server| {
            let big = File::options().write(true).open(server.files().join("big")).unwrap();
            big.write_all_at(b"more", SIZE as u64).unwrap();
        }),
    ];
    for (what, change) in changes {
        let mut half = half(61).await;
        change(&half.server);
        half.path.limit_rate(0);
        let status = half.process.wait_for_exit(TIMEOUT).await;
        let said = half.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{what}: {said}");
        assert!(fs::read(half.home.file("big")).unwrap() == half.content, "{what}");
        assert_eq!(half.home.names(), ["big"], "{what}");
        half.server.log().wait_for(&format!("delivered big ({SIZE} bytes)")).await;
    }
}

#[tokio::test]
async fn what_changed_is_not_stored_and_the_next_attempt_gets_what_is_there() {
    type Change = fn(&File);
    let changes: [(&str, Change); 3] = [
        ("truncated", |file| file.set_len(MIB as u64 / 2).unwrap()),
        ("emptied", |file| file.set_len(0).unwrap()),
        ("rewritten", |file| file.write_all_at(b"other", 0).unwrap()),
    ];
    for (what, change) in changes {
        let mut half = half(62).await;
        let source = half.server.files().join("big");
        change(&File::options().write(true).open(&source).unwrap());
        half.path.limit_rate(0);
        let status = half.process.wait_for_exit(TIMEOUT).await;
        let said = half.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(9), "{what}: {said}");
        assert!(said.starts_with("error: cannot get big: "), "{what}: {said}");
        assert!(
            said.contains("hint: the file was changed during the transfer; try again"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(half.home.file("big")).unwrap(), "older", "{what}");
        // What came of it is of no use.
        assert_eq!(half.home.names(), ["big"], "{what}");
        assert_eq!(half.server.log().count("delivered big"), 0, "{what}");

        let now = fs::read(&source).unwrap();
        let again =
            half.home.quiver_as(&half.server, "Ron", ["get", "big", "--overwrite"]).run().await;
        again.expect(0);
        assert!(!again.stderr.contains("resuming at"), "{what}: {}", again.stderr);
        assert!(fs::read(half.home.file("big")).unwrap() == now, "{what}");
        assert_eq!(half.home.names(), ["big"], "{what}");
        assert!(half.home.journal().is_empty(), "{what}");
    }
}
