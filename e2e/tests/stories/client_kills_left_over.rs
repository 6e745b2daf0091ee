//! kill -9 of either end in the middle of puts and gets, again and again, and the same command at once: every
//! file is whole in the end, nothing else is left at either end, and the server's quota rows say what is there.
//!
//! `QUIVER_KILLS=40` for more rounds than fit into every run.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::names;
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use rusqlite::Connection;

const MIB: usize = 1024 * 1024;
const SIZE: usize = 4 * MIB;

/// Bytes a second that pass the path: a kill meets a transfer in full flight.
const RATE: u64 = 12 * 1024 * 1024;

/// For so long a client sends nothing that waits for its answer.
const SILENCE: Duration = Duration::from_millis(300);

/// Until then a dead connection has ended.
const LONGEST_SILENCE: Duration = Duration::from_secs(18);

/// A handshake has more bytes.
const REQUEST: u64 = 3000;

/// Rounds of each story.
fn rounds() -> u64 {
    std::env::var("QUIVER_KILLS").map_or(3, |rounds| rounds.parse().unwrap())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Client,
    Server,
    Both,
}

/// Bytes of the longest unfinished file in a folder.
fn part_length(folder: &FilePath) -> u64 {
    let parts = names(folder).into_iter().filter(|name| name.starts_with(".quiver-"));
    let length = |name| fs::metadata(folder.join(name)).map_or(0, |part| part.len());
    parts.map(length).max().unwrap_or(0)
}

/// Waits until nobody sends anything to the server: a client waits for its answer.
async fn silence(path: &UdpRelay) {
    let (mut passed, mut since) = (path.traffic_to_server(), Instant::now());
    wait_until("silence", || {
        let now = path.traffic_to_server();
        if now != passed {
            (passed, since) = (now, Instant::now());
        }
        since.elapsed() > SILENCE
    })
    .await;
}

/// Rounds of one command, each with two kills at random points.
async fn endure(command: &str, victim: Victim) {
    let options = Server::options().argument("--allow-upload").max_clients(100);
    let mut server = options.start().await;
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(RATE);
    let mut random = Random::new(rounds());
    let mut expected = Vec::new();
    let certificate = server.certificate();
    for round in 0..rounds() {
        let (home, name) = (Home::new(), format!("file {round:02}"));
        // Another client each time: the connections of a killed one seem to live for a while, and are limited.
        let client = format!("Ron{round}");
        let start = |name: &str| -> Process {
            let quiver = home.quiver(["--name", &client, command, name]);
            quiver.server(path.address(), &certificate).start()
        };
        let content = Random::new(round).bytes(SIZE);
        match command {
            "put" => fs::write(home.file(&name), &content).unwrap(),
            _ => drop(server.add_file(&name, &content)),
        }
        let mut process = start(&name);
        let mut kept = 0;
        for kill in 1..=2 {
            let folder = if command == "put" { server.files() } else { home.folder() };
            let most = (SIZE as u64 * kill / 3).max(kept + 1);
            let point = kept + 1 + random.number() % (most - kept);
            wait_until("the point", || {
                part_length(&folder) >= point || folder.join(&name).exists()
            })
            .await;
            kept = part_length(&folder).min(point);
            if victim != Victim::Server {
                process.signal(Signal::KILL);
                process.wait_for_exit(TIMEOUT).await;
            }
            if victim != Victim::Client {
                server.restart_at_new_port().await;
                path.redirect_to(server.address());
            }
            if victim == Victim::Client && command == "put" {
                // One more, killed while it waits for the server to find out about the one before.
                let before = path.traffic_to_server();
                let mut waiting = start(&name);
                wait_until("its request", || {
                    path.traffic_to_server().bytes > before.bytes + REQUEST
                })
                .await;
                silence(&path).await;
                waiting.signal(Signal::KILL);
                waiting.wait_for_exit(TIMEOUT).await;
            }
            if victim != Victim::Server {
                process = start(&name);
            }
        }
        let status = process.wait_for_exit(4 * TIMEOUT).await;
        let said = process.stderr.lines().join("\n");
        // Killed after the file had its name.
        let is_there = said.contains("exists");
        assert!(status.success() || is_there, "{command} {round}: {status:?} {said}");
        assert!(fs::read(home.file(&name)).unwrap() == content, "{command}: {name}");
        assert_eq!(home.names(), [name.as_str()], "{command}");
        // A killed client cannot know that its file is stored: its entry stays for `resume`.
        assert!(is_there || home.journal().is_empty(), "{command}: {name}");
        expected.push((name, content));
    }
    for (name, content) in &expected {
        assert!(fs::read(server.files().join(name)).unwrap() == *content, "{command}: {name}");
    }
    let all: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
    // Puts of killed clients may run on for as long as their connections seem to live.
    let (since, is_done) = (Instant::now(), || names(&server.files()) == all);
    wait_until("the end of all puts", || is_done() || since.elapsed() > LONGEST_SILENCE).await;
    assert_eq!(names(&server.files()), all, "{command}");
    server.signal(Signal::TERM);
    server.wait_for_exit(2 * TIMEOUT).await;
    let database = Connection::open(server.state().join("uploads.sqlite")).unwrap();
    let sum = |table: &str| -> u64 {
        let sum = format!("SELECT COALESCE(SUM(size), 0) FROM {table}");
        let sum = database.query_row(&sum, [], |row| row.get::<_, i64>(0)).unwrap();
        u64::try_from(sum).unwrap()
    };
    let stored = if command == "put" { all.len() * SIZE } else { 0 };
    assert_eq!((sum("files"), sum("parts")), (stored as u64, 0), "{command}");
}

#[tokio::test]
async fn puts_whose_client_is_killed_leave_nothing() {
    endure("put", Victim::Client).await;
}

#[tokio::test]
async fn puts_whose_server_is_killed_leave_nothing() {
    endure("put", Victim::Server).await;
}

#[tokio::test]
async fn puts_both_ends_of_which_are_killed_leave_nothing() {
    endure("put", Victim::Both).await;
}

#[tokio::test]
async fn gets_whose_client_is_killed_leave_nothing() {
    endure("get", Victim::Client).await;
}

#[tokio::test]
async fn gets_whose_server_is_killed_leave_nothing() {
    endure("get", Victim::Server).await;
}
