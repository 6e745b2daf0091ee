//! The binary `quiver-server`: parses its arguments and runs the command.

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};
use mimalloc::MiMalloc;
use quiver_manual::UsageError;
use quiver_server::cli::ServerArgs;
use quiver_server::manual::MANUAL;
use quiver_server::output;

/// Reuses the memory of freed packets for new ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_server::cli::run(parse())
}

/// Parses the command line. Ends the program with the help or with a usage error.
fn parse() -> ServerArgs {
    let mut program = MANUAL.add_to_help(ServerArgs::command());
    let matches = program.try_get_matches_from_mut(std::env::args_os());
    let parsed = matches.and_then(|matches| {
        ServerArgs::from_arg_matches(&matches).map_err(|error| error.format(&mut program))
    });
    parsed.unwrap_or_else(|error| {
        let names_json = std::env::args_os().any(|word| word == "--json");
        if !names_json || !error.use_stderr() {
            error.exit();
        }
        let UsageError { what, hint } = UsageError::parse(&error.render().to_string());
        output::usage_error(&what, hint.as_deref());
        std::process::exit(error.exit_code());
    })
}
