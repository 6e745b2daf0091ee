//! The round-trip time of a message: alone, and beside gets and puts on the same connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::bench_client::{BenchClient, block_on};
use crate::cli::Workload;
use crate::figure::format_figure;
use crate::fixtures::{FILES, remove};
use crate::peers::TransferKind;
use crate::plot::{Plot, Shape};
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

/// Messages that are timed without transfers.
const IDLE_MESSAGES: usize = 2000;

/// Numbers of concurrent transfers.
const TRANSFERS: [usize; 2] = [1, 4];

/// Sorted round-trip times in milliseconds.
pub(crate) struct RoundTrips(Vec<f64>);

/// The round trips beside some load.
struct LoadCase {
    name: String,
    /// Content in 10^6 bytes a second.
    rate: f64,
    round_trips: RoundTrips,
}

pub(crate) fn measure(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new("message round trips");
    testbed.work_folder.create_file("large", workload.size);
    let certificate = testbed.work_folder.path("certs/server.pem");
    let cases = block_on(async {
        let client = BenchClient::sign_in(testbed.quiver.address, &certificate).await;
        let mut idle = Vec::new();
        for _ in 0..IDLE_MESSAGES {
            idle.push(client.round_trip().await);
        }
        let mut cases = vec![LoadCase {
            name: "idle".to_owned(),
            rate: 0.0,
            round_trips: RoundTrips::new(idle),
        }];
        for kind in [TransferKind::Get, TransferKind::Put] {
            for transfers in TRANSFERS {
                cases.push(measure_beside(testbed, &client, kind, transfers).await);
            }
        }
        client.close().await;
        cases
    });
    let mut table =
        Table::new(&["", "messages", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "content MB/s"]);
    for LoadCase { name, rate, round_trips } in &cases {
        let rate = if *rate > 0.0 { format_figure(*rate) } else { String::new() };
        let milliseconds =
            [0.5, 0.99, 0.999, 1.0].map(|share| format!("{:.3}", round_trips.percentile(share)));
        let messages = crate::cli::format_count(round_trips.0.len() as u64);
        table.row([name.clone(), messages].into_iter().chain(milliseconds).chain([rate]));
    }
    section.tables.push(table);
    section.notes.push(
        "One connection, one message after the other until all transfers are done. Gets are verified but not \
         stored; puts are stored, at most three at once."
            .to_owned(),
    );
    let groups = cases.iter().map(|case| {
        (
            case.name.clone(),
            vec![case.round_trips.percentile(0.5), case.round_trips.percentile(0.99)],
        )
    });
    section.plots.push(Plot {
        name: "round-trip-under-load",
        title: "A message's round trip beside transfers on the same connection".to_owned(),
        shape: Shape::Bars { unit: "ms", series: vec!["p50", "p99"], groups: groups.collect() },
    });
    let (idle, loaded) =
        (cases[0].round_trips.percentile(0.5), cases[2].round_trips.percentile(0.99));
    section.goal("message p99 beside 4 gets", Bound::AtMost(5.0), " ms", Ok(loaded));
    let what = "message p99 beside 4 gets, over the idle median";
    section.goal(what, Bound::AtMost(25.0), "", Ok(loaded / idle));
    section
}

/// Measures messages until some transfers are done, each in a task of its own as in the client.
async fn measure_beside(
    testbed: &Testbed,
    client: &BenchClient,
    kind: TransferKind,
    transfers: usize,
) -> LoadCase {
    let started = Instant::now();
    // Content bytes transferred so far, for a rate that has no goal.
    let transferred = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for index in 0..transfers {
        let (client, transferred) = (client.clone(), transferred.clone());
        let large = testbed.work_folder.path(FILES).join("large");
        running.spawn(async move {
            match kind {
                TransferKind::Get => {
                    let mut before = 0;
                    let progress = |now| {
                        transferred.fetch_add(now - before, Ordering::Relaxed);
                        before = now;
                    };
                    client.get("large", progress).await;
                }
                TransferKind::Put => {
                    let progress = |block| {
                        transferred.fetch_add(block, Ordering::Relaxed);
                    };
                    client.put(&large, &upload_path(index), progress).await;
                }
            }
        });
    }
    let mut times = Vec::new();
    while !running.is_empty() {
        times.push(client.round_trip().await);
        while let Some(done) = running.try_join_next() {
            done.expect("a transfer");
        }
    }
    let rate = transferred.load(Ordering::Relaxed) as f64 / 1e6 / started.elapsed().as_secs_f64();
    for index in 0..transfers {
        remove(&testbed.work_folder.path(FILES).join(upload_path(index)));
    }
    LoadCase { name: case_name(kind, transfers), rate, round_trips: RoundTrips::new(times) }
}

fn case_name(kind: TransferKind, transfers: usize) -> String {
    let (one, several) = if kind == TransferKind::Get { ("get", "gets") } else { ("put", "puts") };
    if transfers == 1 { format!("beside a {one}") } else { format!("beside {transfers} {several}") }
}

/// The remote path of a put.
fn upload_path(index: usize) -> String {
    format!("uploads/{index}")
}

impl RoundTrips {
    pub(crate) fn new(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        Self(times)
    }

    /// The time that this share of the round trips did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }
}
