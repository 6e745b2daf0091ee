//! The cost of killing client or server: how much of a large file is sent resent, at random points, in both directions.

use std::hash::{BuildHasher as _, RandomState};

use quiver_e2e::kills::{KillScenario, KillTarget, TransferKind};

use crate::bench_client::block_on;
use crate::cli::{self, Workload};
use crate::report::{Bound, Section, Table};

/// Kills of each transfer.
const KILLS: u64 = 10;

const MIB: f64 = 1024.0 * 1024.0;

/// The goals in MiB: a block, and the stream window of the receiver (client or server).
const CLIENT_GOAL: f64 = 0.25 + 2.0;
const SERVER_GOAL: f64 = 0.25 + 1.0;

pub(crate) fn measure(workload: Workload, seed: Option<u64>) -> Section {
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
    let size = workload.size;
    let mut section = Section::new(format!("{}, killed at {KILLS} points", cli::format_size(size)));
    let mut table = Table::new(&["", "sent twice at each kill, MiB", "median", "max"]);
    for (transfer, command, most) in
        [(TransferKind::Get, "get", CLIENT_GOAL), (TransferKind::Put, "put", SERVER_GOAL)]
    {
        for (target, killed) in [(KillTarget::Client, "client"), (KillTarget::Server, "server")] {
            let scenario = KillScenario { transfer, target, size, kills: KILLS, seed, rate: 0 };
            let kills = block_on(scenario.run());
            let name = format!("{command}, the {killed} killed");
            let mut resent: Vec<f64> = kills.iter().map(|kill| kill.resent as f64 / MIB).collect();
            let each: Vec<String> = resent.iter().map(|mib| format!("{mib:.2}")).collect();
            resent.sort_unstable_by(f64::total_cmp);
            let (median, reached) = (resent[resent.len() / 2], resent[resent.len() - 1]);
            let figures = [each.join(" "), format!("{median:.2}"), format!("{reached:.2}")];
            table.row([name.clone()].into_iter().chain(figures));
            section.goal(format!("{name}: sent twice"), Bound::AtMost(most), " MiB", Ok(reached));
        }
    }
    section.tables.push(table);
    section.notes.push(format!(
        "kill -9 at random points (seed {seed}), over a relay that counts bytes. After each kill the same command is \
         started again, or the running client resumes. All files were complete, compared byte by byte. The goals are \
         one block and one stream window."
    ));
    section
}
