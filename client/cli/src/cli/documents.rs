//! The arguments of the commands that print documents.

use std::path::PathBuf;

use clap::Args;

/// `man [COMMAND]`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Command to describe, as in send or contacts block [default: quiver itself]
    pub command: Vec<String>,
    /// Folder to store the page in, made if it is missing; without a command, all pages are stored
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
}
