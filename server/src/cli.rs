//! What was typed, and which part of the server it means.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand};
use quiver_protocol::ClientName;
use quiver_transport::LogWriter;

use crate::config::{Config, Uploads};
use crate::log_format::LogFormat;
use crate::metrics::host::HostName;
use crate::output::Hint;
use crate::passwords::AccountPermission;
use crate::server::Server;
use crate::user_admin::{self, AccountChange};
use crate::{certificate, logging, output};

/// A QUIC-based secure transfer service: people connect by name, talk, and get files.
#[derive(Debug, Parser)]
#[command(name = "quiver-server", version, args_conflicts_with_subcommands = true)]
pub struct ServerArgs {
    #[command(subcommand)]
    command: Option<ServerCommand>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum ServerCommand {
    /// Run the server (the default command)
    Serve(ServeArgs),
    /// Make or show the server's certificate
    #[command(subcommand)]
    Cert(CertArgs),
    /// Change the accounts of a password file
    #[command(subcommand)]
    User(UserArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    // Not a doc comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        value_name = "ADDR",
        help = "Where to listen; the IPv6 wildcard takes IPv4 too [default: [::]:4433, or 0.0.0.0:4433 without IPv6]"
    )]
    listen: Option<SocketAddr>,
    /// The folder whose files clients may get
    #[arg(long, value_name = "DIR", default_value = "files")]
    files: PathBuf,
    /// The folder with server.pem and server.key; made where absent
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_clients: u32,
    /// Let in only those with a password in this file (see the user commands)
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,
    /// Let clients store files, and remove and rename what is there; with a password file, those whose
    /// account may (see user add --may)
    #[arg(long)]
    allow_upload: bool,
    /// The largest file a client may store, like 10MB or 1GiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_file_size: Option<u64>,
    /// What each account, or else each client key, may have stored in all [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    quota: Option<u64>,
    /// What stays free on the disk
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "512MiB")]
    keep_free: u64,
    /// How long a put may send nothing while its connection lives, as out of a slow pipe, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    put_patience: u64,
    /// The folder in which the server remembers who stored what; made where uploads are allowed
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Memory for what waits to be read by clients, all of them together
    #[arg(long, value_name = "SIZE", value_parser = buffer_budget, default_value = "512MiB")]
    buffer_budget: u64,
    /// Where Prometheus can read metrics, at http://ADDR/metrics and without a password; a port alone is one
    /// of 127.0.0.1 [default: nowhere]
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = metrics_address)]
    metrics: Option<SocketAddr>,
    /// A host name under which the metrics are read, as in Prometheus' scrape_configs; may be repeated. An
    /// address and localhost are always right
    #[arg(long = "metrics-host", value_name = "NAME", requires = "metrics")]
    metrics_hosts: Vec<HostName>,
    /// How log lines look on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Subcommand)]
