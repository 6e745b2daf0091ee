//! Puts and gets whose client or server is killed with SIGKILL, and which are started again at once: every file is
//! complete in the end, neither side keeps other files, and the server's quota rows match its files.
//!
//! `QUIVER_KILLS=40` sets the number of rounds; the default keeps the test short.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

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

/// The relay's rate in bytes a second: slow enough that a kill interrupts the transfer.
const RATE: u64 = 12 * 1024 * 1024;

/// A client that sends nothing for this long waits for a response.
const SILENCE: Duration = Duration::from_millis(300);

/// By then the server has closed a dead connection.
const MAX_IDLE: Duration = Duration::from_secs(18);

/// A client that has sent this many bytes has sent its request. A handshake alone is shorter.
const MIN_REQUEST_BYTES: u64 = 3000;

/// The number of rounds of each story.
fn rounds() -> u64 {
    std::env::var("QUIVER_KILLS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// The processes that a round kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KilledProcesses {
    Client,
    Server,
    Both,
}

/// The length of the longest partial file in a folder, in bytes.
fn partial_file_length(folder: &FilePath) -> u64 {
    let partial_files = names(folder).into_iter().filter(|name| name.starts_with(".quiver-"));
    let length = |name| fs::metadata(folder.join(name)).map_or(0, |metadata| metadata.len());
    partial_files.map(length).max().unwrap_or(0)
}

/// Waits until the client sends nothing, because it waits for a response.
async fn wait_for_silence(relay: &UdpRelay) {
    let (mut relayed, mut since) = (relay.traffic_to_server(), Instant::now());
    wait_until("silence", || {
        let now = relay.traffic_to_server();
        if now != relayed {
            (relayed, since) = (now, Instant::now());
        }
        since.elapsed() > SILENCE
    })
    .await;
}

/// Runs rounds of one command, each with two kills at random points, and checks what they leave.
async fn kill_transfers(command: &str, killed: KilledProcesses) {
    let options = Server::options().argument("--allow-upload").max_clients(100);
    let mut server = options.start().await;
    let relay = UdpRelay::start(server.address()).await;
    relay.limit_rate(RATE);
    let mut random = Random::new(rounds());
    let (mut expected, mut interrupted) = (Vec::new(), 0);
    let certificate = server.certificate();
    for round in 0..rounds() {
        let (home, name) = (Home::new(), format!("file {round:02}"));
        // A new client each time: the server considers the connections of a killed client alive for a while, and
        // limits the connections of a client.
        let client = format!("Ron{round}");
        let start = |name: &str| -> Process {
            let quiver = home.quiver(["--name", &client, command, name]);
            quiver.server(relay.address(), &certificate).start()
        };
        let content = Random::new(round).bytes(SIZE);
        match command {
            "put" => fs::write(home.file(&name), &content).unwrap(),
            _ => drop(server.add_file(&name, &content)),
        }
        let mut process = start(&name);
        let mut stored = 0;
        for kill in 1..=2 {
            let folder = if command == "put" { server.files() } else { home.folder() };
            let most = (SIZE as u64 * kill / 3).max(stored + 1);
            let point = stored + 1 + random.number() % (most - stored);
            wait_until("the point of the kill", || {
                partial_file_length(&folder) >= point || folder.join(&name).exists()
            })
            .await;
            interrupted += u64::from(!folder.join(&name).exists());
            stored = partial_file_length(&folder).min(point);
            if killed != KilledProcesses::Server {
                process.signal(Signal::KILL);
                process.wait_for_exit(TIMEOUT).await;
            }
            if killed != KilledProcesses::Client {
                server.restart_at_new_port().await;
                relay.redirect_to(server.address());
            }
            if killed == KilledProcesses::Client && command == "put" {
                // Another client is killed while it waits for the server to notice the first kill.
                let before = relay.traffic_to_server();
                let mut waiting = start(&name);
                wait_until("the client's request", || {
                    relay.traffic_to_server().bytes > before.bytes + MIN_REQUEST_BYTES
                })
                .await;
                wait_for_silence(&relay).await;
                waiting.signal(Signal::KILL);
                waiting.wait_for_exit(TIMEOUT).await;
            }
            if killed != KilledProcesses::Server {
                process = start(&name);
            }
        }
        let status = process.wait_for_exit(4 * TIMEOUT).await;
        let stderr = process.stderr.lines().join("\n");
        // The kill came after the file had its final name.
        let is_stored = stderr.contains("exists");
        assert!(status.success() || is_stored, "{command} {round}: {status:?} {stderr}");
        assert!(fs::read(home.file(&name)).unwrap() == content, "{command}: {name}");
        assert_eq!(home.names(), [name.as_str()], "{command}");
        // A killed client does not know that its file is stored, and keeps the journal entry.
        assert!(is_stored || home.journal().is_empty(), "{command}: {name}");
        expected.push((name, content));
    }
    assert!(interrupted >= rounds(), "{command}: most kills came too late");
    for (name, content) in &expected {
        assert!(fs::read(server.files().join(name)).unwrap() == *content, "{command}: {name}");
    }
    let all: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
    // A put of a killed client may run until the server closes its connection.
    let (since, is_done) = (Instant::now(), || names(&server.files()) == all);
    wait_until("the end of all puts", || is_done() || since.elapsed() > MAX_IDLE).await;
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
async fn a_put_whose_client_is_killed_leaves_no_other_files() {
    kill_transfers("put", KilledProcesses::Client).await;
}

#[tokio::test]
async fn a_put_whose_server_is_killed_leaves_no_other_files() {
    kill_transfers("put", KilledProcesses::Server).await;
}

#[tokio::test]
async fn a_put_whose_client_and_server_are_killed_leaves_no_other_files() {
    kill_transfers("put", KilledProcesses::Both).await;
}

#[tokio::test]
async fn a_get_whose_client_is_killed_leaves_no_other_files() {
    kill_transfers("get", KilledProcesses::Client).await;
}

#[tokio::test]
async fn a_get_whose_server_is_killed_leaves_no_other_files() {
    kill_transfers("get", KilledProcesses::Server).await;
}
