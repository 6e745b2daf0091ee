//! One large file from client to client, directly and over the relay, beside a get of the same file, sendme and croc.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use quiver_client::settings::PathPolicy;

use super::relayed_member;
use crate::bench_client::block_on;
use crate::cli::{self, Workload};
use crate::figure::format_figure;
use crate::fixtures::{DOWNLOADS, FILES, QuiverServer, remove};
use crate::library_client::ClientPair;
use crate::measurement::{self, median};
use crate::peers::{Job, Peer, TransferKind};
use crate::proc;
use crate::report::{Bound, Section, Table};
use crate::test_network::{PATH_MTU, TestNetwork};
use crate::testbed::Testbed;

const GIB: f64 = (1_u64 << 30) as f64;

/// The most rounds: each one has a slow transfer.
const MAX_ROUNDS: usize = 5;

/// The programs that transfer between clients.
const PROGRAMS: [Peer; 2] = [Peer::Sendme, Peer::Croc];

/// How the file is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Transfer {
    /// From the server.
    Get,
    /// Between two clients that are connected directly.
    Direct,
    /// Between two clients over the server's relay.
    Relayed,
    /// By another program.
    Program(Peer),
}

/// One transfer.
#[derive(Debug, Clone, Copy)]
struct Timing {
    seconds: f64,
    /// Processor seconds of all processes.
    processor: f64,
}

/// A server, and clients on the same network.
struct Clients<'a> {
    testbed: &'a Testbed,
    direct: ClientPair,
    relayed: ClientPair,
    job: Job,
    /// The last field, so that it is dropped after its clients.
    _server: QuiverServer,
}

/// The timings of each transfer, by round.
struct Timings(HashMap<Transfer, Vec<Timing>>);

pub(crate) fn measure(testbed: &Testbed, workload: Workload, own_network: bool) -> Section {
    let size = cli::format_size(workload.size);
    let mut section = Section::new(format!("{size} from client to client"));
    testbed.work_folder.create_file("large", workload.size);
    let rounds = workload.rounds.min(MAX_ROUNDS);
    let (transfers, members) = if own_network {
        let network = TestNetwork::create();
        let clients = Clients::start(testbed, network.address, workload.size);
        let timings = clients.measure(rounds, &clients.all_transfers());
        section.tables.push(timings.table(&format!("path MTU {PATH_MTU}"), workload.size));
        let members = block_on(relayed_member::measure(testbed, &clients.relayed, rounds));
        (Ok(timings), Ok(members))
    } else {
        let reason = TestNetwork::UNAVAILABLE.to_owned();
        (Err(reason.clone()), Err(reason))
    };
    // With the loopback's own MTU, for comparison.
    let clients = Clients::start(testbed, Ipv4Addr::LOCALHOST, workload.size);
    let timings = clients.measure(rounds, &[Transfer::Get, Transfer::Direct, Transfer::Relayed]);
    section.tables.push(timings.table("loopback", workload.size));
    goals(&mut section, transfers.as_ref().map_err(String::clone));
    relayed_member::report(&mut section, members);
    section.notes.push(format!(
        "Medians of {rounds} rounds in alternation, and the least and the most of the rates of a round over the get of \
         that round. quiver: clients of the library, each on a thread of its own and signed in before the clock starts; \
         from the request or the acceptance until the file is stored and confirmed. Processor time is that of all \
         processes."
    ));
    section.notes.push(
        "sendme connects directly, and croc over a relay of its own on loopback, over paths of the same MTU; from the \
         start of the receiver's process to its exit, and both have hashed the file before."
            .to_owned(),
    );
    section
        .notes
        .extend(testbed.skipped_among(&PROGRAMS).into_iter().map(|why| format!("SKIPPED  {why}")));
    section
}

fn goals(section: &mut Section, timings: Result<&Timings, String>) {
    for (transfer, least) in [(Transfer::Direct, 0.9), (Transfer::Relayed, 0.2)] {
        section.goal(
            format!("client to client, {}: rate over a get, path MTU {PATH_MTU}", transfer.name()),
            Bound::AtLeast(least),
            "",
            timings.as_ref().map(|timings| timings.ratio(transfer)).map_err(String::clone),
        );
    }
}

impl Transfer {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get from the server",
            Self::Direct => "direct",
            Self::Relayed => "relayed",
            Self::Program(peer) => peer.name(),
        }
    }
}

impl<'a> Clients<'a> {
    fn start(testbed: &'a Testbed, address: Ipv4Addr, size: u64) -> Self {
        let files = testbed.work_folder.path(FILES);
        let server = QuiverServer::start(&testbed.work_folder, address, &files, false);
        let pair =
            |name, paths| ClientPair::start(&testbed.work_folder, server.address, name, paths);
        let direct = pair("direct", PathPolicy::Any);
        let relayed = pair("relayed", PathPolicy::RelayOnly);
        block_on(direct.sender.connect_directly(&direct.receiver));
        let job = Job::file(TransferKind::Get, "large", size);
        Self { testbed, direct, relayed, job, _server: server }
    }

