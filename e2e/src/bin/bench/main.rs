//! Measures Quiver and its peers on this machine, in alternation: tables, ratios, and whether the goals are
//! reached.
//!
//! Uses the programs as their users do: processes, files, and Quiver's protocol on a connection.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | the command line |
//! | `testbed` | the installed peers, and their servers |
//! | `peers` | the programs and their command lines |
//! | `measurement` | time, processor time and memory of one transfer |
//! | `benchmarks` | the benchmarks, one file each |
//! | `paths` | measurements on emulated long and lossy paths |
//! | `bench_client` | a client of Quiver's protocol, for measurements that no program reports |
//! | `library_client` | a client of Quiver's library, which does several things on one connection |
//! | `fixtures`, `child_process`, `proc` | folders, servers, processes, the kernel's accounting of them |
//! | `test_network` | a network with the MTU of an Ethernet |
//! | `report`, `plot`, `figure`, `document`, `machine` | the report |

#![expect(clippy::print_stdout, reason = "a benchmark's product is what it prints")]
#![expect(clippy::print_stderr, reason = "progress, beside the product")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that fails stops")]

mod bench_client;
mod benchmarks;
mod child_process;
mod cli;
mod document;
mod figure;
mod fixtures;
mod library_client;
mod machine;
mod measurement;
mod paths;
mod peers;
mod plot;
mod proc;
mod report;
mod test_network;
mod testbed;

use std::process::ExitCode;

use clap::{Parser as _, ValueEnum as _};
use mimalloc::MiMalloc;

use crate::cli::{BenchArgs, PathsArgs};
use crate::fixtures::WorkFolder;
use crate::report::{Goal, Section};
use crate::testbed::Testbed;

/// That of the measured programs, for the clients in this process.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = BenchArgs::parse();
    if cli.write {
        document::check();
    }
    child_process::install_cleanup();
    if let Some(paths) = cli.paths() {
        return measure_paths(&cli, &paths);
    }
    let testbed = Testbed::start(WorkFolder::new(&cli.folder), cli.own_network);
    for row in machine::describe().rows {
        println!("{}", row.join(": "));
    }
    println!("versions: {}\n", testbed.versions.join("; "));
    for missing in &testbed.skipped {
        println!("SKIPPED  {missing}");
    }
    let mut sections = Vec::new();
    benchmarks::measure(
        &cli,
        &testbed,
        |benchmark| {
            let name = benchmark.to_possible_value();
            eprintln!("... {}", name.as_ref().map_or("", |name| name.get_name()));
        },
        |section| {
            print_section(&section);
            sections.push(section);
        },
    );
    if cli.write {
        document::write(&testbed, &sections);
    }
    conclude(&sections, cli.check)
}

fn measure_paths(cli: &BenchArgs, paths: &PathsArgs) -> ExitCode {
    for row in machine::describe().rows {
        println!("{}", row.join(": "));
    }
    let mut sections = Vec::new();
    let measured = paths::measure(paths, WorkFolder::new(&cli.folder), |section| {
        print_section(&section);
        sections.push(section);
    });
    if let Err(missing) = measured {
        eprintln!("error: no path can be emulated: {missing}");
        return ExitCode::FAILURE;
    }
    conclude(&sections, cli.check)
}

/// Prints the goals, and fails if one is missed and `check` is set.
fn conclude(sections: &[Section], check: bool) -> ExitCode {
    let goals: Vec<&Goal> = sections.iter().flat_map(|section| &section.goals).collect();
    println!("goals\n{}", report::goals(goals.iter().copied()).text());
    let missed: Vec<_> =
        goals.iter().filter(|goal| goal.is_missed()).map(|goal| goal.name.as_str()).collect();
    if check && !missed.is_empty() {
        println!("missed: {}", missed.join("; "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn print_section(section: &Section) {
    println!("{}", section.title);
    for table in &section.tables {
        print!("{}", table.text());
    }
    for note in &section.notes {
        println!("  {note}");
    }
    println!();
}
