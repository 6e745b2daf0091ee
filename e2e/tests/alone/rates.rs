//! How fast others are beside somebody who stops reading: measured, on a machine that does nothing else.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::time::{Duration, Instant};

use quiver_e2e::random::Random;
use quiver_e2e::{Client, Server};

const SIZE: usize = 64 * 1024 * 1024;

/// How often each is measured; an odd number, for a median.
const ROUNDS: usize = 7;

/// What is left of the others' rate at least.
const SHARE: f64 = 0.8;

/// How long a get of `big` takes.
async fn get(client: &Client) -> Duration {
    let began = Instant::now();
    let content = client.get("big").await.unwrap().finish().await.unwrap();
    assert_eq!(content.bytes, SIZE as u64);
    let took = began.elapsed();
    content.received().await;
    took
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test]
async fn sixteen_gets_that_nobody_reads_leave_others_their_rate() {
    let server = Server::start().await;
    server.offer("big", Random::new(91).bytes(SIZE));
    let other = Client::member(&server, "Ben").await;
    get(&other).await;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(get(&other).await);
        let stalled = Client::member(&server, "Ron").await;
        let mut downloads = Vec::new();
        for _ in 0..16 {
            let mut download = stalled.get("big").await.unwrap();
            download.read_to(1).await;
            downloads.push(download);
        }
        beside.push(get(&other).await);
        // Whoever stopped reading is there still.
        stalled.is_well().await;
        drop(downloads);
        stalled.leave().await;
    }
    let share = median(alone.clone()).as_secs_f64() / median(beside.clone()).as_secs_f64();
    assert!(share >= SHARE, "{share:.2} of the rate: alone {alone:?}, beside {beside:?}");
}
