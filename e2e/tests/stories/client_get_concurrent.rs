//! Several runs of the same get at the same time, with one home and into one folder: the file is complete, each run
//! succeeds, and none leaves a partial file or a journal entry.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs;

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// Large enough for a journal entry, and at this rate slow enough that all runs start before one ends.
const SIZE: usize = 3 * MIB;
const RATE_LIMIT: [&str; 2] = ["--limit", "2MiB"];

const RUNS: usize = 6;

/// Waits until all runs have ended.
async fn wait_for_all(runs: Vec<Process>) -> Vec<ProgramOutput> {
    let mut outputs = Vec::new();
    for run in runs {
        outputs.push(finish(run).await);
    }
    outputs
}

/// Checks that the file is complete, and that there is neither another file nor a journal entry.
#[track_caller]
fn assert_only_file(home: &Home, content: &[u8]) {
    assert_eq!(home.names(), ["big"]);
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn six_concurrent_gets_of_a_file_store_it_and_nothing_else() {
    let server = Server::start().await;
    let content = Random::new(101).bytes(SIZE);
    server.add_file("big", &content);
    for overwrite in [&[][..], &["--overwrite"]] {
        let home = Home::new();
        let get = || {
            home.quiver_as(&server, "Ron", ["get", "big"])
                .arguments(RATE_LIMIT)
                .arguments(overwrite.iter())
                .start()
        };
        let outputs = wait_for_all((0..RUNS).map(|_| get()).collect()).await;
        for run in &outputs {
            run.expect(0);
        }
        assert_only_file(&home, &content);
    }
}

#[tokio::test]
async fn a_get_succeeds_if_another_run_stores_the_same_file_first() {
    let server = Server::start().await;
    let content = Random::new(102).bytes(SIZE);
    server.add_file("big", &content);
    let home = Home::new();
    let relay = UdpRelay::start(server.address()).await;
    relay.cut();
    // The delayed run has found the folder empty, and cannot reach the server yet.
    let arguments = ["get", "big"];
    let delayed = home.quiver(["--name", "Ron"]).server(relay.address(), &server.certificate());
    let delayed = delayed.arguments(arguments).start();
    relay.wait_for_loss().await;
    home.quiver_as(&server, "Ron", arguments).run().await.expect(0);
    relay.restore();
    finish(delayed).await.expect(0);
    assert_only_file(&home, &content);
}

#[tokio::test]
async fn a_get_keeps_a_file_that_appears_at_its_target_unless_told_to_overwrite() {
    let server = Server::start().await;
    let content = Random::new(103).bytes(SIZE);
    server.add_file("big", &content);
    for overwrite in [false, true] {
        let home = Home::new();
        let relay = UdpRelay::start(server.address()).await;
        relay.cut();
        let delayed = home.quiver(["--name", "Ron"]).server(relay.address(), &server.certificate());
        let delayed =
            delayed.arguments(["get", "big"]).arguments(overwrite.then_some("--overwrite")).start();
        relay.wait_for_loss().await;
        fs::write(home.file("big"), "another").unwrap();
        relay.restore();
        let output = finish(delayed).await;
        if overwrite {
            output.expect(0);
        } else {
            output.expect(1);
            assert!(output.stderr.starts_with("error: big exists already\n"), "{output:?}");
            assert_eq!(fs::read_to_string(home.file("big")).unwrap(), "another");
            // The partial file is complete; the command that the hint names only renames it.
            home.quiver_as(&server, "Ron", ["get", "big", "--overwrite"]).run().await.expect(0);
        }
        assert_only_file(&home, &content);
    }
}

#[tokio::test]
async fn six_concurrent_gets_of_a_tree_store_its_files_and_nothing_else() {
    let server = Server::start().await;
    let mut random = Random::new(104);
    for number in 0..40 {
        server.add_file(format!("tree/small-{number}"), random.bytes(1000 + number));
    }
    let large = random.bytes(MIB);
    server.add_file("tree/large", &large);
    for overwrite in [&[][..], &["--overwrite"]] {
        let home = Home::new();
        let get = || {
            home.quiver_as(&server, "Ron", ["get", "-r", "tree"])
                .arguments(overwrite.iter())
                .start()
        };
        for run in wait_for_all((0..RUNS).map(|_| get()).collect()).await {
            run.expect(0);
        }
        assert_eq!(home.names(), ["tree"]);
        assert_eq!(quiver_e2e::quiver::names(&home.file("tree")).len(), 41);
        for name in quiver_e2e::quiver::names(&home.file("tree")) {
            let local = fs::read(home.file("tree").join(&name)).unwrap();
            assert!(local == fs::read(server.files().join("tree").join(&name)).unwrap(), "{name}");
        }
        assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
    }
}
