//! What was typed on the command line. What it means is decided in [`config`](crate::config).

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use quiver_protocol::ClientName;

use quiver_client::address::ServerAddress;
use quiver_client::request::{ConflictPolicy, TransferOptions};
use quiver_client::tree::Decision;
use quiver_transfer::Rate;

use crate::ui_mode::UiMode;

/// Talk, list, fetch and store files over one QUIC connection. Without a command: the interactive prompt.
#[derive(Debug, Parser)]
#[command(name = "quiver", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub struct ClientArgs {
    /// What holds for every command.
    #[command(flatten)]
    pub settings: SettingsArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<CommandArgs>,
}

const AFTER_HELP: &str = "\
Defaults come from the environment (QUIVER_SERVER, QUIVER_CERT, QUIVER_NAME), then from \
$XDG_CONFIG_HOME/quiver/config.toml (server, cert, name).

Exit codes: 0 done, 1 other, 2 usage, 3 cannot connect or timed out, 4 wrong server certificate, \
5 sign-in refused, 6 server busy, 7 no such file or client, 8 local disk, 9 content failed \
verification, 10 some of several failed, 130 Ctrl-C, 143 SIGTERM.";

/// Flags that every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// The server [default: localhost:4433]
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub server: Option<ServerAddress>,
    /// The server's certificate: no other server is believed. Without it the server's fingerprint
    /// is confirmed once and remembered
    #[arg(long, global = true, value_name = "PEM")]
    pub cert: Option<PathBuf>,
    /// Your name [default: asked for at a terminal, else the login name]
    #[arg(long, global = true, value_parser = ClientName::parse)]
    pub name: Option<ClientName>,
    /// A file with your password, which only you may read. Without it you are asked
    #[arg(long, global = true, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// The longest silence of the server within a command
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
    /// Say nothing but data and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say on stderr what happens underneath
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum CommandArgs {
    /// Send a message and print the server's answer
    Message(MessageArgs),
    /// Show who is and who was here
    Status(StatusArgs),
    /// List the server's files
    List(ListArgs),
    /// Fetch files, from where an earlier attempt stopped
    Get(GetArgs),
    /// Go on with what is unfinished
    Resume(ResumeArgs),
    /// List what is unfinished
    Transfers(TransfersArgs),
    /// Store files on the server
    Put(PutArgs),
    /// Remove files, or folders with nothing in them
    Rm(RmArgs),
    /// Give a file or folder of the server another path
    Mv(MvArgs),
    /// Make folders on the server
    Mkdir(MkdirArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// The command whose page it is [default: the program's]
        command: Option<String>,
    },
}

/// `message TEXT`
#[derive(Debug, Args)]
pub struct MessageArgs {
    /// The message
    pub text: String,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// One JSON object a client
    #[arg(long)]
    pub json: bool,
}

/// `list [PATH]`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The folder to list [default: the server's root]
    #[arg(default_value = "", hide_default_value = true)]
    pub path: String,
    /// One JSON object an entry
    #[arg(long)]
    pub json: bool,
}

/// `get PATH...`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The files to fetch, each stored under the last part of its path. A pattern like '*.txt',
    /// 'notes/20??/*' or '**/*.md' stands for what the server has of it; / is all of it
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// How many.
    #[command(flatten)]
    pub many: MultiFileArgs,
    /// Where to store them: a folder, or - for standard output
    #[arg(long, short, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub output: PathBuf,
    /// Replace files that exist
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object a file that arrived
    #[arg(long)]
    pub json: bool,
    /// Not faster than this, all files together: 10MB/s, 500K, 1.5MiB/s
    #[arg(long, value_name = "RATE")]
    pub limit: Option<Rate>,
    /// Start over, whatever an earlier attempt has left
    #[arg(long)]
    pub no_resume: bool,
    /// How it holds on.
    #[command(flatten)]
    pub hold: RetryArgs,
}

impl GetArgs {
    /// Whether the content goes to standard output.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.output == Path::new("-")
    }
}

