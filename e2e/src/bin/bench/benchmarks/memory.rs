//! Quiver's memory, and the time to the first byte of a file.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::bench_client::{BenchClient, block_on};
use crate::cli::{self, Workload};
use crate::figure::format_figure;
use crate::fixtures::{FILES, QuiverServer, WorkFolder};
use crate::measurement;
use crate::peers::{Invocation, Job, Peer, TransferKind};
use crate::report::{Bound, Section, Table};
use crate::testbed::Testbed;

/// Gets of one member at once.
const GETS: usize = 16;

/// Bytes of the file whose first byte is timed.
const HUGE: u64 = 100 << 30;

/// Bytes of a file larger than most machines' memory.
const LARGE: u64 = 20 << 30;

/// The server's memory for 16 gets of one member.
pub(crate) fn concurrent_gets(testbed: &Testbed, workload: Workload) -> Section {
    let mut section = Section::new(format!("{GETS} gets of one member"));
    // Large enough that all gets run at the same time, small enough to be quick.
    let size = workload.size.min(256 << 20);
    testbed.work_folder.create_file("shared", size);
    // A new server, whose memory does not include earlier requests.
    let server = QuiverServer::start(
        &testbed.work_folder,
        Ipv4Addr::LOCALHOST,
        &testbed.work_folder.path(FILES),
        false,
    );
    let certificate = testbed.work_folder.path("certs/server.pem");
    let idle = server.peak_memory();
    let seconds = block_on(async {
        let client = BenchClient::sign_in(server.address, &certificate).await;
        let started = Instant::now();
        let mut gets = JoinSet::new();
        for _ in 0..GETS {
            let client = client.clone();
            gets.spawn(async move { client.get("shared", |_| {}).await });
        }
        gets.join_all().await;
        let seconds = started.elapsed().as_secs_f64();
        client.close().await;
        seconds
    });
    let peak = server.peak_memory();
    testbed.work_folder.remove("shared");
    let rate = (size * GETS as u64) as f64 / 1e6 / seconds;
    let mut table = Table::new(&["", "server MiB, idle", "peak", "MB/s, all gets"]);
    table.row([
        format!("{GETS} gets"),
        format_figure(idle),
        format_figure(peak),
        format_figure(rate),
    ]);
    section.tables.push(table);
    let what = format!("server's memory for {GETS} gets of one member");
    section.goal(what, Bound::AtMost(96.0), " MiB", Ok(peak));
    section
}

/// The time to the first byte of a sparse file of 100 GiB.
pub(crate) fn first_byte(testbed: &Testbed) -> Section {
    let mut section =
        Section::new(format!("first byte of a sparse file of {}", cli::format_size(HUGE)));
    create_sparse_file(&testbed.work_folder.path(FILES).join("huge"), HUGE);
    let certificate = testbed.work_folder.path("certs/server.pem");
    let seconds = block_on(async {
        let started = Instant::now();
        let client = BenchClient::sign_in(testbed.quiver.address, &certificate).await;
        let signed_in = started.elapsed().as_secs_f64();
        client.wait_for_first_byte("huge").await;
        let first = started.elapsed().as_secs_f64();
        client.close().await;
        (signed_in, first)
    });
    testbed.work_folder.remove("huge");
    let mut table = Table::new(&["", "seconds"]);
    table.row(["connected and signed in".to_owned(), format_figure(seconds.0)]);
    table.row(["the first byte".to_owned(), format_figure(seconds.1)]);
    section.tables.push(table);
    section.notes.push("Measured from before the handshake.".to_owned());
    let what = format!("first byte of {}", cli::format_size(HUGE));
    section.goal(what, Bound::AtMost(0.5), " s", Ok(seconds.1));
    section
}

/// The client's memory while it stores a sparse file of 20 GiB on a disk.
pub(crate) fn disk(folder: Option<&Path>) -> Section {
    let mut section =
        Section::new(format!("get of a sparse file of {}, on a disk", cli::format_size(LARGE)));
    let what = format!("client's memory for a sparse file of {}", cli::format_size(LARGE));
    let Some(folder) = folder else {
        let reason = "it requires --disk DIR and takes minutes".to_owned();
        section.notes.push(format!("Not measured: {reason}."));
        section.goal(what, Bound::AtMost(64.0), " MiB", Err(reason));
        return section;
    };
    let work_folder = WorkFolder::new(folder);
    create_sparse_file(&work_folder.path(FILES).join("sparse"), LARGE);
    let server =
        QuiverServer::start(&work_folder, Ipv4Addr::LOCALHOST, &work_folder.path(FILES), false);
    let job = Job::file(TransferKind::Get, "sparse", LARGE);
    let command = Invocation::to_quiver(&job, &work_folder, server.address).command(Peer::Quiver);
    let sample = measurement::run(&work_folder, command, server.id(), || {});
    let received = fs::metadata(work_folder.path("got/sparse")).unwrap().len();
    assert_eq!(received, LARGE, "the sparse file was not received completely");
    let mut table = Table::new(&["", "MB/s", "client MiB", "server MiB"]);
    table.row([
        "from a disk to the same disk".to_owned(),
        format_figure(LARGE as f64 / 1e6 / sample.seconds),
        format_figure(sample.client_memory),
        format_figure(sample.server_memory),
    ]);
    section.tables.push(table);
    section.goal(what, Bound::AtMost(64.0), " MiB", Ok(sample.client_memory));
    section
}

/// Creates a file of zeros that takes no space.
fn create_sparse_file(path: &Path, size: u64) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
}
