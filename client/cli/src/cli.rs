//! The command line as clap parses it. [`config`](crate::config) combines it with the other sources of settings.

mod change;
mod documents;
mod json;
mod list;
mod peers;
mod transfers;
mod trust;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use quiver_protocol::ClientName;

use quiver_client::request::{ConflictPolicy, TransferOptions};
use quiver_client::tree::Decision;
use quiver_transfer::Rate;
use quiver_transport::CongestionControl;

pub use self::change::{MkdirArgs, MvArgs, RmArgs};
pub use self::documents::ManArgs;
pub use self::list::{ListArgs, ListOrder};
pub use self::peers::{
    AcceptArgs, ContactArgs, ContactsAction, ContactsArgs, DeclineArgs, OfferConflictArgs,
    OffersArgs, PathArgs, PeersArgs, ReceiveArgs, SendArgs, TellArgs, VerifyArgs,
};
pub use self::transfers::{CancelArgs, PauseArgs, ResumeArgs, TransfersArgs};
pub use self::trust::{StatusArgs, TrustAction, TrustArgs};
use crate::server_choice::ServerChoice;
use crate::ui_mode::UiMode;

/// Exchange messages and files with a Quiver server. Without a command, starts the interactive prompt.
#[derive(Debug, Parser)]
#[command(name = "quiver", version, max_term_width = 100)]
pub struct ClientArgs {
    /// Flags of every command.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// Stop at the first failure, where commands are read from standard input
    #[arg(long)]
    pub fail_fast: bool,
    /// As --json of the command, or of each command that is read from standard input
    #[arg(long)]
    pub json: bool,
    /// The command; `None` starts the prompt.
    #[command(subcommand)]
    pub command: Option<CommandArgs>,
}

/// Flags of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// Server to connect to: an address, or an entry of config.toml [default: localhost:4433]
    #[arg(long, global = true, value_name = "HOST[:PORT]|ENTRY")]
    pub server: Option<ServerChoice>,
    /// Trust only the server with this certificate. Without it, you confirm the server's
    /// fingerprint once, and it is remembered
    #[arg(long, global = true, value_name = "PEM")]
    pub cert: Option<PathBuf>,
    /// Your client name [default: asked for at a terminal, otherwise your login name]
    #[arg(long, global = true, value_parser = ClientName::parse)]
    pub name: Option<ClientName>,
    /// Read your password from this file, which only you may read. Without it, you are asked
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Give up connecting after this long, and a command when the server sends nothing for this long
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Reach other clients over the server's relay only, so that none of them learns your address
    #[arg(long, global = true, conflicts_with = "direct_only")]
    pub relay_only: bool,
    /// Reach other clients directly only, and fail where the networks do not allow it
    #[arg(long, global = true)]
    pub direct_only: bool,
    /// Congestion control of what is sent: from a model of the path, which random losses hardly slow
    /// down, or CUBIC; auto takes CUBIC on this machine and the model elsewhere [default: auto]
    #[arg(long, global = true, value_name = "CONTROL", value_parser = congestion_control())]
    pub congestion: Option<CongestionControl>,
    /// Print only data and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say how the connection is made, and how transfers end
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

fn congestion_control() -> impl TypedValueParser<Value = CongestionControl> {
    let names = CongestionControl::ALL.map(CongestionControl::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<CongestionControl>())
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Send a message and print the server's reply
    Message(MessageArgs),
    /// List connected clients and earlier ones
    Status(StatusArgs),
    /// List files on the server
    List(ListArgs),
    /// Fetch files; interrupted downloads resume
    Get(GetArgs),
    /// Resume a paused transfer of any of your programs, or unfinished transfers
    Resume(ResumeArgs),
    /// List running transfers of all your programs, and unfinished ones
    Transfers(TransfersArgs),
    /// Pause a running transfer of any of your programs
    Pause(PauseArgs),
    /// Cancel a running transfer of any of your programs
    Cancel(CancelArgs),
    /// Store files on the server; interrupted uploads resume
    Put(PutArgs),
    /// Remove files and folders on the server
    Rm(RmArgs),
    /// Move or rename a file or folder on the server
    Mv(MvArgs),
    /// Make folders on the server
    Mkdir(MkdirArgs),
    /// Send a message to another client
    Tell(TellArgs),
    /// Offer files to another client, and send them once it accepts
    Send(SendArgs),
    /// Wait for offers of other clients, and store their files
    Receive(ReceiveArgs),
    /// List offers from and to other clients
    Offers(OffersArgs),
    /// Accept an offer and store its files
    Accept(AcceptArgs),
    /// Decline an offer
    Decline(DeclineArgs),
    /// List other connected clients, and whether they can be reached
    Peers(PeersArgs),
    /// Show how the connection with another client runs
    Path(PathArgs),
    /// Compare keys with another client to detect an impostor
    Verify(VerifyArgs),
    /// List known clients and their keys, forget or block them
    Contacts(ContactsArgs),
    /// List known servers and their keys, or forget one
    Trust(TrustArgs),
    /// Serve a page in the browser of this computer, and open it
    Gui(GuiArgs),
    /// Print a completion script for a shell
    Completions {
        /// Shell that runs the script
        shell: clap_complete::Shell,
    },
    /// Print a man page, or store all of them in a folder
    Man(ManArgs),
}

