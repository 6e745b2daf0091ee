//! A get or put of one large file: rate, processor time and memory.

use crate::cli::{self, Workload};
use crate::figure::format_figure;
use crate::measurement::{self, Measurement};
use crate::peers::{Job, Peer, TransferKind};
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

const GIB: f64 = (1_u64 << 30) as f64;

pub(crate) fn measure(testbed: &Testbed, workload: Workload, kind: TransferKind) -> Section {
    let command = command(kind);
    let mut section = Section::new(format!("{command} of {}", cli::format_size(workload.size)));
    if kind == TransferKind::Put && !testbed.features.put {
        section.notes.push("put: not in this build.".to_owned());
        goals(&mut section, kind, Err("put is not in this build".to_owned()));
        return section;
    }
    testbed.work_folder.create_file("large", workload.size);
    let job = Job::file(kind, "large", workload.size);
    let measurements = measurement::measure_in_turns(testbed, &job, workload.rounds);
    section.tables.push(table(&measurements, workload.size));
    section.notes.push(format!(
        "Medians of {} rounds, in which the programs alternate. MB/s: 10^6 bytes a second, from the start of the \
         client's process to its exit. Memory: the maximum of all rounds, summed over the processes of an end.",
        workload.rounds
    ));
    section.notes.push(
        "Quiver and sendme verify a hash of the content before they report success; the others rely on their \
         encryption. sendme hashes the content before the clock starts, and runs the same way for get and put."
            .to_owned(),
    );
    goals(&mut section, kind, Ok(&measurements));
    section
}

fn command(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Get => "get",
        TransferKind::Put => "put",
    }
}

fn table(measurements: &[Measurement], size: u64) -> Table {
    let mut table = Table::new(&[
        "",
        "MB/s",
        "CPU-s/GiB, both ends",
        "client MiB",
        "server MiB",
        "quiver / peer",
    ]);
    let quiver = measurement::find(measurements, Peer::Quiver);
    for measurement in measurements {
        let ratio = quiver
            .filter(|_| measurement.peer != Peer::Quiver)
            .map(|quiver| measurement.seconds / quiver.seconds);
        table.row([
            measurement.peer.name().to_owned(),
            format_figure(size as f64 / 1e6 / measurement.seconds),
            format_figure(measurement.processor * GIB / size as f64),
            format_figure(measurement.client_memory),
            format_figure(measurement.server_memory),
            ratio.map_or_else(String::new, format_figure),
        ]);
    }
    table
}

fn goals(section: &mut Section, kind: TransferKind, measurements: Result<&[Measurement], String>) {
    let find = |peer: Peer| match &measurements {
        Err(reason) => Err(reason.clone()),
        Ok(measurements) => measurement::find(measurements, peer)
            .ok_or_else(|| format!("{} was not measured", peer.name())),
    };
    let compare = |peer, ratio: fn(&Measurement, &Measurement) -> f64| {
        Ok(ratio(find(Peer::Quiver)?, find(peer)?))
    };
    let command = command(kind);
    let rates = [(Peer::Curl, 1.0), (Peer::ScpFast, 2.0), (Peer::Qcp, 2.0), (Peer::Sendme, 5.0)];
    for (peer, least) in rates {
        let reached = compare(peer, |quiver, peer| peer.seconds / quiver.seconds);
        section.goal(
            format!("{command}: rate over {}", peer.name()),
            Bound::AtLeast(least),
            "",
            reached,
        );
    }
    let reached = compare(Peer::ScpFast, |quiver, peer| quiver.processor / peer.processor);
    let what = format!("{command}: processor time, both ends, over {}", Peer::ScpFast.name());
    section.goal(what, Bound::AtMost(0.6), "", reached);
}
