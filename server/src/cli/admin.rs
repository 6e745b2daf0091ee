//! The commands about certificates and accounts: their arguments, and what they print. They talk to no running server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use quiver_protocol::{ClientName, Fingerprint, json_line};
use quiver_transport::CertificateInfo;
use serde::Serialize;

use crate::output::Hint;
use crate::passwords::AccountPermission;
use crate::user_admin::{self, AccountChange};
use crate::{certificate, output};

#[derive(Debug, Subcommand)]
pub(super) enum CertArgs {
    /// Make a self-signed certificate and its key
    New {
        /// The folder to put server.pem and server.key into
        #[arg(long, value_name = "DIR", default_value = "certs")]
        certs: PathBuf,
        /// A name or address clients use for this server; may be repeated
        /// [default: localhost, 127.0.0.1, ::1]
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// How many days the certificate is valid
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace an existing certificate: clients that pinned it will refuse this server
        #[arg(long)]
        force: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show fingerprint, names and dates
    Show {
        /// The folder with server.pem
        #[arg(long, value_name = "DIR", default_value = "certs")]
        certs: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum UserArgs {
    /// Add an account, or give it a new password
    Add {
        /// The account's name
        name: String,
        #[command(flatten)]
        passwords: PasswordFileArgs,
        /// The account's permission; an existing account keeps its own [default: read]
        #[arg(long, value_name = "RIGHT", value_enum)]
        may: Option<AccountPermission>,
        /// Read the password from standard input, one line, instead of asking for it
        #[arg(long)]
        password_stdin: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove an account
    Remove {
        /// The account's name
        name: String,
        #[command(flatten)]
        passwords: PasswordFileArgs,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        passwords: PasswordFileArgs,
        /// Print one JSON object per account
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct PasswordFileArgs {
    /// The password file; created if missing, with mode 0600
    #[arg(long = "passwords", value_name = "FILE")]
    path: PathBuf,
}

/// A certificate as a JSON object.
#[derive(Debug, Serialize)]
struct CertificateLine<'a> {
    certificate: String,
    fingerprint: Fingerprint,
    names: &'a [String],
    valid_from: DateTime<Utc>,
    valid_until: DateTime<Utc>,
}

/// An account as a JSON object.
#[derive(Debug, Serialize)]
struct AccountLine<'a> {
    name: &'a ClientName,
    may: String,
}

/// A changed account as a JSON object.
#[derive(Debug, Serialize)]
struct AccountChangeLine<'a> {
    name: &'a ClientName,
    result: &'a str,
}

impl CertArgs {
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::New { json, .. } | Self::Show { json, .. } => *json,
        }
    }
}

impl UserArgs {
    pub(super) fn is_json(&self) -> bool {
        match self {
            Self::Add { json, .. } | Self::Remove { json, .. } | Self::List { json, .. } => *json,
        }
    }
}

/// Runs one of the commands, and prints its error.
pub(super) fn run(is_json: bool, command: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, is_json);
            ExitCode::FAILURE
        }
    }
}

pub(super) fn cert(cert: CertArgs) -> anyhow::Result<()> {
    let (certs, info, json) = match cert {
        CertArgs::New { certs, hosts, days, force, json } => {
            let info = certificate::create(&certs, &hosts, days, force)?;
            (certs, info, json)
        }
        CertArgs::Show { certs, json } => {
            let info = certificate::show(&certs)?;
            (certs, info, json)
        }
    };
    let path = certificate::path(&certs);
    if json { print_certificate(&path, &info) } else { output::certificate(&path, &info) }
}

fn print_certificate(path: &Path, info: &CertificateInfo) -> anyhow::Result<()> {
    output::line(&json_line(&CertificateLine {
        certificate: path.display().to_string(),
        fingerprint: info.fingerprint,
        names: &info.names,
        valid_from: info.not_before,
        valid_until: info.not_after,
    }))
}

pub(super) fn user(user: UserArgs) -> anyhow::Result<()> {
    match user {
        UserArgs::Add { name, passwords, may, password_stdin, json } => {
            let name = parse_name(&name)?;
            let password = user_admin::read_password(password_stdin)?;
            let (result, text) = match user_admin::add(&passwords.path, &name, &password, may)? {
                AccountChange::Added => ("added", "added"),
                AccountChange::Replaced => ("replaced", "has a new password"),
            };
            print_change(&name, result, text, json)
        }
        UserArgs::Remove { name, passwords, json } => {
            let name = parse_name(&name)?;
            user_admin::remove(&passwords.path, &name)?;
            print_change(&name, "removed", "removed", json)
        }
        UserArgs::List { passwords, json } => {
            for (name, may) in user_admin::list(&passwords.path)? {
                let line = AccountLine { name: &name, may: may.to_string() };
                let text = if json { json_line(&line) } else { account_line(&name, may) };
                output::line(&text)?;
            }
            Ok(())
        }
    }
}

/// Prints what was done with an account: `result` is a word for scripts.
fn print_change(name: &ClientName, result: &str, text: &str, json: bool) -> anyhow::Result<()> {
    if json {
        output::line(&json_line(&AccountChangeLine { name, result }))
    } else {
        output::line(&format!("{name} {text}"))
    }
}

/// The account's line in `user list`: `Ron`, or `Ron (upload)`.
fn account_line(name: &ClientName, may: AccountPermission) -> String {
    match may {
        AccountPermission::Read => name.to_string(),
        AccountPermission::Upload => format!("{name} ({may})"),
    }
}

fn parse_name(name: &str) -> anyhow::Result<ClientName> {
    ClientName::parse(name)
        .with_context(|| format!("{name:?} is no account name"))
        .hint("choose a name like Ron or ben-2")
}
