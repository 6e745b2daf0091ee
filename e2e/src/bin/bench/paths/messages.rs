//! Round trips of messages beside a transfer, from its start on, compared with those on the idle connection.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::goodput::PathCase;
use super::testbed::{PathTestbed, kind_name};
use super::validity::measure_valid;
use crate::bench_client::{BenchClient, block_on};
use crate::benchmarks::latency::RoundTrips;
use crate::fixtures::{FILES, remove};
use crate::peers::TransferKind;
use crate::report::{Bound, Section, Table};

const FILE: &str = "large";
const UPLOAD: &str = "uploads/messages";
/// Messages on the idle connection.
const BARE_MESSAGES: usize = 50;
/// A message is sent so often beside a transfer, also while earlier ones have no response yet.
const INTERVAL: Duration = Duration::from_millis(20);

/// Measures gets and puts; all rounds count together.
pub(crate) fn measure(testbed: &PathTestbed, cases: &[PathCase], rounds: usize) -> Section {
    let mut section = Section::new("messages beside a transfer");
    let columns = ["", "messages", "bare p50 ms", "p50 ms", "p99 ms", "max ms"];
    let mut table = Table::new(&columns);
    for case in cases {
        testbed.work_folder.create_file(FILE, case.bytes);
        testbed.set_path(case.link);
        for kind in [TransferKind::Get, TransferKind::Put] {
            let (mut bare, mut beside) = (Vec::new(), Vec::new());
            for round in 1..=rounds {
                eprintln!("... messages, {}, round {round}: {}", case.name, kind_name(kind));
                let times = measure_valid(&testbed.path, || {
                    testbed.drain();
                    testbed.path.client().run(|| block_on(measure_once(testbed, kind)))
                });
                let Some(times) = times else { continue };
                record(testbed, case, kind, &times);
                bare.extend(times.0);
                beside.extend(times.1);
            }
            let name = format!("{}: {}", case.name, kind_name(kind));
            if beside.is_empty() {
                section.goal(format!("messages, {name}"), Bound::AtMost(3.0), "", Ok(f64::NAN));
                continue;
            }
            let (messages, bare, beside) =
                (beside.len(), RoundTrips::new(bare), RoundTrips::new(beside));
            let base = bare.percentile(0.5);
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| beside.percentile(share));
            let milliseconds = [base, p50, p99, max].map(|value| format!("{value:.1}"));
            table.row([name.clone(), messages.to_string()].into_iter().chain(milliseconds));
            for (what, value, most) in [("p50", p50, 1.3), ("p99", p99, 3.0)] {
                let name = format!("messages, {name}, {what} over bare");
                section.goal(name, Bound::AtMost(most), "", Ok(value / base));
            }
        }
    }
    section.tables.push(table);
    section.notes.push(format!(
        "One connection, a message each {} ms from the start of the transfer to its end, all rounds together. Gets are \
         verified but not stored.",
        INTERVAL.as_millis()
    ));
    section
}

/// The round trips on the idle connection, and beside one transfer.
async fn measure_once(testbed: &PathTestbed, kind: TransferKind) -> (Vec<f64>, Vec<f64>) {
    let certificate = testbed.work_folder.path("certs/server.pem");
    // A connection of its own for the bare ones, because the transfer starts on a fresh one.
    let client = BenchClient::sign_in(testbed.quiver.address, &certificate).await;
    let mut bare = Vec::new();
    for _ in 0..BARE_MESSAGES {
        bare.push(client.round_trip().await);
    }
    client.close().await;
    let client = BenchClient::sign_in(testbed.quiver.address, &certificate).await;
    let beside = measure_beside(testbed, &client, kind).await;
    client.close().await;
    remove(&testbed.work_folder.path(FILES).join(UPLOAD));
    (bare, beside)
}

async fn measure_beside(
    testbed: &PathTestbed,
    client: &BenchClient,
    kind: TransferKind,
) -> Vec<f64> {
    let large = testbed.work_folder.path(FILES).join(FILE);
    let transfer = async {
        match kind {
            TransferKind::Get => client.get(FILE, |_| {}).await,
            TransferKind::Put => client.put(&large, UPLOAD, |_| {}).await,
        }
    };
    let mut transfer = std::pin::pin!(transfer);
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut messages = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut transfer => break,
            _ = ticks.tick() => {
                let client = client.clone();
                messages.spawn(async move { client.round_trip().await });
            }
        }
    }
    messages.join_all().await
}

fn record(
    testbed: &PathTestbed,
    case: &PathCase,
    kind: TransferKind,
    (bare, beside): &(Vec<f64>, Vec<f64>),
) {
    testbed.record(&json!({
        "measurement": "messages",
        "path": case.name,
        "direction": kind_name(kind),
        "bare_ms": bare,
        "beside_ms": beside,
    }));
}