/// Many files at once, and what becomes of those that exist.
#[derive(Debug, Clone, Default, Args)]
pub struct MultiFileArgs {
    /// Folders too, with all that is in them
    #[arg(long, short)]
    pub recursive: bool,
    /// Only show what would be done with each file
    #[arg(long)]
    pub dry_run: bool,
    /// Keep files that exist with other content, and store the new ones beside them: a (2).txt
    #[arg(long, conflicts_with_all = ["overwrite", "skip"])]
    pub keep_both: bool,
    /// Leave files that exist with other content as they are
    #[arg(long, conflicts_with = "overwrite")]
    pub skip: bool,
}

impl MultiFileArgs {
    /// What was typed, as options of a transfer.
    #[must_use]
    pub fn options(&self, overwrite: bool, face: UiMode) -> TransferOptions {
        let decision = if overwrite {
            Some(Decision::Replace)
        } else if self.keep_both {
            Some(Decision::KeepBoth)
        } else {
            self.skip.then_some(Decision::Skip)
        };
        let undecided = match face {
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

/// How a transfer holds on when its connection is lost.
#[derive(Debug, Clone, Args)]
pub struct RetryArgs {
    /// How long to try to connect again when the connection is lost, counted from the last
    /// progress; 0 gives up at once
    #[arg(long, alias = "patience", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub retry_timeout: u64,
}

impl RetryArgs {
    /// The same options, with this; programs are told of each file.
    #[must_use]
    pub fn set(&self, options: TransferOptions, report_files: bool) -> TransferOptions {
        let retry_for = Duration::from_secs(self.retry_timeout);
        TransferOptions { retry_for, report_files, ..options }
    }
}

/// `resume [PATH]`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// One of them: its path on the server, or its file or folder here [default: all]
    pub path: Option<PathBuf>,
    /// One JSON object a file that arrived or was stored
    #[arg(long)]
    pub json: bool,
    /// How it holds on.
    #[command(flatten)]
    pub hold: RetryArgs,
}

/// `transfers`
#[derive(Debug, Args)]
pub struct TransfersArgs {
    /// Remove what is left of those that do not run, and forget them
    #[arg(long)]
    pub clean: bool,
    /// One JSON object a transfer
    #[arg(long, conflicts_with = "clean")]
    pub json: bool,
}

/// `put FILE...`
#[derive(Debug, Args)]
pub struct PutArgs {
    /// The files to store, each under its own name; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many.
    #[command(flatten)]
    pub many: MultiFileArgs,
    /// The server's folder to store them in [default: its root]
    #[arg(long, value_name = "DIR", default_value = "", hide_default_value = true)]
    pub to: String,
    /// The name to store one file under
    #[arg(long = "as", value_name = "NAME")]
    pub stored_as: Option<String>,
    /// Replace files that exist on the server
    #[arg(long)]
    pub overwrite: bool,
    /// Begin at the beginning, whatever the server kept of an earlier attempt
    #[arg(long)]
    pub no_resume: bool,
    /// How it holds on.
    #[command(flatten)]
    pub hold: RetryArgs,
    /// Not faster than this, all files together: 10MB/s, 500K, 1.5MiB/s
    #[arg(long, value_name = "RATE")]
    pub limit: Option<Rate>,
    /// One JSON object a file that was stored
    #[arg(long)]
    pub json: bool,
}

/// `rm PATH...`
#[derive(Debug, Args)]
pub struct RmArgs {
    /// The server's files, or folders with nothing in them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// One JSON object a path that was removed
    #[arg(long)]
    pub json: bool,
}

/// `mv FROM TO`
#[derive(Debug, Args)]
pub struct MvArgs {
    /// A file or folder of the server
    pub from: String,
    /// Its new path, or the folder it goes into
    pub to: String,
    /// Replace a file that exists
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `mkdir PATH...`
#[derive(Debug, Args)]
pub struct MkdirArgs {
    /// The folders to make, and those they lie in
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// It is no error where one is there already
    #[arg(long, short)]
    pub parents: bool,
    /// One JSON object a folder
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests;
