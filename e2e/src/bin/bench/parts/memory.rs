//! What Quiver holds in memory, and how soon a file of any size begins to arrive.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::cast::Cast;
use crate::cli::{self, Amount};
use crate::figure::figure;
use crate::moves;
use crate::peers::{Call, Direction, Job, Peer};
use crate::report::{Bound, Section, Table};
use crate::stage::{FILES, QuiverServer, Stage};
use crate::wire::{Member, block_on};

/// Gets of one member at once.
const GETS: usize = 16;

/// A file whose end nobody waits for.
const ENDLESS: u64 = 100 << 30;

/// A file larger than most memories.
const LARGE: u64 = 20 << 30;

/// The server's memory for 16 gets of one member.
pub(crate) fn gets(cast: &Cast, amount: Amount) -> Section {
    let mut section = Section::new(format!("{GETS} gets of one member"));
    // Long enough for all of them to be under way together, short enough to wait for.
    let size = amount.size.min(256 << 20);
    cast.stage.file("shared", size);
    // A server of its own: what others asked for before is not in its memory.
    let server =
        QuiverServer::start(&cast.stage, Ipv4Addr::LOCALHOST, &cast.stage.at(FILES), false);
    let certificate = cast.stage.at("certs/server.pem");
    let idle = server.peak_memory();
    let seconds = block_on(async {
        let member = Member::join(server.address, &certificate).await;
        let began = Instant::now();
        let mut gets = JoinSet::new();
        for _ in 0..GETS {
            let member = member.clone();
            gets.spawn(async move { member.get("shared", |_| {}).await });
        }
        gets.join_all().await;
        let seconds = began.elapsed().as_secs_f64();
        member.leave().await;
        seconds
    });
    let peak = server.peak_memory();
    cast.stage.remove("shared");
    let rate = (size * GETS as u64) as f64 / 1e6 / seconds;
    let mut table = Table::new(&["", "server MiB, idle", "at most", "MB/s, all gets"]);
    table.row([format!("{GETS} gets"), figure(idle), figure(peak), figure(rate)]);
    section.tables.push(table);
    let what = format!("server's memory for {GETS} gets of one member");
    section.goal(what, Bound::AtMost(96.0), " MiB", Ok(peak));
    section
}

/// How soon a sparse file of 100 GiB begins to arrive.
pub(crate) fn first_byte(cast: &Cast) -> Section {
    let mut section =
        Section::new(format!("first byte of a sparse file of {}", cli::size(ENDLESS)));
    sparse(&cast.stage.at(FILES).join("endless"), ENDLESS);
    let certificate = cast.stage.at("certs/server.pem");
    let seconds = block_on(async {
        let began = Instant::now();
        let member = Member::join(cast.quiver.address, &certificate).await;
        let joined = began.elapsed().as_secs_f64();
        member.first_byte("endless").await;
        let first = began.elapsed().as_secs_f64();
        member.leave().await;
        (joined, first)
    });
    cast.stage.remove("endless");
    let mut table = Table::new(&["", "seconds"]);
    table.row(["connected and signed in".to_owned(), figure(seconds.0)]);
    table.row(["the first byte".to_owned(), figure(seconds.1)]);
    section.tables.push(table);
    section.notes.push("From before the handshake.".to_owned());
    let what = format!("first byte of {}", cli::size(ENDLESS));
    section.goal(what, Bound::AtMost(0.5), " s", Ok(seconds.1));
    section
}

/// The client's memory for a sparse file of 20 GiB that it stores on a disk.
pub(crate) fn disk(folder: Option<&Path>) -> Section {
    let mut section =
        Section::new(format!("get of a sparse file of {}, on a disk", cli::size(LARGE)));
    let what = format!("client's memory for a sparse file of {}", cli::size(LARGE));
    let Some(folder) = folder else {
        let reason = "it takes minutes, and --disk DIR".to_owned();
        section.notes.push(format!("Not measured: {reason}."));
        section.goal(what, Bound::AtMost(64.0), " MiB", Err(reason));
        return section;
    };
    let stage = Stage::new(folder);
    sparse(&stage.at(FILES).join("sparse"), LARGE);
    let server = QuiverServer::start(&stage, Ipv4Addr::LOCALHOST, &stage.at(FILES), false);
    let job = Job::file(Direction::Get, "sparse", LARGE);
    let command = Call::to_quiver(&job, &stage, server.address).command(Peer::Quiver);
    let sample = moves::run(&stage, command, server.id(), || {});
    let arrived = fs::metadata(stage.at("got/sparse")).unwrap().len();
    assert_eq!(arrived, LARGE, "the sparse file did not arrive whole");
    let mut table = Table::new(&["", "MB/s", "client MiB", "server MiB"]);
    table.row([
        "from a disk to the same disk".to_owned(),
        figure(LARGE as f64 / 1e6 / sample.seconds),
        figure(sample.client_memory),
        figure(sample.server_memory),
    ]);
    section.tables.push(table);
    section.goal(what, Bound::AtMost(64.0), " MiB", Ok(sample.client_memory));
    section
}

/// A file of zeros that takes no room.
fn sparse(path: &Path, size: u64) {
    fs::File::create(path).unwrap().set_len(size).unwrap();
}
