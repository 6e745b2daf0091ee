//! The binary `quiver-server`: parses its arguments and runs the command.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use mimalloc::MiMalloc;
use quiver_server::cli::ServerArgs;
use quiver_server::manual::MANUAL;

/// Reuses the memory of freed packets for new ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_server::cli::run(parse())
}

/// Parses the command line. Ends the program with the help or with a usage error.
fn parse() -> ServerArgs {
    let mut program = MANUAL.add_to_help(ServerArgs::command());
    let parsed = ServerArgs::from_arg_matches(&program.get_matches_mut());
    parsed.unwrap_or_else(|error| error.format(&mut program).exit())
}
