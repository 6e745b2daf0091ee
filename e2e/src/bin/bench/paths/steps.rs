//! Steps of the link's rate during a transfer: after how many round trips the transfer follows, and whether it pauses.

use std::process::Stdio;
use std::time::{Duration, Instant};

use quiver_e2e::path_emulator::LinkSettings;
use serde_json::json;

use super::testbed::{PathTestbed, content_direction, kind_name};
use super::timeline::Timeline;
use super::validity::{cell, measure_valid, valid_median};
use crate::child_process::ChildProcess;
use crate::cli::PathProgram;
use crate::peers::{Invocation, Job, TransferKind};
use crate::report::{Bound, Section, Table};

/// More than the link transmits while a measurement lasts.
const FILE: &str = "steps";
const BYTES: u64 = 1 << 30;
/// How long each rate lasts.
const PHASE: Duration = Duration::from_secs(8);
/// The rates in bit/s, of which the first is that of the path.
const RATES: [u64; 3] = [200_000_000, 50_000_000, 200_000_000];
/// Interval of the samples.
const INTERVAL: Duration = Duration::from_millis(5);
/// A transfer follows with this share of the new rate.
const SHARE: f64 = 0.8;
/// A transfer follows with at most this queue, in bandwidth-delay products of the new rate. A window of twice the product
/// leaves one of them in the queue; the rest is for bursts.
const QUEUE: f64 = 1.25;

/// What the path does, sampled while a transfer runs.
#[derive(Debug, Default)]
struct Samples {
    /// What the path has delivered.
    delivered: Timeline,
    /// The queue in bytes.
    queue: Vec<(Duration, u64)>,
    /// When the client's process ended, if it did.
    ended: Option<Duration>,
}

/// One transfer: round trips until it follows the step down and the step up, and the longest pause.
#[derive(Debug, Clone, Copy)]
struct Reaction {
    down: f64,
    up: f64,
    pause: Duration,
}

/// Measures gets and puts; medians of all rounds, and the longest pause.
pub(crate) fn measure(testbed: &PathTestbed, link: LinkSettings, rounds: usize) -> Section {
    let mut section = Section::new("steps of the rate");
    testbed.work_folder.create_file(FILE, BYTES);
    let columns = ["", "round trips, 200 to 50 Mbit/s", "50 to 200 Mbit/s", "longest pause ms"];
    let mut table = Table::new(&columns);
    for kind in [TransferKind::Get, TransferKind::Put] {
        let reactions: Vec<_> = (1..=rounds)
            .filter_map(|round| {
                eprintln!("... steps, round {round}: {}", kind_name(kind));
                let samples = measure_valid(&testbed.path, || sample(testbed, kind, link))?;
                let reaction = react(&samples, link);
                record(testbed, kind, &samples, reaction);
                Some(reaction)
            })
            .collect();
        let down = valid_median(reactions.iter().map(|reaction| reaction.down));
        let up = valid_median(reactions.iter().map(|reaction| reaction.up));
        let pauses = reactions.iter().map(|reaction| reaction.pause.as_secs_f64() * 1e3);
        let pause = pauses.reduce(f64::max).unwrap_or(f64::NAN);
        let kind = kind_name(kind);
        table.row([kind.to_owned(), cell(down), cell(up), cell(pause)]);
        for (step, value) in [("200 to 50 Mbit/s", down), ("50 to 200 Mbit/s", up)] {
            let name = format!("{kind}, {step}: round trips");
            section.goal(name, Bound::AtMost(10.0), "", Ok(value));
        }
        let name = format!("{kind}: longest pause at a step");
        section.goal(name, Bound::AtMost(500.0), " ms", Ok(pause));
    }
    testbed.work_folder.remove(FILE);
    section.tables.push(table);
    section.notes.push(format!(
        "A transfer follows from the first round trip on in which, and in the two after it, the path delivers {SHARE} of \
         the new rate while the queue is at most {QUEUE} bandwidth-delay products. A time-out would be a pause of a \
         second and more in what the path delivers. A transfer that never follows has all round trips of a step.",
    ));
    section
}

