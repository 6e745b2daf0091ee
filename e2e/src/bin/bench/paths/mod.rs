//! Measurements on emulated long and lossy paths: which paths, with which goals.
//!
//! | module | what it holds |
//! |---|---|
//! | `testbed`, `program`, `iperf` | the path with its servers, and the programs |
//! | `transfer` | one transfer of a file |
//! | `goodput` | transfers of all programs over one path |
//! | `messages` | round trips of messages beside a transfer |
//! | `fairness` | flows that share a link |
//! | `steps` | changes of the rate during a transfer |
//! | `timeline` | bytes received over time |
//! | `validity` | whether the machine was fast enough for a measurement |

mod fairness;
mod goodput;
mod iperf;
mod messages;
mod program;
mod steps;
mod testbed;
mod timeline;
mod transfer;
mod validity;

use std::time::Duration;

use quiver_e2e::path_emulator::{BurstLoss, LinkSettings};

use self::goodput::PathCase;
use self::testbed::PathTestbed;
use crate::cli::{PathProgram, PathRow, PathsArgs, format_size};
use crate::fixtures::WorkFolder;
use crate::peers::TransferKind;
use crate::report::{Bound, Section};

const MIB: u64 = 1 << 20;

/// Measures the selected rows. Calls `on_result` with the section of each.
///
/// # Errors
/// Why no path can be emulated here.
pub(crate) fn measure(
    args: &PathsArgs,
    work_folder: WorkFolder,
    mut on_result: impl FnMut(Section),
) -> Result<(), String> {
    let testbed = PathTestbed::start(work_folder, &args.programs, args.json.as_deref())?;
    println!("versions: {}\n", testbed.versions.join("; "));
    for missing in &testbed.skipped {
        println!("SKIPPED  {missing}");
    }
    for row in PathRow::ALL.into_iter().filter(|row| args.wants(*row)) {
        let mut section = run(row, &testbed, args);
        section.notes.extend(note(row, args.rounds));
        on_result(section);
    }
    Ok(())
}

fn run(row: PathRow, testbed: &PathTestbed, args: &PathsArgs) -> Section {
    let rounds = args.rounds;
    match row {
        PathRow::Loss => loss(testbed, args),
        PathRow::Fast => fast(testbed, args),
        PathRow::Radio => radio(testbed, args),
        PathRow::Queues => queues(testbed, args),
        PathRow::Messages => {
            let cases = [0.0, 0.001].map(|loss| long_path(loss, args.bytes(256 * MIB)));
            messages::measure(testbed, &cases, rounds)
        }
        PathRow::Shares => fairness::measure(testbed, long_link(0.0), rounds),
        PathRow::Steps => steps::measure(testbed, long_link(0.0), rounds),
    }
}

/// 200 Mbit/s, 100 ms round trip, a queue of one bandwidth-delay product.
fn long_link(random_loss: f64) -> LinkSettings {
    link(200_000_000, Duration::from_millis(50), random_loss)
}

/// A link with a one-way delay and a queue of one bandwidth-delay product.
fn link(rate: u64, delay: Duration, random_loss: f64) -> LinkSettings {
    let mut link = LinkSettings { random_loss, ..LinkSettings::new(rate, delay, 0) };
    link.queue = link.bandwidth_delay_product();
    link
}

fn long_path(random_loss: f64, bytes: u64) -> PathCase {
    let name = format!("200 Mbit/s, 100 ms, loss {} %", random_loss * 100.0);
    PathCase { name, link: long_link(random_loss), bytes }
}

fn loss(testbed: &PathTestbed, args: &PathsArgs) -> Section {
    let mut section = Section::new("random loss");
    for (random_loss, least) in [(0.0, 0.9), (0.001, 0.85), (0.01, 0.8)] {
        let case = long_path(random_loss, args.bytes(256 * MIB));
        let goodputs = goodput::measure(testbed, &case, &PathProgram::ALL, args.rounds);
        goodput::report(&mut section, &case, &goodputs);
        goodput::goals(&mut section, &case, &goodputs, least);
        let peers =
            [PathProgram::ScpBbr, PathProgram::Qcp, PathProgram::QcpBbr, PathProgram::Sendme];
        goodput::peer_goals(&mut section, testbed, &case, &goodputs, &peers);
        section.notes.push(format!("{}: {}", case.name, format_size(case.bytes)));
    }
    section
}

