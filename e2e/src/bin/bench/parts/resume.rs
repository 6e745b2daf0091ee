//! What a kill of either end costs: how much of a large file comes twice, at random points, in both directions.

use std::hash::{BuildHasher as _, RandomState};

use quiver_e2e::kills::{KillScenario, KillTarget, TransferKind};

use crate::cli::{self, Amount};
use crate::report::{Bound, Section, Table};
use crate::wire::block_on;

/// Points of each file.
const KILLS: u64 = 10;

const MIB: f64 = 1024.0 * 1024.0;

/// A block, and what a stream may hold unread at a client and at a server. MiB.
const CLIENTS: f64 = 0.25 + 2.0;
const SERVERS: f64 = 0.25 + 1.0;

pub(crate) fn measure(amount: Amount, seed: Option<u64>) -> Section {
    let seed = seed.unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
    let size = amount.size;
    let mut section = Section::new(format!("{}, killed at {KILLS} points", cli::size(size)));
    let mut table = Table::new(&["", "twice at each kill, MiB", "median", "most"]);
    for (transfer, way, most) in
        [(TransferKind::Get, "get", CLIENTS), (TransferKind::Put, "put", SERVERS)]
    {
        for (target, whom) in [(KillTarget::Client, "client"), (KillTarget::Server, "server")] {
            let ordeal = KillScenario { transfer, target, size, kills: KILLS, seed, rate: 0 };
            let kills = block_on(ordeal.run());
            let name = format!("{way}, the {whom} killed");
            let mut twice: Vec<f64> = kills.iter().map(|kill| kill.resent as f64 / MIB).collect();
            let each: Vec<String> = twice.iter().map(|mib| format!("{mib:.2}")).collect();
            twice.sort_unstable_by(f64::total_cmp);
            let (median, reached) = (twice[twice.len() / 2], twice[twice.len() - 1]);
            let figures = [each.join(" "), format!("{median:.2}"), format!("{reached:.2}")];
            table.row([name.clone()].into_iter().chain(figures));
            section.goal(format!("{name}: sent twice"), Bound::AtMost(most), " MiB", Ok(reached));
        }
    }
    section.tables.push(table);
    section.notes.push(format!(
        "kill -9 at random points (seed {seed}), over a path that counts what passes; after each the same command, or \
         the client by itself, goes on. All files came whole, compared byte by byte. The goals are one block and \
         one window of a stream."
    ));
    section
}
