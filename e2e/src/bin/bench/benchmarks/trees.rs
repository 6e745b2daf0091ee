//! Many small files: files a second, compared with programs that pack them into one stream.

use crate::cli::{self, Workload, format_count};
use crate::figure::format_figure;
use crate::measurement::{self, Measurement};
use crate::peers::{Job, Peer};
use crate::plot::{Plot, Shape};
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

/// Bytes of each file.
const SMALL: u64 = 4096;
const SMALLEST: u64 = 1024;

/// Additional memory of a large tree over ten files, in MiB: some buffers, but nothing that grows with the
/// tree.
const MAX_ADDED_MEMORY: f64 = 8.0;

const NO_TREES: &str = "get -r is not in this build";

/// All peers with 10,000 files of 4 KiB.
pub(crate) fn compare_peers(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new(format!(
        "get of {} files of {}",
        format_count(workload.files),
        cli::format_size(SMALL)
    ));
    let rounds = workload.rounds.min(3);
    testbed.work_folder.create_tree("tree", workload.files, SMALL as usize);
    let measurements = measurement::measure_in_turns(
        testbed,
        &Job::tree("tree", workload.files, workload.files * SMALL),
        rounds,
    );
    testbed.work_folder.remove("tree");
    section.tables.push(table(&measurements, workload.files));
    section.notes.push(format!("Medians of {rounds} rounds. curl cannot transfer folders."));
    let groups = measurements.iter().map(|measurement| {
        (measurement.peer.name().to_owned(), vec![workload.files as f64 / measurement.seconds])
    });
    section.plots.push(Plot {
        name: "files-a-second",
        title: format!("{} files of {}", format_count(workload.files), cli::format_size(SMALL)),
        shape: Shape::Bars { unit: "files/s", series: vec![""], groups: groups.collect() },
    });
    let reached = match (
        measurement::find(&measurements, Peer::Quiver),
        measurement::find(&measurements, Peer::Tar),
    ) {
        (Some(quiver), Some(tar)) => Ok(quiver.seconds / tar.seconds),
        (None, _) => Err(NO_TREES.to_owned()),
        (_, None) => Err("tar was not measured".to_owned()),
    };
    if !testbed.features.trees {
        section.notes.push(format!("quiver: {NO_TREES}."));
    }
    let what =
        format!("{} files of 4 KiB: time over {}", format_count(workload.files), Peer::Tar.name());
    section.goal(what, Bound::AtMost(1.0), "", reached);
    section
}

/// Quiver with 200,000 files of 1 KiB, and its memory compared with ten files.
pub(crate) fn many_files(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new(format!(
        "get of {} files of {}",
        format_count(workload.many),
        cli::format_size(SMALLEST)
    ));
    let rate = format!("{} files of 1 KiB", format_count(workload.many));
    let memory = format!("{rate}: memory of each end above that for 10 files");
    if !testbed.features.trees {
        section.notes.push(format!("quiver: {NO_TREES}."));
        section.goal(rate, Bound::AtLeast(5000.0), " files/s", Err(NO_TREES.to_owned()));
        section.goal(memory, Bound::AtMost(MAX_ADDED_MEMORY), " MiB", Err(NO_TREES.to_owned()));
        return section;
    }
    let measure = |files: u64| {
        testbed.work_folder.create_tree("many", files, SMALLEST as usize);
        let job = Job::tree("many", files, files * SMALLEST);
        let sample = measurement::measure_once(testbed, Peer::Quiver, &job, false);
        let tar = testbed.peers_for(&job).contains(&Peer::Tar);
        let tar = tar.then(|| measurement::measure_once(testbed, Peer::Tar, &job, false));
        testbed.work_folder.remove("many");
        (
            Measurement::from_samples(Peer::Quiver, &[sample]),
            tar.map(|tar| Measurement::from_samples(Peer::Tar, &[tar])),
        )
    };
    let (ten, _) = measure(10);
    let (many, tar) = measure(workload.many);
    let measurements: Vec<Measurement> = [Some(many), tar].into_iter().flatten().collect();
    section.tables.push(table(&measurements, workload.many));
    section.notes.push(format!(
        "One round. For 10 files quiver's client used {} MiB and its server {} MiB.",
        format_figure(ten.client_memory),
        format_figure(ten.server_memory)
    ));
    let added =
        (many.client_memory - ten.client_memory).max(many.server_memory - ten.server_memory);
    let files_per_second = workload.many as f64 / many.seconds;
    section.goal(rate, Bound::AtLeast(5000.0), " files/s", Ok(files_per_second));
    section.goal(memory, Bound::AtMost(MAX_ADDED_MEMORY), " MiB", Ok(added.max(0.0)));
    section
}

fn table(measurements: &[Measurement], files: u64) -> Table {
    let mut table =
        Table::new(&["", "seconds", "files/s", "CPU-s, both ends", "client MiB", "server MiB"]);
    for measurement in measurements {
        table.row([
            measurement.peer.name().to_owned(),
            format_figure(measurement.seconds),
            format_figure(files as f64 / measurement.seconds),
            format_figure(measurement.processor),
            format_figure(measurement.client_memory),
            format_figure(measurement.server_memory),
        ]);
    }
    table
}
