//! Two `quiver` programs in a lab, one of which sends a file to the other, and what they read from files.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
#![expect(clippy::print_stdout, reason = "people compare the costs")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use quiver_e2e::nat_lab::{Lab, Side, Topology};
use quiver_e2e::process::Process;
use quiver_e2e::random::Random;
use quiver_e2e::server::ServerOptions;
use quiver_e2e::{Home, PeerProgram, Server, wait_until, wait_within};

/// How long a transfer may take.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes that are written and compared at once.
const PIECE: usize = 1024 * 1024;

/// A running transfer from Ben on side a to Ron on side b.
#[derive(Debug)]
pub(crate) struct ProgramPair {
    /// `send`.
    pub(crate) sender: PeerProgram,
    /// `accept`, the only process of Ron.
    pub(crate) receiver: PeerProgram,
    pub(crate) server: Server,
    pub(crate) lab: Lab,
    homes: [Home; 2],
    size: u64,
    /// What the sender had read from files before the transfer.
    sender_read: u64,
    /// What the receiver had read from files when it had stored some of the content.
    receiver_read: u64,
}

/// What a finished transfer has cost beyond the file's size, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransferCost {
    /// What the sender has read from files.
    pub(crate) sender_read: u64,
    /// What the receiver has read from files: it does not read the file at all.
    pub(crate) receiver_read: u64,
    /// Content that the receiver has received.
    pub(crate) received: u64,
}

impl ProgramPair {
    /// Starts both clients, and waits until some of the file's `size` bytes are stored.
    pub(crate) async fn start(topology: Topology, options: ServerOptions, size: u64) -> Self {
        let lab = Lab::new(topology);
        let server = options.on_host(lab.server()).start().await;
        let homes = [Home::new(), Home::new()];
        write_random(&homes[0].file("big"), size);
        let start = |side: Side, name: &str, arguments: &[&str]| {
            let command = homes[side as usize].quiver_as(&server, name, arguments);
            PeerProgram::start(
                &command
                    .arguments(["--json"])
                    .environment("QUIVER_LOG", "debug")
                    .on_host(lab.client(side)),
            )
        };
        // It would fetch the file beside the other process.
        let mut asked = start(Side::B, "Ron", &["receive"]);
        asked.wait_until_listening().await;
        let mut sender = start(Side::A, "Ben", &["send", "Ron", "big"]);
        asked.next_event("offer").await;
        sender.next_event("pending").await;
        asked.interrupt().await;
        let sender_read = sender.process.read_bytes();
        let receiver = start(Side::B, "Ron", &["accept", "1"]);
        wait_until("the first content", || homes[1].partial_length() > 0).await;
        let receiver_read = receiver.process.read_bytes();
        Self { sender, receiver, server, lab, homes, size, sender_read, receiver_read }
    }

    /// Waits until this share of the file is stored.
    pub(crate) async fn wait_for_percent(&self, percent: u64) {
        let stored = async {
            while self.homes[1].partial_length() * 100 < self.size * percent {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        wait_within(TRANSFER_TIMEOUT, "a part of the file", stored).await;
    }

    /// Waits until the sender uses a direct path.
    pub(crate) async fn wait_until_direct(&self) {
        self.sender.wait_for_text("the path has changed name=Ron path=Direct").await;
    }

    /// Waits until the sender has returned from a direct path to the relay.
    pub(crate) async fn wait_until_relayed_again(&self) {
        self.sender.wait_for_text("the path has changed name=Ron path=Relayed").await;
    }

    /// Waits for the end of the transfer, and checks that it is not over yet and that the stored file is whole.
    pub(crate) async fn finish(mut self) -> TransferCost {
        assert!(self.homes[1].partial_length() > 0, "the transfer was over too early");
        for program in [&self.sender, &self.receiver] {
            let Process { stdout, stderr, .. } = &program.process;
            let closed = async { tokio::join!(stdout.wait_for_close(), stderr.wait_for_close()) };
            let is_closed = tokio::time::timeout(TRANSFER_TIMEOUT, closed).await.is_ok();
            assert!(is_closed, "no end: {:#?} {:#?}", stdout.lines(), stderr.lines());
        }
        // Both have exited, and the system keeps their counters until they are waited for.
        let sender_read = self.sender.process.read_bytes() - self.sender_read;
        let receiver_read = self.receiver.process.read_bytes() - self.receiver_read;
        self.sender.expect_exit(0).await;
        self.receiver.expect_exit(0).await;
        let file = self.receiver.next_event("file").await;
        let received = file["received"].as_u64().unwrap();
        assert_eq!(self.homes[1].names(), ["big"]);
        let [sent, stored] = self.homes.each_ref().map(|home| home.file("big"));
        assert!(are_equal(&sent, &stored), "the stored file differs");
        let beyond_size = |bytes: u64| bytes.checked_sub(self.size).unwrap();
        let cost = TransferCost {
            sender_read: beyond_size(sender_read),
            receiver_read,
            received: beyond_size(received),
        };
        println!("{} bytes: {cost:?}", self.size);
        cost
    }
}

fn write_random(path: &Path, size: u64) {
    let (mut random, mut file) = (Random::new(size), File::create(path).unwrap());
    let mut piece = vec![0; PIECE];
    let mut left = size;
    while left > 0 {
        let length = left.min(PIECE as u64);
        random.fill(&mut piece);
        file.write_all(&piece[..usize::try_from(length).unwrap()]).unwrap();
        left -= length;
    }
}

fn are_equal(one: &Path, other: &Path) -> bool {
    let mut files = [one, other].map(|path| File::open(path).unwrap());
    let [mut piece, mut other_piece] = [(); 2].map(|()| vec![0; PIECE]);
    let mut left = files[0].metadata().unwrap().len();
    if files[1].metadata().unwrap().len() != left {
        return false;
    }
    while left > 0 {
        let length = usize::try_from(left.min(PIECE as u64)).unwrap();
        files[0].read_exact(&mut piece[..length]).unwrap();
        files[1].read_exact(&mut other_piece[..length]).unwrap();
        if piece[..length] != other_piece[..length] {
            return false;
        }
        left -= length as u64;
    }
    true
}
