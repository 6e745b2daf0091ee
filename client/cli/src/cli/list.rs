//! The arguments of `list`.

use clap::{Args, ValueEnum};

/// `list [PATH]`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Folder to list, or a pattern such as '*.txt' and 'notes/20??/*' [default: the server's root]
    #[arg(default_value = "", hide_default_value = true)]
    pub path: String,
    /// Show size and time of each entry, and totals
    #[arg(long, short)]
    pub long: bool,
    /// Include everything in the folders
    #[arg(long, short)]
    pub recursive: bool,
    /// Sort all entries: by name, the largest first, or the newest first
    #[arg(long, value_name = "ORDER")]
    pub sort: Option<ListOrder>,
    /// Reverse the order
    #[arg(long)]
    pub reverse: bool,
    /// Print one JSON object per entry
    #[arg(long)]
    pub json: bool,
}

/// An order of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListOrder {
    /// By path.
    Name,
    /// The largest first.
    Size,
    /// The newest first.
    Time,
}
