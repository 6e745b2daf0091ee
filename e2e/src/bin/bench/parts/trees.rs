//! Many small files: how many a second, beside those who pack them into one stream.

use crate::cast::Cast;
use crate::cli::{self, Amount, count};
use crate::figure::figure;
use crate::moves::{self, Moved};
use crate::peers::{Job, Peer};
use crate::plot::{Plot, Shape};
use crate::report::{Bound, Section, Table};

/// Bytes of each file.
const SMALL: u64 = 4096;
const SMALLEST: u64 = 1024;

/// How much more memory a large tree may cost than ten files, in MiB: a buffer here and there, but
/// nothing that grows with the tree.
const SLACK: f64 = 8.0;

const NO_TREES: &str = "get -r is not in this build";

/// Everybody with 10,000 files of 4 KiB.
pub(crate) fn few(cast: &Cast, amount: Amount) -> Section {
    let mut section =
        Section::new(format!("get of {} files of {}", count(amount.files), cli::size(SMALL)));
    let rounds = amount.rounds.min(3);
    cast.stage.tree("tree", amount.files, SMALL as usize);
    let moved =
        moves::in_turns(cast, &Job::tree("tree", amount.files, amount.files * SMALL), rounds);
    cast.stage.remove("tree");
    section.tables.push(table(&moved, amount.files));
    section.notes.push(format!("Medians of {rounds} rounds. curl takes no folders."));
    let groups = moved
        .iter()
        .map(|one| (one.peer.name().to_owned(), vec![amount.files as f64 / one.seconds]));
    section.plots.push(Plot {
        name: "files-a-second",
        title: format!("{} files of {}", count(amount.files), cli::size(SMALL)),
        shape: Shape::Bars { unit: "files/s", series: vec![""], groups: groups.collect() },
    });
    let reached = match (moves::of(&moved, Peer::Quiver), moves::of(&moved, Peer::Tar)) {
        (Some(quiver), Some(tar)) => Ok(quiver.seconds / tar.seconds),
        (None, _) => Err(NO_TREES.to_owned()),
        (_, None) => Err("tar did not take part".to_owned()),
    };
    if !cast.abilities.trees {
        section.notes.push(format!("quiver: {NO_TREES}."));
    }
    let what = format!("{} files of 4 KiB: time over {}", count(amount.files), Peer::Tar.name());
    section.goal(what, Bound::AtMost(1.0), "", reached);
    section
}

/// Quiver with 200,000 files of 1 KiB, and its memory for them beside its memory for ten.
pub(crate) fn many(cast: &Cast, amount: Amount) -> Section {
    let mut section =
        Section::new(format!("get of {} files of {}", count(amount.many), cli::size(SMALLEST)));
    let rate = format!("{} files of 1 KiB", count(amount.many));
    let memory = format!("{rate}: memory of each end beyond that for 10 files");
    if !cast.abilities.trees {
        section.notes.push(format!("quiver: {NO_TREES}."));
        section.goal(rate, Bound::AtLeast(5000.0), " files/s", Err(NO_TREES.to_owned()));
        section.goal(memory, Bound::AtMost(SLACK), " MiB", Err(NO_TREES.to_owned()));
        return section;
    }
    let once = |files: u64| {
        cast.stage.tree("many", files, SMALLEST as usize);
        let job = Job::tree("many", files, files * SMALLEST);
        let moved = moves::once(cast, Peer::Quiver, &job, false);
        let tar = cast.able(&job).contains(&Peer::Tar);
        let tar = tar.then(|| moves::once(cast, Peer::Tar, &job, false));
        cast.stage.remove("many");
        (Moved::of(Peer::Quiver, &[moved]), tar.map(|tar| Moved::of(Peer::Tar, &[tar])))
    };
    let (ten, _) = once(10);
    let (many, tar) = once(amount.many);
    let moved: Vec<Moved> = [Some(many), tar].into_iter().flatten().collect();
    section.tables.push(table(&moved, amount.many));
    section.notes.push(format!(
        "One round. For 10 files quiver's client had {} MiB and its server {} MiB.",
        figure(ten.client_memory),
        figure(ten.server_memory)
    ));
    let more = (many.client_memory - ten.client_memory).max(many.server_memory - ten.server_memory);
    let a_second = amount.many as f64 / many.seconds;
    section.goal(rate, Bound::AtLeast(5000.0), " files/s", Ok(a_second));
    section.goal(memory, Bound::AtMost(SLACK), " MiB", Ok(more.max(0.0)));
    section
}

fn table(moved: &[Moved], files: u64) -> Table {
    let mut table =
        Table::new(&["", "seconds", "files/s", "CPU-s, both ends", "client MiB", "server MiB"]);
    for one in moved {
        table.row([
            one.peer.name().to_owned(),
            figure(one.seconds),
            figure(files as f64 / one.seconds),
            figure(one.processor),
            figure(one.client_memory),
            figure(one.server_memory),
        ]);
    }
    table
}
