//! The binary `quiver-server`: reads what was typed, and does it.

use std::process::ExitCode;

use clap::Parser as _;
use quiver_server::cli::Cli;
use quiver_server::output;

fn main() -> ExitCode {
    match quiver_server::cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
