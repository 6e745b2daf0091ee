//! The binary `quiver-server`: reads what was typed, and does it.

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;
use quiver_server::cli::ServerArgs;

/// Keeps the memory of the last packets for the next ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_server::cli::run(ServerArgs::parse())
}