/// `message TEXT`
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// Text to send
    pub text: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `gui`
#[derive(Debug, Args)]
#[command(after_help = GUI_HELP)]
pub struct GuiArgs {
    /// Only print the link, and open no browser
    #[arg(long)]
    pub no_open: bool,
    /// Print the link as a JSON object
    #[arg(long)]
    pub json: bool,
    /// Space for files that are dropped on the page, at most half of the free space
    #[arg(long, value_name = "SIZE", default_value = "10GB", value_parser = parse_size)]
    pub spool_limit: u64,
}

/// Parses a size like `512`, `10MB` or `1GiB`.
fn parse_size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "expected a size like 512, 10MB or 1GiB".to_owned())
}

const GUI_HELP: &str = "\
Only this computer can open the page. A link works once, within a minute; quiver gui prints another \
one while the page runs. Ctrl-C ends it, and quiver resume continues its transfers.";

/// `get PATH...`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Files to fetch, each stored under the last part of its path. Patterns such as '*.txt',
    /// 'notes/20??/*' and '**/*.md' match files on the server; / means all of them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Several files.
    #[command(flatten)]
    pub multiple: MultiFileArgs,
    /// Folder to store them in, or - for standard output [default: the current folder]
    #[arg(long, short, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub output: PathBuf,
    /// Name to store a single file or folder under; its path is then no pattern
    #[arg(long = "as", value_name = "NAME")]
    pub stored_as: Option<String>,
    /// Replace existing files
    #[arg(long)]
    pub overwrite: bool,
    /// Print one JSON object per received file
    #[arg(long)]
    pub json: bool,
    /// Limit the rate of all files together: 10MB/s, 500K, 1.5MiB/s
    #[arg(long, value_name = "RATE")]
    pub limit: Option<Rate>,
    /// Start over instead of resuming an earlier attempt
    #[arg(long)]
    pub no_resume: bool,
    /// Retries.
    #[command(flatten)]
    pub retry: RetryArgs,
}

impl GetArgs {
    /// Whether the content goes to standard output.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.output == Path::new("-")
    }
}

/// Flags for several files, and for those that exist already.
#[derive(Debug, Clone, Default, Args)]
pub struct MultiFileArgs {
    /// Include folders and everything in them
    #[arg(long, short)]
    pub recursive: bool,
    /// Show what would be done with each file, and transfer nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Keep existing files with different content, and store new ones beside them as a (2).txt
    #[arg(long, conflicts_with_all = ["overwrite", "skip"])]
    pub keep_both: bool,
    /// Skip files that exist with different content
    #[arg(long, conflicts_with = "overwrite")]
    pub skip: bool,
}

impl MultiFileArgs {
    /// The transfer options that these flags mean.
    #[must_use]
    pub fn options(&self, overwrite: bool, mode: UiMode) -> TransferOptions {
        let decision = if overwrite {
            Some(Decision::Replace)
        } else if self.keep_both {
            Some(Decision::KeepBoth)
        } else {
            self.skip.then_some(Decision::Skip)
        };
        let undecided = match mode {
            UiMode::OneShot | UiMode::Prompt => ConflictPolicy::Ask,
            UiMode::Batch => ConflictPolicy::Fail,
        };
        TransferOptions {
            recursive: self.recursive,
            dry_run: self.dry_run,
            on_conflict: decision.map_or(undecided, ConflictPolicy::Decided),
            ..TransferOptions::default()
        }
    }
}

/// Flags for transfers whose connection is lost.
#[derive(Debug, Clone, Args)]
pub struct RetryArgs {
    /// How long to try to reconnect after losing the connection, counted from the last progress;
    /// 0 gives up at once
    #[arg(long, alias = "patience", value_name = "SECONDS", default_value_t = 600,
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub retry_timeout: u64,
}

impl RetryArgs {
    /// Sets the retry timeout of `options`, and whether each file is reported.
    #[must_use]
    pub fn apply_to(&self, options: TransferOptions, report_files: bool) -> TransferOptions {
        let retry_for = Duration::from_secs(self.retry_timeout);
        TransferOptions { retry_for, report_files, ..options }
    }
}

/// `put FILE...`
#[derive(Debug, Args)]
pub struct PutArgs {
    /// Files to store, each under its own name; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Several files.
    #[command(flatten)]
    pub multiple: MultiFileArgs,
    /// Folder on the server to store them in [default: its root]
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub to: String,
    /// Name to store a single file under
    #[arg(long = "as", value_name = "NAME")]
    pub stored_as: Option<String>,
    /// Replace existing files on the server
    #[arg(long)]
    pub overwrite: bool,
    /// Start over instead of resuming an earlier attempt
    #[arg(long)]
    pub no_resume: bool,
    /// Retries.
    #[command(flatten)]
    pub retry: RetryArgs,
    /// Limit the rate of all files together: 10MB/s, 500K, 1.5MiB/s
    #[arg(long, value_name = "RATE")]
    pub limit: Option<Rate>,
    /// Print one JSON object per stored file
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests;
