//! A transfer whose client or server is killed with SIGKILL at random points, and what each kill costs.
//! Measures relayed and stored bytes; decides nothing about how much is acceptable.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::{TIMEOUT, wait_until};
use crate::process::{Process, Signal};
use crate::random::Random;
use crate::tree::names;
use crate::udp_relay::{Traffic, UdpRelay};
use crate::{Home, Server};

/// Without traffic for this long, a sender has noticed that the receiver is gone.
const SILENCE: Duration = Duration::from_millis(100);

/// Dead connections that a client may have beside a live one: eight are its limit.
const MAX_DEAD_CONNECTIONS: usize = 6;

/// The least overhead of a packet in bytes: QUIC's header, its tag, and the header of a STREAM frame.
const PACKET_OVERHEAD: u64 = 30;

/// Bytes of a chunk, and of its Data frame.
const CHUNK: u64 = 1024;
const DATA_FRAME: u64 = CHUNK + 3;

/// The command that transfers the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferKind {
    /// Server to client.
    Get,
    /// Client to server.
    Put,
}

/// The process that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillTarget {
    /// The client; the same command is started again.
    Client,
    /// The server; it is started again, and the running client resumes.
    Server,
}

/// A transfer and the kills that interrupt it.
#[derive(Debug, Clone, Copy)]
pub struct KillScenario {
    /// The command.
    pub transfer: TransferKind,
    /// The process that is killed.
    pub target: KillTarget,
    /// Bytes of the file.
    pub size: u64,
    /// Number of kills.
    pub kills: u64,
    /// Determines the points of the kills, and the content.
    pub seed: u64,
    /// The relay's limit in bytes a second; 0 for none.
    pub rate: u64,
}

/// The cost of one kill.
#[derive(Debug, Clone, Copy)]
pub struct KillCost {
    /// Bytes on the receiver's disk.
    pub stored: u64,
    /// Bytes that must be sent again: content relayed since the kill before, less the bytes stored in that time.
    /// Other traffic counts too: hellos, path MTU probes, acknowledgements.
    pub resent: u64,
}

/// A running scenario.
struct ScenarioRun {
    transfer: TransferKind,
    server: Server,
    relay: UdpRelay,
    home: Home,
    content: Vec<u8>,
    /// The relayed traffic and the stored bytes at the kill before.
    relayed: Traffic,
    stored: u64,
}

impl KillScenario {
    /// Runs the scenario, and checks that the file is whole in the end and that neither side has other files.
    ///
    /// # Panics
    /// If a check fails.
    pub async fn run(self) -> Vec<KillCost> {
        let mut run = ScenarioRun::prepare(self).await;
        let mut random = Random::new(self.seed);
        let mut process = run.start_client();
        let mut kills = Vec::new();
        for kill in 1..=self.kills {
            let last = self.size * kill / (self.kills + 1);
            let point = run.stored + 1 + random.number() % last.saturating_sub(run.stored).max(1);
            wait_until("the point of the kill", || run.stored_bytes() >= point).await;
            match self.target {
                KillTarget::Client => {
                    process.signal(Signal::KILL);
                    process.wait_for_exit(TIMEOUT).await;
                    run.wait_for_silence().await;
                    run.wait_until_resumable(kills.len() + 1).await;
                    kills.push(run.cost_of_kill());
                    process = run.start_client();
                }
                KillTarget::Server => {
                    run.server.restart_at_new_port().await;
                    kills.push(run.cost_of_kill());
                    run.relay.redirect_to(run.server.address());
                }
            }
        }
        let status = process.wait_for_exit(4 * TIMEOUT).await;
        let stderr = process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{self:?}: {stderr}");
        assert!(stderr.contains("big: resuming at "), "{self:?}: {stderr}");
        run.assert_complete(&format!("{self:?}"));
        kills
    }
}

impl ScenarioRun {
    async fn prepare(scenario: KillScenario) -> Self {
        let KillScenario { transfer, size, seed, rate, .. } = scenario;
        let server = Server::options().argument("--allow-upload").start().await;
        let content = Random::new(seed).bytes(usize::try_from(size).expect("it fits into memory"));
        let home = Home::new();
        match transfer {
            TransferKind::Get => drop(server.add_file("big", &content)),
            TransferKind::Put => fs::write(home.file("big"), &content).unwrap(),
        }
        let relay = UdpRelay::start(server.address()).await;
        relay.limit_rate(rate);
        Self { transfer, server, relay, home, content, relayed: Traffic::default(), stored: 0 }
    }

    fn start_client(&self) -> Process {
        let command = if self.transfer == TransferKind::Get { "get" } else { "put" };
        let quiver = self.home.quiver(["--name", "Ron", command, "big"]);
        quiver.server(self.relay.address(), &self.server.certificate()).start()
    }

    /// Bytes on the receiver's disk.
    fn stored_bytes(&self) -> u64 {
        if self.transfer == TransferKind::Get {
            return self.home.partial_length();
        }
        let files = self.server.files();
        let partial_files = names(&files).into_iter().filter(|name| name.starts_with(".quiver-"));
        let length = |name| fs::metadata(files.join(name)).map_or(0, |metadata| metadata.len());
        partial_files.map(length).max().unwrap_or(0)
    }

    fn relayed_traffic(&self) -> Traffic {
        match self.transfer {
            TransferKind::Get => self.relay.traffic_to_clients(),
            TransferKind::Put => self.relay.traffic_to_server(),
        }
    }

    /// Waits until the server lets the client resume after `kills` kills of the client. The server considers each
    /// killed client alive for 11 seconds: its upload holds the lock of the partial file, and its connection
    /// counts towards the limit.
    async fn wait_until_resumable(&self, kills: usize) {
        let (message, count) = match self.transfer {
            TransferKind::Get => {
                ("not delivered: big to ", kills.saturating_sub(MAX_DEAD_CONNECTIONS))
            }
            TransferKind::Put => ("not stored: big from ", kills),
        };
        if count > 0 {
            self.server.log().wait_for_nth(message, count).await;
        }
    }

    /// Waits until the sender sends nothing any more.
    async fn wait_for_silence(&self) {
        let (mut relayed, mut since) = (self.relayed_traffic(), Instant::now());
        wait_until("silence", || {
            let now = self.relayed_traffic();
            if now != relayed {
                (relayed, since) = (now, Instant::now());
            }
            since.elapsed() > SILENCE
        })
        .await;
    }

    fn cost_of_kill(&mut self) -> KillCost {
        let (relayed, stored) = (self.relayed_traffic(), self.stored_bytes());
        let added = stored.checked_sub(self.stored).expect("stored bytes are never lost");
        assert!(added > 0, "nothing was stored");
        let bytes = relayed.bytes - self.relayed.bytes;
        let headers = (relayed.datagrams - self.relayed.datagrams) * PACKET_OVERHEAD;
        let content = bytes.saturating_sub(headers) * CHUNK / DATA_FRAME;
        (self.relayed, self.stored) = (relayed, stored);
        KillCost { stored, resent: content.saturating_sub(added) }
    }

    fn assert_complete(&self, what: &str) {
        let file = match self.transfer {
            TransferKind::Get => self.home.file("big"),
            TransferKind::Put => self.server.files().join("big"),
        };
        assert!(fs::read(file).unwrap() == self.content, "{what}: the content differs");
        assert_eq!(self.home.names(), ["big"], "{what}");
        assert_eq!(names(&self.server.files()), ["big"], "{what}");
        assert!(self.home.journal().is_empty(), "{what}");
    }
}
