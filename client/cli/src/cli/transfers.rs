//! The arguments of the commands about transfers of all programs of this user.

use std::path::PathBuf;

use clap::Args;
use quiver_control::TransferSelector;

use super::RetryArgs;

/// `transfers`
#[derive(Debug, Args)]
pub struct TransfersArgs {
    /// Forget transfers that are not running, and remove their partial files
    #[arg(long, conflicts_with = "watch")]
    pub clean: bool,
    /// Show running transfers as they change, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Print one JSON object per transfer; with --watch, one for each change
    #[arg(long)]
    pub json: bool,
}

/// `pause N`
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Number of the transfer, as quiver transfers shows it, or PID:NUMBER
    #[arg(value_name = "N")]
    pub transfer: TransferSelector,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `cancel N`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Number of the transfer, as quiver transfers shows it, or PID:NUMBER
    #[arg(value_name = "N")]
    pub transfer: TransferSelector,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `resume N`, `resume [PATH]`
#[derive(Debug, Args)]
#[command(override_usage = "quiver resume [OPTIONS] N\n       quiver resume [OPTIONS] [PATH]")]
pub struct ResumeArgs {
    /// Number of a paused transfer, or the path on the server or the local path of an unfinished
    /// one, such as ./3 for a file called 3 [default: all unfinished ones]
    #[arg(value_name = "N|PATH")]
    pub path: Option<PathBuf>,
    /// Print one JSON object per received or stored file
    #[arg(long)]
    pub json: bool,
    /// Retries.
    #[command(flatten)]
    pub retry: RetryArgs,
}

impl ResumeArgs {
    /// The paused transfer that is resumed; `None` if unfinished ones are.
    #[must_use]
    pub fn paused(&self) -> Option<TransferSelector> {
        self.path.as_ref()?.to_str()?.parse().ok()
    }
}
