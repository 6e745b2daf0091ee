//! How long a message takes there and back: alone, and beside gets and puts on the same connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::cast::Cast;
use crate::cli::Amount;
use crate::figure::figure;
use crate::plot::{Plot, Shape};
use crate::report::{Bound, Section, Table};
use crate::stage::{FILES, remove};
use crate::wire::{Member, block_on};

/// Messages that are timed while nothing else happens.
const IDLE_MESSAGES: usize = 2000;

/// How many there are of them.
const TRANSFERS: [usize; 2] = [1, 4];

/// Which way content goes beside the messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Gets,
    Puts,
}

/// Round trips in milliseconds, sorted.
pub(crate) struct Times(Vec<f64>);

/// What happened beside the messages.
struct Situation {
    name: String,
    /// 10^6 bytes a second of content.
    rate: f64,
    times: Times,
}

pub(crate) fn measure(cast: &Cast, amount: Amount) -> Section {
    let mut section = Section::new("message round trips");
    cast.stage.file("large", amount.size);
    let certificate = cast.stage.at("certs/server.pem");
    let situations = block_on(async {
        let member = Member::join(cast.quiver.address, &certificate).await;
        let mut idle = Vec::new();
        for _ in 0..IDLE_MESSAGES {
            idle.push(member.round_trip().await);
        }
        let mut situations =
            vec![Situation { name: "idle".to_owned(), rate: 0.0, times: Times::new(idle) }];
        for way in [Way::Gets, Way::Puts] {
            for transfers in TRANSFERS {
                situations.push(beside(cast, &member, way, transfers).await);
            }
        }
        member.leave().await;
        situations
    });
    let mut table =
        Table::new(&["", "messages", "p50 ms", "p99 ms", "p99.9 ms", "most ms", "content MB/s"]);
    for Situation { name, rate, times } in &situations {
        let rate = if *rate > 0.0 { figure(*rate) } else { String::new() };
        let milliseconds = [0.5, 0.99, 0.999, 1.0].map(|share| format!("{:.3}", times.at(share)));
        let messages = crate::cli::count(times.0.len() as u64);
        table.row([name.clone(), messages].into_iter().chain(milliseconds).chain([rate]));
    }
    section.tables.push(table);
    section.notes.push(
        "One connection, one message after the other; the gets are verified and store nothing; the puts are \
         stored, three at once at most. They run until all of them are done."
            .to_owned(),
    );
    let groups = situations.iter().map(|situation| {
        (situation.name.clone(), vec![situation.times.at(0.5), situation.times.at(0.99)])
    });
    section.plots.push(Plot {
        name: "round-trip-under-load",
        title: "A message's round trip beside transfers on the same connection".to_owned(),
        shape: Shape::Bars { unit: "ms", series: vec!["p50", "p99"], groups: groups.collect() },
    });
    let (idle, loaded) = (situations[0].times.at(0.5), situations[2].times.at(0.99));
    section.goal("message p99 beside 4 gets", Bound::AtMost(5.0), " ms", Ok(loaded));
    let what = "message p99 beside 4 gets, over the idle median";
    section.goal(what, Bound::AtMost(25.0), "", Ok(loaded / idle));
    section
}

/// Messages for as long as some transfers take, each a task of its own, as in the client.
async fn beside(cast: &Cast, member: &Member, way: Way, transfers: usize) -> Situation {
    let began = Instant::now();
    // Bytes of content that have passed; a rate beside the messages, not a goal.
    let passed = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for index in 0..transfers {
        let (member, passed) = (member.clone(), passed.clone());
        let large = cast.stage.at(FILES).join("large");
        running.spawn(async move {
            match way {
                Way::Gets => {
                    let mut before = 0;
                    let progress = |now| {
                        passed.fetch_add(now - before, Ordering::Relaxed);
                        before = now;
                    };
                    member.get("large", progress).await;
                }
                Way::Puts => {
                    let progress = |block| {
                        passed.fetch_add(block, Ordering::Relaxed);
                    };
                    member.put(&large, &stored(index), progress).await;
                }
            }
        });
    }
    let mut times = Vec::new();
    while !running.is_empty() {
        times.push(member.round_trip().await);
        while let Some(done) = running.try_join_next() {
            done.expect("a transfer");
        }
    }
    let rate = passed.load(Ordering::Relaxed) as f64 / 1e6 / began.elapsed().as_secs_f64();
    for index in 0..transfers {
        remove(&cast.stage.at(FILES).join(stored(index)));
    }
    Situation { name: name(way, transfers), rate, times: Times::new(times) }
}

fn name(way: Way, transfers: usize) -> String {
    let (one, several) = if way == Way::Gets { ("get", "gets") } else { ("put", "puts") };
    if transfers == 1 { format!("beside a {one}") } else { format!("beside {transfers} {several}") }
}

/// Where a put is stored.
fn stored(index: usize) -> String {
    format!("uploads/{index}")
}

impl Times {
    pub(crate) fn new(mut times: Vec<f64>) -> Self {
        times.sort_unstable_by(f64::total_cmp);
        Self(times)
    }

    /// What this share of the messages stayed under.
    pub(crate) fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share) as usize]
    }
}