    /// Quiver's transfers, and those of the other programs that are installed.
    fn all_transfers(&self) -> Vec<Transfer> {
        let programs = PROGRAMS.into_iter().filter(|peer| self.testbed.has(*peer));
        let own = [Transfer::Get, Transfer::Direct, Transfer::Relayed];
        own.into_iter().chain(programs.map(Transfer::Program)).collect()
    }

    /// Measures all transfers in alternation.
    fn measure(&self, rounds: usize, transfers: &[Transfer]) -> Timings {
        let mut timings: HashMap<Transfer, Vec<Timing>> = HashMap::new();
        for round in 0..=rounds {
            for transfer in transfers {
                // The first round warms up caches and path MTUs, and compares the content.
                let timing = self.measure_once(*transfer, round == 0);
                if round > 0 {
                    timings.entry(*transfer).or_default().push(timing);
                }
            }
        }
        Timings(timings)
    }

    fn measure_once(&self, transfer: Transfer, compare: bool) -> Timing {
        if let Transfer::Program(peer) = transfer {
            let sample = measurement::measure_once(self.testbed, peer, &self.job, compare);
            return Timing { seconds: sample.seconds, processor: sample.processor };
        }
        let (source, folder) = (self.source(), self.testbed.work_folder.path(DOWNLOADS));
        let received = folder.join(&self.job.name);
        remove(&received);
        let processor = || proc::tree_processor(std::process::id());
        let before = processor();
        let seconds = block_on(async {
            match transfer {
                Transfer::Direct => send(&self.direct, &source, &folder, Transfer::Direct).await,
                Transfer::Relayed => send(&self.relayed, &source, &folder, Transfer::Relayed).await,
                Transfer::Get | Transfer::Program(_) => {
                    self.direct.receiver.get(&self.job.name, &folder).await
                }
            }
        });
        let processor = processor() - before;
        if compare {
            let mut diff = Command::new("diff");
            let same = diff.arg("-q").arg(&source).arg(&received).status().unwrap().success();
            assert!(same, "{}: the received file differs from the source", transfer.name());
        }
        remove(&received);
        Timing { seconds, processor }
    }

    fn source(&self) -> PathBuf {
        self.testbed.work_folder.path(FILES).join(&self.job.name)
    }
}

/// Sends a file, and checks that its bytes took the path that is measured. Returns the seconds.
async fn send(pair: &ClientPair, file: &Path, folder: &Path, path: Transfer) -> f64 {
    let ClientPair { sender, receiver } = pair;
    let before = receiver.exchanged(sender);
    let seconds = sender.send(receiver, file, folder).await;
    let after = receiver.exchanged(sender);
    let (relayed, direct) = (after.0 - before.0, after.1 - before.1);
    let (wanted, other) =
        if path == Transfer::Direct { (direct, relayed) } else { (relayed, direct) };
    assert!(other < wanted / 100, "{}: {relayed} bytes relayed, {direct} direct", path.name());
    seconds
}

impl Timings {
    fn of(&self, transfer: Transfer) -> &[Timing] {
        self.0.get(&transfer).map_or(&[], Vec::as_slice)
    }

    fn seconds(&self, transfer: Transfer) -> f64 {
        median(self.of(transfer).iter().map(|timing| timing.seconds))
    }

    /// The rate over that of the get.
    fn ratio(&self, transfer: Transfer) -> f64 {
        self.seconds(Transfer::Get) / self.seconds(transfer)
    }

    fn table(&self, path: &str, size: u64) -> Table {
        let columns = [path, "MB/s", "CPU-s/GiB", "rate / get", "least", "most"];
        let mut table = Table::new(&columns);
        let programs = PROGRAMS.map(Transfer::Program);
        let all = [Transfer::Get, Transfer::Direct, Transfer::Relayed].into_iter().chain(programs);
        for transfer in all.filter(|transfer| !self.of(*transfer).is_empty()) {
            let processor = median(self.of(transfer).iter().map(|timing| timing.processor));
            let gets = self.of(Transfer::Get).iter().zip(self.of(transfer));
            let ratios = || gets.clone().map(|(get, timing)| get.seconds / timing.seconds);
            let least = ratios().fold(f64::INFINITY, f64::min);
            let figures = [
                size as f64 / 1e6 / self.seconds(transfer),
                processor * GIB / size as f64,
                self.ratio(transfer),
                least,
                ratios().fold(0.0, f64::max),
            ];
            // A get over itself says nothing.
            let shown = if transfer == Transfer::Get { 2 } else { figures.len() };
            let cells = (0..figures.len()).map(|index| {
                if index < shown { format_figure(figures[index]) } else { String::new() }
            });
            table.row([transfer.name().to_owned()].into_iter().chain(cells));
        }
        table
    }
}
