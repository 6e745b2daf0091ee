//! The arguments of the commands that change files of the server.

use clap::Args;

/// `rm PATH...`
#[derive(Debug, Args)]
pub struct RmArgs {
    /// Files or empty folders on the server. Patterns such as '*.txt' and 'notes/20??/*' match
    /// files, and with -r folders too
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Remove folders and everything in them
    #[arg(long, short)]
    pub recursive: bool,
    /// Remove without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Print one JSON object per removed path
    #[arg(long)]
    pub json: bool,
}

/// `mv FROM TO`
#[derive(Debug, Args)]
pub struct MvArgs {
    /// File or folder on the server
    pub from: String,
    /// New path, or folder to move it into
    pub to: String,
    /// Replace an existing file
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `mkdir PATH...`
#[derive(Debug, Args)]
pub struct MkdirArgs {
    /// Folders to make; missing parent folders are made too
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Accept folders that exist already
    #[arg(long, short)]
    pub parents: bool,
    /// Print one JSON object per folder
    #[arg(long)]
    pub json: bool,
}
