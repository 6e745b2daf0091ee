//! Several runs of one get at once, with one home and into one folder: the file is there whole, each run has done
//! what it was asked, and none of them leaves a partial file or an entry in the journal.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// So large that an entry is written, and so slow that all runs have begun before one ends.
const SIZE: usize = 3 * MIB;
const LIMIT: [&str; 2] = ["--limit", "2MiB"];

const RUNS: usize = 6;

/// Waits for the ends of all runs.
async fn ends(runs: Vec<Process>) -> Vec<ProgramOutput> {
    let mut finished = Vec::new();
    for run in runs {
        finished.push(finish(run).await);
    }
    finished
}

#[track_caller]
fn is_whole_and_alone(home: &Home, content: &[u8]) {
    assert_eq!(home.names(), ["big"]);
    assert!(fs::read(home.file("big")).unwrap() == content);
    assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn six_runs_of_one_get_end_with_the_file_and_nothing_else() {
    let server = Server::start().await;
    let content = Random::new(101).bytes(SIZE);
    server.add_file("big", &content);
    for overwrite in [&[][..], &["--overwrite"]] {
        let home = Home::new();
        let get = || {
            home.quiver_as(&server, "Ron", ["get", "big"])
                .arguments(LIMIT)
                .arguments(overwrite.iter())
                .start()
        };
        let finished = ends((0..RUNS).map(|_| get()).collect()).await;
        for run in &finished {
            // One that was late, on a busy machine, finds the file there before it asks for it.
            let is_late = run.stderr.starts_with("error: big exists already\n");
            assert!(run.code() == 0 || (is_late && overwrite.is_empty()), "{run:?}");
        }
        assert!(finished.iter().any(|run| run.code() == 0));
        is_whole_and_alone(&home, &content);
    }
}

#[tokio::test]
async fn a_run_that_another_one_overtakes_ends_well_and_leaves_nothing() {
    let server = Server::start().await;
    let content = Random::new(102).bytes(SIZE);
    server.add_file("big", &content);
    let home = Home::new();
    let path = UdpRelay::start(server.address()).await;
    path.cut();
    // It has looked at the folder, where nothing was, and cannot reach the server yet.
    let arguments = ["get", "big"];
    let late = home.quiver(["--name", "Ron"]).server(path.address(), &server.certificate());
    let late = late.arguments(arguments).start();
    path.wait_for_loss().await;
    home.quiver_as(&server, "Ron", arguments).run().await.expect(0);
    path.restore();
    finish(late).await.expect(0);
    is_whole_and_alone(&home, &content);
}

#[tokio::test]
async fn another_file_that_comes_into_the_way_stays_unless_it_may_be_replaced() {
    let server = Server::start().await;
    let content = Random::new(103).bytes(SIZE);
    server.add_file("big", &content);
    for overwrite in [false, true] {
        let home = Home::new();
        let path = UdpRelay::start(server.address()).await;
        path.cut();
        let late = home.quiver(["--name", "Ron"]).server(path.address(), &server.certificate());
        let late =
            late.arguments(["get", "big"]).arguments(overwrite.then_some("--overwrite")).start();
        path.wait_for_loss().await;
        fs::write(home.file("big"), "another").unwrap();
        path.restore();
        let finished = finish(late).await;
        if overwrite {
            finished.expect(0);
        } else {
            finished.expect(8);
            assert!(finished.stderr.starts_with("error: big exists already\n"), "{finished:?}");
            assert_eq!(fs::read_to_string(home.file("big")).unwrap(), "another");
            // What came is kept, and the command that the hint names needs nothing more.
            home.quiver_as(&server, "Ron", ["get", "big", "--overwrite"]).run().await.expect(0);
        }
        is_whole_and_alone(&home, &content);
    }
}

#[tokio::test]
async fn six_runs_of_one_tree_end_with_its_files_and_nothing_else() {
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
        for run in ends((0..RUNS).map(|_| get()).collect()).await {
            run.expect(0);
        }
        assert_eq!(home.names(), ["tree"]);
        assert_eq!(quiver_e2e::quiver::names(&home.file("tree")).len(), 41);
        for name in quiver_e2e::quiver::names(&home.file("tree")) {
            let here = fs::read(home.file("tree").join(&name)).unwrap();
            assert!(here == fs::read(server.files().join("tree").join(&name)).unwrap(), "{name}");
        }
        assert_eq!(home.journal(), Vec::<std::path::PathBuf>::new());
    }
}
