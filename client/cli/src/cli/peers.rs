//! The arguments of the commands between clients. No field is called like a global flag, whose value it would set.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quiver_client::peer_store::OfferNumber;
use quiver_client::request::ConflictPolicy;
use quiver_client::tree::Decision;
use quiver_protocol::ClientName;

use super::RetryArgs;

/// `tell NAME TEXT`, `tell --all TEXT`
#[derive(Debug, Args)]
#[command(override_usage = "quiver tell NAME TEXT...\n       quiver tell --all TEXT...")]
pub struct TellArgs {
    /// Send to every other connected client
    #[arg(long)]
    pub all: bool,
    /// Recipient, unless --all is given, and the text
    #[arg(required = true, value_name = "NAME TEXT")]
    pub words: Vec<String>,
    /// Print one JSON object per recipient
    #[arg(long)]
    pub json: bool,
}

/// `send NAME PATH...`, `send --cancel N`
#[derive(Debug, Args)]
#[command(override_usage = "quiver send [OPTIONS] NAME PATH...\n       quiver send --cancel N")]
pub struct SendArgs {
    /// Recipient
    #[arg(required_unless_present = "cancel", value_name = "NAME", value_parser = ClientName::parse)]
    pub recipient: Option<ClientName>,
    /// Files and folders to offer; - for standard input
    #[arg(required_unless_present = "cancel", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Name under which a single file or folder is offered
    #[arg(long = "as", value_name = "NAME")]
    pub offered_as: Option<String>,
    /// Wait until the recipient is connected
    #[arg(long)]
    pub wait: bool,
    /// Withdraw offer N
    #[arg(long, value_name = "N", value_parser = offer_number,
          conflicts_with_all = ["recipient", "paths", "offered_as", "wait"])]
    pub cancel: Option<OfferNumber>,
    /// Print one JSON object per event
    #[arg(long)]
    pub json: bool,
}

impl SendArgs {
    /// Whether standard input is offered.
    #[must_use]
    pub fn has_stdin(&self) -> bool {
        self.paths.iter().any(|path| path == Path::new("-"))
    }
}

/// `offers`
#[derive(Debug, Args)]
pub struct OffersArgs {
    /// Include offers that are settled, of the last 30 days
    #[arg(long)]
    pub all: bool,
    /// Print one JSON object per offer
    #[arg(long)]
    pub json: bool,
}

/// Flags for files that exist with different content.
#[derive(Debug, Clone, Default, Args)]
pub struct OfferConflictArgs {
    /// Replace existing files
    #[arg(long)]
    pub overwrite: bool,
    /// Keep existing files, and store new ones beside them as a (2).txt; the default
    #[arg(long, conflicts_with_all = ["overwrite", "skip"])]
    pub keep_both: bool,
    /// Skip files that exist with different content
    #[arg(long, conflicts_with = "overwrite")]
    pub skip: bool,
}

impl OfferConflictArgs {
    /// What these flags mean.
    #[must_use]
    pub fn policy(&self) -> ConflictPolicy {
        ConflictPolicy::Decided(match (self.overwrite, self.skip) {
            (true, _) => Decision::Replace,
            (false, true) => Decision::Skip,
            (false, false) => Decision::KeepBoth,
        })
    }
}

/// `accept N [DIR]`
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// Number of the offer
    #[arg(value_name = "N", value_parser = offer_number)]
    pub number: OfferNumber,
    /// Folder to store the files in [default: the current folder]
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub folder: PathBuf,
    /// Existing files.
    #[command(flatten)]
    pub conflicts: OfferConflictArgs,
    /// Retries.
    #[command(flatten)]
    pub retry: RetryArgs,
    /// Print one JSON object per received file
    #[arg(long)]
    pub json: bool,
}

/// `decline N`
#[derive(Debug, Args)]
pub struct DeclineArgs {
    /// Number of the offer
    #[arg(value_name = "N", value_parser = offer_number)]
    pub number: OfferNumber,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `receive`
#[derive(Debug, Args)]
pub struct ReceiveArgs {
    /// Take only offers from this client; others stay open
    #[arg(long, value_name = "NAME", value_parser = ClientName::parse)]
    pub from: Option<ClientName>,
    /// Accept without asking. The key of the client must be verified (quiver verify NAME)
    #[arg(long, short, requires = "from")]
    pub yes: bool,
    /// Folder to store the files in [default: the current folder]
    #[arg(long, short, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub output: PathBuf,
    /// End after one offer
    #[arg(long)]
    pub once: bool,
    /// Existing files.
    #[command(flatten)]
    pub conflicts: OfferConflictArgs,
    /// Retries.
    #[command(flatten)]
    pub retry: RetryArgs,
    /// Print one JSON object per event
    #[arg(long)]
    pub json: bool,
}

/// `peers`
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// Print one JSON object per client
    #[arg(long)]
    pub json: bool,
}

/// `path NAME`
#[derive(Debug, Args)]
pub struct PathArgs {
    /// The other client
    #[arg(value_name = "NAME", value_parser = ClientName::parse)]
    pub client: ClientName,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `verify NAME`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The other client
    #[arg(value_name = "NAME", value_parser = ClientName::parse)]
    pub client: ClientName,
    /// Print one JSON object; the digits are shown all the same
    #[arg(long)]
    pub json: bool,
}

/// `contacts`
#[derive(Debug, Args)]
pub struct ContactsArgs {
    /// What to do; `None` lists contacts.
    #[command(subcommand)]
    pub action: Option<ContactsAction>,
    /// Print one JSON object per contact
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `contacts` does.
#[derive(Debug, Subcommand)]
pub enum ContactsAction {
    /// List contacts and their keys; the default
    List,
    /// Forget the keys of a contact, so that its next key is trusted like a first one
    Forget(ContactArgs),
    /// Refuse messages, offers and connections of a name
    Block(ContactArgs),
    /// End the block of a name
    Unblock(ContactArgs),
}

/// The contact that `contacts` changes.
#[derive(Debug, Args)]
pub struct ContactArgs {
    /// Name of the contact
    #[arg(value_name = "NAME", value_parser = ClientName::parse)]
    pub contact: ClientName,
}

fn offer_number(text: &str) -> Result<OfferNumber, String> {
    let number = text.parse().ok().filter(|number| *number > 0).map(OfferNumber);
    number.ok_or_else(|| "quiver offers shows the numbers".to_owned())
}
