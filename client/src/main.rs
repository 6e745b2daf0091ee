//! The binary `quiver`: hands the command line and the environment to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    quiver_client::run::run(std::env::args_os(), |name| std::env::var_os(name))
}
