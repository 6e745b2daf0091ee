//! A file on its way, and kill -9 of either end at random points: what each of them costs. Knows how much
//! passes a path and what reaches a disk, not how much of that is acceptable.

use std::fs;
use std::time::Duration;

use tokio::time::Instant;

use crate::deadline::{PATIENCE, until};
use crate::path::{Passed, Path};
use crate::process::{Process, Signal};
use crate::random::Random;
use crate::tree::names;
use crate::{Home, Server};

/// For so long nothing passes a path whose sender has noticed that nobody listens.
const SILENCE: Duration = Duration::from_millis(100);

/// Dead connections that a client may have beside a living one: eight are its limit.
const DEAD: usize = 6;

/// Bytes that a packet has, at the least, beside the frames of a file: of QUIC's header, its tag, and the head
/// of a STREAM frame.
const PACKET: u64 = 30;

/// Bytes of a chunk, and of its frame.
const CHUNK: u64 = 1024;
const FRAMED: u64 = CHUNK + 3;

/// Which way the file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the server.
    Get,
    /// To the server.
    Put,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The client; the same command is started again.
    Client,
    /// The server; it is started again, and the client goes on by itself.
    Server,
}

/// What is to happen to a file.
#[derive(Debug, Clone, Copy)]
pub struct Ordeal {
    /// Which way it goes.
    pub direction: Direction,
    /// Who is killed.
    pub victim: Victim,
    /// Its bytes.
    pub size: u64,
    /// How often.
    pub kills: u64,
    /// Of the points, and of the content.
    pub seed: u64,
    /// Bytes a second that pass the path; 0 where nothing limits them.
    pub rate: u64,
}

/// What one kill has cost.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    /// Bytes that were on the receiver's disk.
    pub at: u64,
    /// Bytes of content that had passed the path since the kill before, less those that reached the disk in that
    /// time: what has to come again. What else is said on the path counts too: hellos, searches for the
    /// path's width, acknowledgements.
    pub twice: u64,
}

/// A file on its way over a path.
struct Stage {
    direction: Direction,
    server: Server,
    path: Path,
    home: Home,
    content: Vec<u8>,
    /// What had passed, and what was kept, at the kill before.
    passed: Passed,
    kept: u64,
}

impl Ordeal {
    /// Lets it happen. In the end the file is whole, and nothing else is left at either end.
    ///
    /// # Panics
    /// Where that is not so.
    pub async fn endure(self) -> Vec<Kill> {
        let mut stage = Stage::set(self).await;
        let mut random = Random::new(self.seed);
        let mut process = stage.begin();
        let mut kills = Vec::new();
        for kill in 1..=self.kills {
            let last = self.size * kill / (self.kills + 1);
            let point = stage.kept + 1 + random.number() % last.saturating_sub(stage.kept).max(1);
            until("the point", || stage.arrived() >= point).await;
            match self.victim {
                Victim::Client => {
                    process.signal(Signal::KILL);
                    process.ended(PATIENCE).await;
                    stage.silence().await;
                    stage.may_come_again(kills.len() + 1).await;
                    kills.push(stage.account());
                    process = stage.begin();
                }
                Victim::Server => {
                    stage.server.is_killed_and_starts_again().await;
                    kills.push(stage.account());
                    stage.path.lead_to(stage.server.address());
                }
            }
        }
        let status = process.ended(4 * PATIENCE).await;
        let said = process.stderr.so_far().join("\n");
        assert_eq!(status.code(), Some(0), "{self:?}: {said}");
        assert!(said.contains("big: resuming at "), "{self:?}: {said}");
        stage.is_whole(&format!("{self:?}"));
        kills
    }
}

impl Stage {
    async fn set(ordeal: Ordeal) -> Self {
        let Ordeal { direction, size, seed, rate, .. } = ordeal;
        let server = Server::options().argument("--allow-upload").start().await;
        let content = Random::new(seed).bytes(usize::try_from(size).expect("it fits into memory"));
        let home = Home::new();
        match direction {
            Direction::Get => drop(server.offer("big", &content)),
            Direction::Put => fs::write(home.file("big"), &content).unwrap(),
        }
        let path = Path::to(server.address()).await;
        path.slow(rate);
        Self { direction, server, path, home, content, passed: Passed::default(), kept: 0 }
    }

    fn begin(&self) -> Process {
        let command = if self.direction == Direction::Get { "get" } else { "put" };
        let quiver = self.home.quiver(["--name", "Ron", command, "big"]);
        quiver.server(self.path.address(), &self.server.certificate()).start()
    }

    /// How much is on the receiver's disk.
    fn arrived(&self) -> u64 {
        if self.direction == Direction::Get {
            return self.home.part_length();
        }
        let files = self.server.files();
        let parts = names(&files).into_iter().filter(|name| name.starts_with(".quiver-"));
        let length = |name| fs::metadata(files.join(name)).map_or(0, |part| part.len());
        parts.map(length).max().unwrap_or(0)
    }

    fn passed(&self) -> Passed {
        match self.direction {
            Direction::Get => self.path.came_back(),
            Direction::Put => self.path.went_there(),
        }
    }

    /// Waits, after so many kills of the client, until the server lets it go on. For 11 seconds it takes each of
    /// them for alive: one that puts has the part, and those that get count as connections.
    async fn may_come_again(&self, kills: usize) {
        let (gone, due) = match self.direction {
            Direction::Get => ("not delivered: big to ", kills.saturating_sub(DEAD)),
            Direction::Put => ("not stored: big from ", kills),
        };
        if due > 0 {
            self.server.log().wait_for_nth(gone, due).await;
        }
    }

    /// Waits until nobody sends any more.
    async fn silence(&self) {
        let (mut passed, mut since) = (self.passed(), Instant::now());
        until("silence", || {
            let now = self.passed();
            if now != passed {
                (passed, since) = (now, Instant::now());
            }
            since.elapsed() > SILENCE
        })
        .await;
    }

    fn account(&mut self) -> Kill {
        let (passed, at) = (self.passed(), self.arrived());
        let kept = at.checked_sub(self.kept).expect("what was kept is kept");
        assert!(kept > 0, "nothing was kept");
        let bytes = passed.bytes - self.passed.bytes;
        let headers = (passed.datagrams - self.passed.datagrams) * PACKET;
        let content = bytes.saturating_sub(headers) * CHUNK / FRAMED;
        (self.passed, self.kept) = (passed, at);
        Kill { at, twice: content.saturating_sub(kept) }
    }

    fn is_whole(&self, what: &str) {
        let there = match self.direction {
            Direction::Get => self.home.file("big"),
            Direction::Put => self.server.files().join("big"),
        };
        assert!(fs::read(there).unwrap() == self.content, "{what}: another content");
        assert_eq!(self.home.names(), ["big"], "{what}");
        assert_eq!(names(&self.server.files()), ["big"], "{what}");
        assert!(self.home.journal().is_empty(), "{what}");
    }
}