/// Runs a transfer through all rates.
fn sample(testbed: &PathTestbed, kind: TransferKind, link: LinkSettings) -> Samples {
    testbed.set_path(link);
    let job = Job::file(kind, FILE, BYTES);
    let invocation = Invocation::to_quiver(&job, &testbed.work_folder, testbed.quiver.address);
    testbed.drain();
    let direction = content_direction(kind);
    let before = testbed.path.counters(direction).bytes_out;
    let mut command = PathProgram::Quiver.command(&invocation, &link);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = testbed.path.client().run(|| ChildProcess::start(&mut command));
    let start = Instant::now();
    let mut samples = Samples::default();
    let mut phase = 0;
    while start.elapsed() < PHASE * RATES.len() as u32 {
        let due = (start.elapsed().as_secs_f64() / PHASE.as_secs_f64()) as usize;
        if due > phase {
            phase = due;
            testbed.set_path(LinkSettings { rate: RATES.get(phase).copied(), ..link });
        }
        let counters = testbed.path.counters(direction);
        samples.delivered.push(start.elapsed(), counters.bytes_out - before);
        samples.queue.push((start.elapsed(), counters.queue));
        if let Ok(Some(_)) = client.child().try_wait() {
            samples.ended = Some(start.elapsed());
            break;
        }
        std::thread::park_timeout(INTERVAL);
    }
    drop(client);
    testbed.set_path(link);
    testbed.work_folder.remove_transferred();
    samples
}

/// Judges a transfer. One that never follows, or has ended before its time, has all round trips of a phase.
fn react(samples: &Samples, link: LinkSettings) -> Reaction {
    let round_trip = 2 * link.delay;
    let rounds = (PHASE.as_secs_f64() / round_trip.as_secs_f64()) as u32;
    let never = f64::from(rounds);
    if samples.ended.is_some() {
        return Reaction { down: never, up: never, pause: PHASE };
    }
    let follows = |phase: usize| {
        let rate = RATES[phase] as f64;
        let queue = rate / 8.0 * round_trip.as_secs_f64() * QUEUE;
        let start = PHASE * phase as u32;
        let is_good = |round: u32| {
            let (from, until) = (start + round_trip * round, start + round_trip * (round + 1));
            samples.delivered.rate(from, until) >= rate * SHARE
                && samples.largest_queue(from, until) <= queue
        };
        let first = (0..rounds - 2).find(|round| (*round..round + 3).all(is_good));
        first.map_or(never, f64::from)
    };
    let pause = samples.delivered.longest_pause(PHASE, PHASE * RATES.len() as u32);
    Reaction { down: follows(1), up: follows(2), pause }
}

impl Samples {
    fn largest_queue(&self, from: Duration, until: Duration) -> f64 {
        let inside = self.queue.iter().filter(|(at, _)| (from..until).contains(at));
        inside.map(|(_, queue)| *queue as f64).fold(0.0, f64::max)
    }
}

fn record(testbed: &PathTestbed, kind: TransferKind, samples: &Samples, reaction: Reaction) {
    let tenth = Duration::from_millis(100);
    let tenths = (PHASE * RATES.len() as u32).as_millis() / tenth.as_millis();
    let series = (0..tenths as u32).map(|index| {
        let (from, until) = (tenth * index, tenth * (index + 1));
        json!([
            from.as_secs_f64(),
            samples.delivered.rate(from, until) / 1e6,
            samples.largest_queue(from, until),
        ])
    });
    testbed.record(&json!({
        "measurement": "steps",
        "direction": kind_name(kind),
        "round_trips_down": reaction.down,
        "round_trips_up": reaction.up,
        "longest_pause_ms": reaction.pause.as_millis() as u64,
        "ended_early_s": samples.ended.map(|at| at.as_secs_f64()),
        "seconds_mbits_queue": series.collect::<Vec<_>>(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transfer whose rate and queue follow each step after a delay.
    fn samples(after: Duration) -> Samples {
        let mut samples = Samples::default();
        let mut delivered = 0.0;
        for step in 0..(PHASE * 3).as_millis() / INTERVAL.as_millis() {
            let at = INTERVAL * step as u32;
            let link = RATES[(at.as_secs_f64() / 8.0) as usize];
            let sender = RATES[(at.saturating_sub(after).as_secs_f64() / 8.0) as usize];
            delivered += link.min(sender) as f64 / 8.0 * INTERVAL.as_secs_f64();
            samples.delivered.push(at, delivered as u64);
            samples.queue.push((at, if sender > link { 2_500_000 } else { 0 }));
        }
        samples
    }

    #[test]
    fn a_transfer_follows_after_the_round_trips_that_it_takes() {
        let link = LinkSettings::new(RATES[0], Duration::from_millis(50), 2_500_000);
        let reaction = react(&samples(Duration::from_millis(480)), link);
        assert_eq!((reaction.down, reaction.up), (5.0, 5.0));
        assert!(reaction.pause <= 2 * INTERVAL, "{:?}", reaction.pause);
        let reaction = react(&samples(Duration::from_secs(8)), link);
        assert_eq!((reaction.down, reaction.up), (80.0, 80.0));
        let ended = Samples { ended: Some(PHASE), ..samples(Duration::ZERO) };
        assert_eq!(react(&ended, link).down, 80.0);
    }
}
