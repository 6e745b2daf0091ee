//! The rate of a client beside another that stops reading, measured on an otherwise idle machine.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::time::{Duration, Instant};

use quiver_e2e::random::Random;
use quiver_e2e::{Client, Server};

const SIZE: usize = 64 * 1024 * 1024;

/// Rounds of each measurement; an odd number, for the median.
const ROUNDS: usize = 7;

/// The least share of the other client's rate.
const MIN_SHARE: f64 = 0.8;

/// The duration of a get of `big`.
async fn get(client: &Client) -> Duration {
    let started = Instant::now();
    let content = client.get("big").await.unwrap().finish().await.unwrap();
    assert_eq!(content.bytes, SIZE as u64);
    let duration = started.elapsed();
    content.acknowledge().await;
    duration
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn sixteen_unread_gets_do_not_slow_another_client_down() {
    let server = Server::start().await;
    server.add_file("big", Random::new(91).bytes(SIZE));
    let other = Client::member(&server, "Ben").await;
    get(&other).await;
    let (mut alone, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(get(&other).await);
        let stalled = Client::member(&server, "Ron").await;
        let mut downloads = Vec::new();
        for _ in 0..16 {
            let mut download = stalled.get("big").await.unwrap();
            download.read_at_least(1).await;
            downloads.push(download);
        }
        loaded.push(get(&other).await);
        // The client that stopped reading is still connected.
        stalled.assert_alive().await;
        drop(downloads);
        stalled.close().await;
    }
    let share = median(alone.clone()).as_secs_f64() / median(loaded.clone()).as_secs_f64();
    assert!(
        share >= MIN_SHARE,
        "{share:.2} of the rate: alone {alone:?}, with unread gets {loaded:?}"
    );
}