enum CertArgs {
    /// Make a self-signed certificate and its key
    New {
        /// The folder to put server.pem and server.key into
        #[arg(long, value_name = "DIR", default_value = "certs")]
        certs: PathBuf,
        /// A name or address clients use for this server; may be repeated
        /// [default: localhost, 127.0.0.1, ::1]
        #[arg(long = "host", value_name = "NAME")]
        hosts: Vec<String>,
        /// How many days it is valid
        #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: u32,
        /// Replace an existing certificate: clients that pinned it will refuse this server
        #[arg(long)]
        force: bool,
    },
    /// Show fingerprint, names and dates
    Show {
        /// The folder with server.pem
        #[arg(long, value_name = "DIR", default_value = "certs")]
        certs: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum UserArgs {
    /// Add an account, or give it a new password
    Add {
        /// The account's name
        name: String,
        #[command(flatten)]
        passwords: PasswordFileArgs,
        /// What it may do; an account that is there keeps what it may [default: read]
        #[arg(long, value_name = "RIGHT", value_enum)]
        may: Option<AccountPermission>,
        /// Read the password from standard input, one line, instead of asking for it
        #[arg(long)]
        password_stdin: bool,
    },
    /// Remove an account
    Remove {
        /// The account's name
        name: String,
        #[command(flatten)]
        passwords: PasswordFileArgs,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        passwords: PasswordFileArgs,
    },
}

#[derive(Debug, Args)]
struct PasswordFileArgs {
    /// The password file; made where absent, for its owner alone
    #[arg(long = "passwords", value_name = "FILE")]
    path: PathBuf,
}

/// Does what was typed, and says what failed.
#[must_use]
pub fn run(cli: ServerArgs) -> ExitCode {
    let done = match cli.command.unwrap_or(ServerCommand::Serve(cli.serve)) {
        ServerCommand::Serve(serve) => return self::serve(serve),
        ServerCommand::Cert(cert) => self::cert(cert),
        ServerCommand::User(user) => self::user(user),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn cert(cert: CertArgs) -> anyhow::Result<()> {
    match cert {
        CertArgs::New { certs, hosts, days, force } => {
            let info = certificate::create(&certs, &hosts, days, force)?;
            output::certificate(&certificate::path(&certs), &info)
        }
        CertArgs::Show { certs } => {
            let info = certificate::show(&certs)?;
            output::certificate(&certificate::path(&certs), &info)
        }
    }
}

/// How many tasks run before the sockets are looked at again. Tokio's own 61 are many milliseconds where
/// content is what they move.
const EVENTS: u32 = 4;

/// Runs the server. What failed is said through the log's writer: after the log's lines, and without waiting for a
/// standard error that takes nothing.
fn serve(serve: ServeArgs) -> ExitCode {
    let mut log = match logging::start(serve.log_format) {
        Ok(log) => log,
        Err(error) => {
            output::error(&error);
            return ExitCode::FAILURE;
        }
    };
    let served = run_server(serve, log.clone());
    if let Err(error) = &served {
        // What it does not take is counted as a line of the log.
        let _ = log.write_all(output::error_text(error).as_bytes());
    }
    log.flush(logging::FLUSH_TIMEOUT);
    if served.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_server(serve: ServeArgs, log: LogWriter) -> anyhow::Result<()> {
    // One thread drives QUIC, blocking threads do the file work: on few cores this is faster, and
    // its latency steadier, than a work-stealing runtime (docs/performance.md).
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENTS)
        .build()
        .context("cannot start the runtime")?;
    let deadline =
        runtime.block_on(async { Server::build(Config::from(serve), log)?.run().await })?;
    runtime.shutdown_timeout(deadline.saturating_duration_since(Instant::now()));
    Ok(())
}

impl From<ServeArgs> for Config {
    fn from(serve: ServeArgs) -> Self {
        Self {
            listen: serve.listen,
            files: serve.files,
            certs: serve.certs,
            max_clients: serve.max_clients as usize,
            passwords: serve.passwords,
            uploads: serve.allow_upload.then_some(Uploads {
                state: serve.state,
                max_file_size: serve.max_file_size,
                quota: serve.quota,
                keep_free: serve.keep_free,
                put_patience: Duration::from_secs(serve.put_patience),
            }),
            buffer_budget: serve.buffer_budget,
            metrics: serve.metrics,
            metrics_hosts: serve.metrics_hosts,
        }
    }
}

fn user(user: UserArgs) -> anyhow::Result<()> {
    match user {
        UserArgs::Add { name, passwords, may, password_stdin } => {
            let name = parse_name(&name)?;
            let password = user_admin::read_password(password_stdin)?;
            match user_admin::add(&passwords.path, &name, &password, may)? {
                AccountChange::Added => output::line(&format!("{name} added")),
                AccountChange::Replaced => output::line(&format!("{name} has a new password")),
            }
        }
        UserArgs::Remove { name, passwords } => {
            let name = parse_name(&name)?;
            user_admin::remove(&passwords.path, &name)?;
            output::line(&format!("{name} removed"))
        }
        UserArgs::List { passwords } => {
            for (name, may) in user_admin::list(&passwords.path)? {
                output::line(&listed(&name, may))?;
            }
            Ok(())
        }
    }
}

/// `Ron`, and ` (upload)` where it may do more than read.
fn listed(name: &ClientName, may: AccountPermission) -> String {
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

/// `9464`, which only this machine can reach, or `[::]:9464`.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let here = text.parse().map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
    here.or_else(|_| text.parse())
        .map_err(|_| "expected a port or an address with one, like 9464 or 192.0.2.7:9464".into())
}

/// Bytes, as people write them: `512`, `10MB`, `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>().map(|size| size.as_u64())
}

/// A size that some answers fit into at least.
fn buffer_budget(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 16 * 1024 * 1024;
    let bytes = size(text)?;
    if bytes < LEAST { Err("expected 16MiB or more".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_for_this_machine() {
        for (text, address) in [
            ("9464", "127.0.0.1:9464"),
            ("0", "127.0.0.1:0"),
            ("192.0.2.7:9464", "192.0.2.7:9464"),
            ("[::]:9464", "[::]:9464"),
        ] {
            assert_eq!(metrics_address(text).unwrap().to_string(), address);
        }
        for text in ["", "65536", "-1", "192.0.2.7", "localhost", "localhost:9464", ":9464"] {
            assert!(metrics_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_written_as_people_write_them() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("10MB", 10_000_000), ("1GiB", 1 << 30), ("1.5 MiB", 3 << 19)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "many", "10 apples"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