fn fast(testbed: &PathTestbed, args: &PathsArgs) -> Section {
    let mut section = Section::new("a fast long path");
    let case = PathCase {
        name: "1 Gbit/s, 200 ms, loss 0.01 %".to_owned(),
        link: link(1_000_000_000, Duration::from_millis(100), 0.0001),
        bytes: args.bytes(1024 * MIB),
    };
    let programs = [PathProgram::Quiver, PathProgram::IperfBbr];
    let goodputs = goodput::measure(testbed, &case, &programs, args.rounds);
    goodput::report(&mut section, &case, &goodputs);
    goodput::peer_goals(&mut section, testbed, &case, &goodputs, &[PathProgram::IperfBbr]);
    section
}

fn radio(testbed: &PathTestbed, args: &PathsArgs) -> Section {
    let mut section = Section::new("radio");
    let mut link = LinkSettings::new(20_000_000, Duration::from_millis(20), 0);
    link.queue = link.bytes_within(Duration::from_millis(300));
    // Five packets are 3 ms of the link.
    link.burst_loss = Some(BurstLoss { mean_loss: 0.02, mean_length: 5.0 });
    let case = PathCase {
        name: "20 Mbit/s, 40 ms, bursts 2 %".to_owned(),
        link,
        bytes: args.bytes(32 * MIB),
    };
    let programs = [PathProgram::Quiver, PathProgram::ScpBbr, PathProgram::IperfBbr];
    let goodputs = goodput::measure(testbed, &case, &programs, args.rounds);
    goodput::report(&mut section, &case, &goodputs);
    goodput::goals(&mut section, &case, &goodputs, 0.8);
    section.notes.push("Bursts of 5 packets on average; a queue of 300 ms.".to_owned());
    section
}

fn queues(testbed: &PathTestbed, args: &PathsArgs) -> Section {
    let mut section = Section::new("queues");
    let mut shares = [Vec::new(), Vec::new()];
    for (products, name) in [(0.25, "1/4"), (1.0, "1"), (4.0, "4")] {
        let mut case = long_path(0.0, args.bytes(256 * MIB));
        case.name = format!("queue of {name} bandwidth-delay products");
        let queue = case.link.queue.expect("it has one");
        case.link.queue = Some((queue as f64 * products) as u64);
        let goodputs = goodput::measure(testbed, &case, &[PathProgram::Quiver], args.rounds);
        goodput::report(&mut section, &case, &goodputs);
        goodput::goals(&mut section, &case, &goodputs, 0.8);
        for goodput in &goodputs {
            shares[goodput.kind as usize].push(goodput.share());
        }
    }
    for kind in [TransferKind::Get, TransferKind::Put] {
        let shares = &shares[kind as usize];
        let least = shares.iter().copied().reduce(f64::min).unwrap_or_default();
        let most = shares.iter().copied().fold(0.0, f64::max);
        let name = format!("queues: {}, lowest over highest", testbed::kind_name(kind));
        let are_valid = shares.iter().all(|share| share.is_finite());
        let ratio = if shares.is_empty() {
            Err("not measured".to_owned())
        } else {
            Ok(if are_valid { least / most } else { f64::NAN })
        };
        section.goal(name, Bound::AtLeast(0.9), "", ratio);
    }
    section
}

/// What a row's table needs to be read.
fn note(row: PathRow, rounds: usize) -> Option<String> {
    let is_goodput =
        matches!(row, PathRow::Loss | PathRow::Fast | PathRow::Radio | PathRow::Queues);
    is_goodput.then(|| {
        format!(
            "Medians of {rounds} rounds, in which the programs alternate. Content over the time from the start of the \
             client's process to its exit, as a share of the link's rate. Queue drops: packets lost beyond the path's \
             own loss, as a share of all. A transfer that took four times longer than the link needs was stopped; its \
             share is what the path had delivered. Void: the emulator was too late, because the machine was busy; a \
             void transfer is made again, and is not in the medians."
        )
    })
}
