//! The arguments of the commands about the server itself: who is there, and which servers are known.

use clap::{Args, Subcommand};

use crate::server_choice::ServerChoice;

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// List only connected clients
    #[arg(long)]
    pub here: bool,
    /// List only the last N clients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub last: Option<u32>,
    /// Print one JSON object per client
    #[arg(long)]
    pub json: bool,
}

/// `trust`
#[derive(Debug, Args)]
pub struct TrustArgs {
    /// What to do; `None` lists the known servers.
    #[command(subcommand)]
    pub action: Option<TrustAction>,
    /// Print one JSON object per server
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `trust` does.
#[derive(Debug, Subcommand)]
pub enum TrustAction {
    /// List known servers, their fingerprints, and since when they are known; the default
    List,
    /// Forget a server, so that its fingerprint is asked about again
    Forget {
        /// Address of the server, or an entry of config.toml
        #[arg(value_name = "HOST[:PORT]|ENTRY")]
        host: ServerChoice,
    },
}
