//! The binary `quiver`: hands the command line and the environment to the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Keeps the memory of the last packets for the next ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_cli::run::run(std::env::args_os(), |name| std::env::var_os(name))
}
