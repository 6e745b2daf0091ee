//! The binary `quiver-server`: parses its arguments and runs the command.

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;
use quiver_server::cli::ServerArgs;

/// Reuses the memory of freed packets for new ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_server::cli::run(ServerArgs::parse())
}
