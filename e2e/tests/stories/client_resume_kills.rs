//! Transfers whose client or server is killed with SIGKILL at random points: the file is complete in the end, and a
//! kill loses only content that was in transit or not yet on the receiver's disk.

use quiver_e2e::kills::{KillCost, KillScenario, KillTarget, TransferKind};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 64 * MIB;

/// The relay's rate in bytes a second: slow enough that a kill interrupts the transfer.
const RATE: u64 = 24 * MIB;

/// The number of kills of each story, for all files together.
const KILLS: u64 = 10;

/// Content that a receiver has in memory and not on its disk, in bytes: two blocks that are being written, two that
/// wait to be written, and one that is being filled. A receiver's buffers are these and its stream's receive window.
const BLOCKS_IN_MEMORY: u64 = 5 * 256 * 1024;
const CLIENT_BUFFERS: u64 = 2 * MIB + BLOCKS_IN_MEMORY;
const SERVER_BUFFERS: u64 = MIB + BLOCKS_IN_MEMORY;

/// Other traffic through the relay between two kills, in bytes.
const OTHER_TRAFFIC: u64 = 256 * 1024;

/// Transfers `files` files at the same time with ten kills in total, and checks the cost of each kill.
async fn assert_kill_costs(transfer: TransferKind, target: KillTarget, files: u64) {
    let mut scenarios = JoinSet::new();
    for seed in 1..=files {
        let kills = KILLS / files;
        let scenario = KillScenario { transfer, target, size: SIZE, kills, seed, rate: RATE };
        scenarios.spawn(scenario.run());
    }
    let max_cost =
        OTHER_TRAFFIC + if transfer == TransferKind::Get { CLIENT_BUFFERS } else { SERVER_BUFFERS };
    let kills: Vec<KillCost> = scenarios.join_all().await.concat();
    assert_eq!(kills.len() as u64, KILLS);
    assert!(kills.iter().all(|kill| kill.resent <= max_cost), "{max_cost} at most: {kills:#?}");
}

#[tokio::test]
async fn a_get_whose_client_is_killed_ten_times_resumes() {
    assert_kill_costs(TransferKind::Get, KillTarget::Client, 2).await;
}

#[tokio::test]
async fn a_get_whose_server_is_killed_ten_times_resumes() {
    assert_kill_costs(TransferKind::Get, KillTarget::Server, 2).await;
}

#[tokio::test]
async fn a_put_whose_server_is_killed_ten_times_resumes() {
    assert_kill_costs(TransferKind::Put, KillTarget::Server, 2).await;
}

/// Slow: the server considers each killed client alive for 11 seconds.
#[tokio::test]
async fn a_put_whose_client_is_killed_ten_times_resumes() {
    assert_kill_costs(TransferKind::Put, KillTarget::Client, 5).await;
}
