//! The rate by file size: what beginning a transfer costs, and what it is worth.

use crate::cast::Cast;
use crate::cli::{self, Amount};
use crate::figure::figure;
use crate::moves;
use crate::peers::{Direction, Job, Peer};
use crate::plot::{Axis, Plot, Shape};
use crate::report::{Section, Table};

/// From 1 KiB on, each 16 or 32 times the one before.
const SIZES: [u64; 5] = [1 << 10, 1 << 15, 1 << 20, 1 << 25, 1 << 30];

pub(crate) fn measure(cast: &Cast, amount: Amount) -> Section {
    let mut section = Section::new("get by file size");
    let sizes: Vec<u64> = SIZES.into_iter().filter(|size| *size <= amount.size).collect();
    // The large ones were measured with more rounds; here the shape counts.
    let rounds = amount.rounds.min(3);
    let mut columns = vec![String::new()];
    let mut lines: Vec<(Peer, Vec<(f64, f64)>)> = Vec::new();
    for size in sizes {
        cast.stage.file("sized", size);
        let job = Job::file(Direction::Get, "sized", size);
        for moved in moves::in_turns(cast, &job, rounds) {
            let point = (size as f64, size as f64 / 1e6 / moved.seconds);
            match lines.iter_mut().find(|(peer, _)| *peer == moved.peer) {
                Some((_, points)) => points.push(point),
                None => lines.push((moved.peer, vec![point])),
            }
        }
        columns.push(cli::size(size));
    }
    cast.stage.remove("sized");
    let mut table = Table { columns, rows: Vec::new() };
    for (peer, points) in &lines {
        let rates = points.iter().map(|(_, rate)| figure(*rate));
        table.row(std::iter::once(peer.name().to_owned()).chain(rates));
    }
    section.notes.push(format!(
        "MB/s, medians of {rounds} rounds: a whole process each time, with its connection and its handshake."
    ));
    section.plots.push(plot(lines));
    section.tables.push(table);
    section
}

fn plot(lines: Vec<(Peer, Vec<(f64, f64)>)>) -> Plot {
    let values = lines.iter().flat_map(|(_, points)| points).map(|(_, rate)| *rate);
    let y = Axis::decades("MB/s", values);
    let sizes = lines.first().map(|(_, points)| points.as_slice()).unwrap_or_default();
    let marks = sizes.iter().map(|(size, _)| (*size, cli::size(*size as u64))).collect();
    let x = Axis { label: "file size", marks };
    let lines = lines.into_iter().map(|(peer, points)| (peer.name().to_owned(), points)).collect();
    Plot {
        name: "rate-by-size",
        title: "A get, by file size".to_owned(),
        shape: Shape::Lines { x, y, lines },
    }
}
