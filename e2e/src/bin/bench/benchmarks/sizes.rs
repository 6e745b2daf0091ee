//! The rate of a get by file size, which shows the cost of starting a transfer.

use crate::cli::{self, Workload};
use crate::figure::format_figure;
use crate::measurement;
use crate::peers::{Job, Peer, TransferKind};
use crate::plot::{Axis, Plot, Shape};
use crate::report::{Section, Table};
use crate::testbed::Testbed;

/// Bytes of the files, each 32 times the one before.
const SIZES: [u64; 5] = [1 << 10, 1 << 15, 1 << 20, 1 << 25, 1 << 30];

pub(crate) fn measure(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new("get by file size");
    let sizes: Vec<u64> = SIZES.into_iter().filter(|size| *size <= workload.size).collect();
    // Large files have a benchmark with more rounds; this one shows the shape of the curve.
    let rounds = workload.rounds.min(3);
    let mut columns = vec![String::new()];
    let mut lines: Vec<(Peer, Vec<(f64, f64)>)> = Vec::new();
    for size in sizes {
        testbed.work_folder.create_file("sized", size);
        let job = Job::file(TransferKind::Get, "sized", size);
        for measurement in measurement::measure_in_turns(testbed, &job, rounds) {
            let point = (size as f64, size as f64 / 1e6 / measurement.seconds);
            match lines.iter_mut().find(|(peer, _)| *peer == measurement.peer) {
                Some((_, points)) => points.push(point),
                None => lines.push((measurement.peer, vec![point])),
            }
        }
        columns.push(cli::format_size(size));
    }
    testbed.work_folder.remove("sized");
    let mut table = Table { columns, rows: Vec::new() };
    for (peer, points) in &lines {
        let rates = points.iter().map(|(_, rate)| format_figure(*rate));
        table.row(std::iter::once(peer.name().to_owned()).chain(rates));
    }
    section.notes.push(format!(
        "MB/s, medians of {rounds} rounds. Each get is a new process, with its connection and handshake."
    ));
    section.plots.push(plot(lines));
    section.tables.push(table);
    section
}

fn plot(lines: Vec<(Peer, Vec<(f64, f64)>)>) -> Plot {
    let values = lines.iter().flat_map(|(_, points)| points).map(|(_, rate)| *rate);
    let y = Axis::decades("MB/s", values);
    let sizes = lines.first().map(|(_, points)| points.as_slice()).unwrap_or_default();
    let marks = sizes.iter().map(|(size, _)| (*size, cli::format_size(*size as u64))).collect();
    let x = Axis { label: "file size", marks };
    let lines = lines.into_iter().map(|(peer, points)| (peer.name().to_owned(), points)).collect();
    Plot {
        name: "rate-by-size",
        title: "A get, by file size".to_owned(),
        shape: Shape::Lines { x, y, lines },
    }
}
