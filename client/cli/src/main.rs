//! The binary `quiver`: passes the command line and the environment to the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Reuses the memory of sent packets for new ones (docs/decisions, 7).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    quiver_cli::run::run(std::env::args_os(), |name| std::env::var_os(name))
}
