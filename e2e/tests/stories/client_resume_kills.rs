//! kill -9 at random points, of either end, in either direction: the whole file in the end, and at each kill
//! no more is lost than was on its way and not yet on a disk.

use quiver_e2e::kills::{KillCost, KillScenario, KillTarget, TransferKind};
use tokio::task::JoinSet;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 64 * MIB;

/// Bytes a second that pass the path: a kill meets a transfer in full flight.
const RATE: u64 = 24 * MIB;

/// Kills of each story, all files together.
const KILLS: u64 = 10;

/// What a receiver may hold that is not on its disk: what it has not read yet, which is its stream's window;
/// two blocks that are being written, two that wait for them, and one that fills.
const HELD: u64 = 5 * 256 * 1024;
const CLIENT_HOLDS: u64 = 2 * MIB + HELD;
const SERVER_HOLDS: u64 = MIB + HELD;

/// What else is said on a path between two kills.
const TALK: u64 = 256 * 1024;

/// So many files at once.
async fn ten_kills(transfer: TransferKind, target: KillTarget, files: u64) {
    let mut stories = JoinSet::new();
    for seed in 1..=files {
        let kills = KILLS / files;
        let ordeal = KillScenario { transfer, target, size: SIZE, kills, seed, rate: RATE };
        stories.spawn(ordeal.run());
    }
    let most = TALK + if transfer == TransferKind::Get { CLIENT_HOLDS } else { SERVER_HOLDS };
    let kills: Vec<KillCost> = stories.join_all().await.concat();
    assert_eq!(kills.len() as u64, KILLS);
    assert!(kills.iter().all(|kill| kill.resent <= most), "{most} at most: {kills:#?}");
}

#[tokio::test]
async fn a_get_whose_client_is_killed_ten_times_goes_on() {
    ten_kills(TransferKind::Get, KillTarget::Client, 2).await;
}

#[tokio::test]
async fn a_get_whose_server_is_killed_ten_times_goes_on() {
    ten_kills(TransferKind::Get, KillTarget::Server, 2).await;
}

#[tokio::test]
async fn a_put_whose_server_is_killed_ten_times_goes_on() {
    ten_kills(TransferKind::Put, KillTarget::Server, 2).await;
}

/// Slow: a server waits 11 seconds for a sign of life of each client.
#[tokio::test]
async fn a_put_whose_client_is_killed_ten_times_goes_on() {
    ten_kills(TransferKind::Put, KillTarget::Client, 5).await;
}
