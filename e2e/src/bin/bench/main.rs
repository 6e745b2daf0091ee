//! Measures Quiver beside its peers on this machine, in one alternating run: tables, ratios, and whether
//! the goals are reached.
//!
//! Knows the programs only as their users do: processes, files, and Quiver's protocol on a connection.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | what was typed |
//! | `cast` | who takes part, and the servers |
//! | `peers` | how each program is called |
//! | `moves` | one program moves something: time, processor, memory |
//! | `parts` | what is measured, one file each |
//! | `wire` | Quiver's protocol, for what no program shows |
//! | `stage`, `running`, `proc` | folders, processes, what the kernel says of them |
//! | `report`, `plot`, `figure`, `document`, `machine` | what is said of it all |

#![expect(clippy::print_stdout, reason = "a benchmark's product is what it prints")]
#![expect(clippy::print_stderr, reason = "how far it is, beside the product")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark that cannot go on stops")]

mod cast;
mod cli;
mod document;
mod figure;
mod machine;
mod moves;
mod parts;
mod peers;
mod plot;
mod proc;
mod report;
mod running;
mod stage;
mod wire;

use std::process::ExitCode;

use clap::{Parser as _, ValueEnum as _};

use crate::cast::Cast;
use crate::cli::BenchArgs;
use crate::report::{Goal, Section};
use crate::stage::Stage;

fn main() -> ExitCode {
    let cli = BenchArgs::parse();
    if cli.write {
        document::check();
    }
    running::guard();
    let cast = Cast::assemble(Stage::new(&cli.folder), cli.own_network);
    for row in machine::describe().rows {
        println!("{}", row.join(": "));
    }
    println!("versions: {}\n", cast.versions.join("; "));
    for missing in &cast.left_out {
        println!("LEFT OUT  {missing}");
    }
    let mut sections = Vec::new();
    parts::measure(
        &cli,
        &cast,
        |part| {
            let name = part.to_possible_value();
            eprintln!("... {}", name.as_ref().map_or("", |name| name.get_name()));
        },
        |section| {
            show(&section);
            sections.push(section);
        },
    );
    if cli.write {
        document::write(&cast, &sections);
    }
    let goals: Vec<&Goal> = sections.iter().flat_map(|section| &section.goals).collect();
    println!("goals\n{}", report::goals(goals.iter().copied()).text());
    let missed: Vec<_> =
        goals.iter().filter(|goal| goal.is_missed()).map(|goal| goal.what.as_str()).collect();
    if cli.check && !missed.is_empty() {
        println!("missed: {}", missed.join("; "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn show(section: &Section) {
    println!("{}", section.title);
    for table in &section.tables {
        print!("{}", table.text());
    }
    for note in &section.notes {
        println!("  {note}");
    }
    println!();
}
