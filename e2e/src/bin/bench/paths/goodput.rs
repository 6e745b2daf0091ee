//! Goodput: transfers of a file with all programs in turns over one path, as shares of the link's rate, and the packets
//! that were lost beyond the path's own loss.

use quiver_e2e::path_emulator::LinkSettings;

use super::testbed::{PathTestbed, kind_name};
use super::transfer::{self, PathTransfer, TransferEnd};
use super::validity::{cell, measure_again, valid_median};
use crate::cli::PathProgram;
use crate::figure::format_figure;
use crate::peers::{Job, TransferKind};
use crate::report::{Bound, Section, Table};

/// The file in the served folder, and the name of what is put.
const FILE: &str = "large";

/// A path with the content that is transferred over it.
#[derive(Debug, Clone)]
pub(crate) struct PathCase {
    pub(crate) name: String,
    /// Of both directions.
    pub(crate) link: LinkSettings,
    /// Bytes of the file.
    pub(crate) bytes: u64,
}

/// All transfers of one program in one direction over one path.
#[derive(Debug)]
pub(crate) struct Goodput {
    pub(crate) program: PathProgram,
    pub(crate) kind: TransferKind,
    transfers: Vec<PathTransfer>,
}

impl Goodput {
    /// The median share of the link's rate.
    pub(crate) fn share(&self) -> f64 {
        valid_median(self.valid().map(|transfer| transfer.share))
    }

    /// The median share of packets that the queue dropped.
    pub(crate) fn queue_loss(&self) -> f64 {
        valid_median(self.valid().map(|transfer| transfer.counters.queue_loss()))
    }

    /// The transfers whose path was emulated as it should be. One that failed is among them, with a share of 0.
    fn valid(&self) -> impl Iterator<Item = &PathTransfer> {
        self.transfers.iter().filter(|transfer| !transfer.is_void)
    }

    /// The largest queue of all rounds, in bytes.
    fn largest_queue(&self) -> f64 {
        let queues = self.transfers.iter().map(|transfer| transfer.counters.largest_queue as f64);
        queues.fold(0.0, f64::max)
    }

    /// What is to be known of some of the transfers.
    fn remarks(&self) -> String {
        let count = |chosen: fn(&PathTransfer) -> bool| {
            self.transfers.iter().filter(|transfer| chosen(transfer)).count()
        };
        let counts = [
            (count(|transfer| transfer.end == TransferEnd::Stopped), "stopped"),
            (count(|transfer| matches!(transfer.end, TransferEnd::Failed(_))), "failed"),
            (count(|transfer| transfer.is_void), "void"),
        ];
        let remarks = counts.iter().filter(|(count, _)| *count > 0);
        remarks.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
    }
}

/// Measures the programs in turns, gets and puts. A void transfer is measured again, so that the medians are of as many
/// rounds as possible.
pub(crate) fn measure(
    testbed: &PathTestbed,
    case: &PathCase,
    programs: &[PathProgram],
    rounds: usize,
) -> Vec<Goodput> {
    testbed.work_folder.create_file(FILE, case.bytes);
    testbed.set_path(case.link);
    let measured = programs.iter().copied().filter(|program| testbed.has(*program));
    let mut goodputs: Vec<Goodput> = measured
        .flat_map(|program| {
            program.kinds().iter().map(move |kind| Goodput {
                program,
                kind: *kind,
                transfers: Vec::new(),
            })
        })
        .collect();
    for round in 1..=rounds {
        for goodput in &mut goodputs {
            let (program, kind) = (goodput.program, goodput.kind);
            eprintln!("... {}, round {round}: {} {}", case.name, program.name(), kind_name(kind));
            let job = Job::file(kind, FILE, case.bytes);
            let measure = || transfer::measure(testbed, program, &job, &case.link, &case.name);
            goodput.transfers.extend(measure_again(measure, |transfer| transfer.is_void));
        }
    }
    goodputs
}

/// Adds the table of one path, and the notes that every such table needs.
pub(crate) fn report(section: &mut Section, case: &PathCase, goodputs: &[Goodput]) {
    let rate = case.link.rate.expect("a path with a rate") as f64;
    let columns = ["", "share of the link", "Mbit/s", "queue drops %", "queue ms", ""];
    let mut table = Table::new(&[&[case.name.as_str()][..], &columns[1..]].concat());
    for goodput in goodputs {
        let share = goodput.share();
        table.row([
            format!("{} {}", goodput.program.name(), kind_name(goodput.kind)),
            cell(share),
            cell(share * rate / 1e6),
            cell(goodput.queue_loss() * 100.0),
            format_figure(goodput.largest_queue() * 8.0 / rate * 1e3),
            goodput.remarks(),
        ]);
    }
    section.tables.push(table);
}

/// The measurement of a program in one direction, or in the only one.
pub(crate) fn find(
    goodputs: &[Goodput],
    program: PathProgram,
    kind: TransferKind,
) -> Result<&Goodput, String> {
    let kind = if program.kinds().contains(&kind) { kind } else { TransferKind::Get };
    let found = goodputs.iter().find(|goodput| (goodput.program, goodput.kind) == (program, kind));
    found.ok_or_else(|| format!("{} was not measured", program.name()))
}

/// The goals of Quiver alone: the share, and the loss beyond the path's own.
pub(crate) fn goals(section: &mut Section, case: &PathCase, goodputs: &[Goodput], least: f64) {
    for kind in [TransferKind::Get, TransferKind::Put] {
        let quiver = || find(goodputs, PathProgram::Quiver, kind);
        let name = format!("{}: {}", case.name, kind_name(kind));
        let share = quiver().map(Goodput::share);
        section.goal(format!("{name}, share of the link"), Bound::AtLeast(least), "", share);
        let loss = quiver().map(|quiver| quiver.queue_loss() * 100.0);
        section.goal(format!("{name}, queue drops"), Bound::AtMost(3.0), " %", loss);
    }
}

/// The goals beside other programs: at least as fast.
pub(crate) fn peer_goals(
    section: &mut Section,
    testbed: &PathTestbed,
    case: &PathCase,
    goodputs: &[Goodput],
    peers: &[PathProgram],
) {
    for kind in [TransferKind::Get, TransferKind::Put] {
        for peer in peers.iter().filter(|peer| testbed.wants(**peer)) {
            let ratio = find(goodputs, PathProgram::Quiver, kind).and_then(|quiver| {
                let (ours, theirs) = (quiver.share(), find(goodputs, *peer, kind)?.share());
                // Of two programs that fail, neither is faster.
                let has_failed = theirs == 0.0 && ours > 0.0;
                if has_failed { Err(format!("{} failed", peer.name())) } else { Ok(ours / theirs) }
            });
            let name = format!("{}: {} over {}", case.name, kind_name(kind), peer.name());
            section.goal(name, Bound::AtLeast(1.0), "", ratio);
        }
    }
}
