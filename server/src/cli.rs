//! The command line of `quiver-server`, and the functions that run its commands.

mod admin;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytesize::ByteSize;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use quiver_transfer::Rate;
use quiver_transport::{CongestionControl, LogWriter};

use self::admin::{CertArgs, UserArgs};
use crate::config::{Config, UploadConfig};
use crate::documents::ManArgs;
use crate::listen_address::{ListenAddress, parse_address};
use crate::log_format::LogFormat;
use crate::metrics::host::HostName;
use crate::relay::RelayLimits;
use crate::server::Server;
use crate::{documents, logging, output};

/// A secure file transfer and messaging service over QUIC.
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
    Serve(Box<ServeArgs>),
    /// Make or show the server's certificate
    #[command(subcommand)]
    Cert(CertArgs),
    /// Change the accounts of a password file
    #[command(subcommand)]
    User(UserArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell that runs the script
        shell: Shell,
    },
    /// Print a man page, or store all of them in a folder
    Man(ManArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    // Not a doc comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        value_name = "ADDR",
        help = "Where to listen: a port (on every address), an address, or both; localhost is 127.0.0.1, and the IPv6 \
                wildcard takes IPv4 too [default: [::]:4433, or 0.0.0.0:4433 without IPv6]"
    )]
    listen: Option<ListenAddress>,
    /// The folder whose files clients may get
    #[arg(long, value_name = "DIR", default_value = "files")]
    files: PathBuf,
    /// The folder with server.pem and server.key; created if missing
    #[arg(long, value_name = "DIR", default_value = "certs")]
    certs: PathBuf,
    /// How many clients may be connected at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_clients: u32,
    /// Accept only clients with a password in this file (see the user commands)
    #[arg(long, value_name = "FILE")]
    passwords: Option<PathBuf>,
    /// Let clients store, remove and rename files; with a password file, only accounts with the
    /// upload permission (see user add --may)
    #[arg(long)]
    allow_upload: bool,
    /// The largest file a client may store, like 10MB or 1GiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_file_size: Option<u64>,
    /// The total size that each account, or else each client key, may have stored [default: no
    /// limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    quota: Option<u64>,
    /// The space that stays free on the disk
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "512MiB")]
    keep_free: u64,
    /// End an upload that sends nothing for so many seconds, as from a slow pipe, on a connection
    /// that is alive
    #[arg(long, alias = "put-patience", value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    put_timeout: u64,
    /// The folder in which the server records who stored what; created if uploads are allowed
    #[arg(long, value_name = "DIR", default_value = "state")]
    state: PathBuf,
    /// Memory for responses that clients have not read yet and for transfers over long paths, for all
    /// clients together
    #[arg(long, value_name = "SIZE", value_parser = buffer_budget, default_value = "512MiB")]
    buffer_budget: u64,
    /// Do not relay packets between clients that cannot connect to each other directly
    #[arg(long)]
    no_relay: bool,
    /// How fast the server relays for each client, like 10MB/s [default: no limit]
    #[arg(long, value_name = "RATE", conflicts_with = "no_relay")]
    relay_limit: Option<Rate>,
    /// How much the server relays for each client on one day (UTC), like 20GB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, conflicts_with = "no_relay")]
    relay_budget: Option<u64>,
    /// Congestion control of what is sent: from a model of the path, which random losses hardly slow
    /// down, or CUBIC; auto takes CUBIC on this machine and the model elsewhere
    #[arg(long, value_name = "CONTROL", value_parser = congestion_control(), default_value = "auto")]
    congestion: CongestionControl,
    /// Serve Prometheus metrics at http://ADDR/metrics, without a password; a port alone listens on
    /// 127.0.0.1 [default: no metrics]
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = metrics_address)]
    metrics: Option<SocketAddr>,
    /// A host name under which the metrics are read, as in Prometheus' scrape_configs; may be
    /// repeated. Addresses and localhost are always accepted
    #[arg(long = "metrics-host", value_name = "NAME", requires = "metrics")]
    metrics_hosts: Vec<HostName>,
    /// The format of log lines on standard error
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// Runs the command, and prints an error if it fails.
#[must_use]
pub fn run(cli: ServerArgs) -> ExitCode {
    let result = match cli.command.unwrap_or_else(|| ServerCommand::Serve(Box::new(cli.serve))) {
        ServerCommand::Serve(serve) => return self::serve(*serve),
        ServerCommand::Cert(cert) => return admin::run(cert.is_json(), || admin::cert(cert)),
        ServerCommand::User(user) => return admin::run(user.is_json(), || admin::user(user)),
        ServerCommand::Completions { shell } => {
            documents::completions(ServerArgs::command(), shell)
        }
        ServerCommand::Man(arguments) => documents::man(ServerArgs::command(), &arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error, false);
            ExitCode::FAILURE
        }
    }
}

/// How many tasks the runtime runs before it checks the sockets again. Tokio's default of 61 takes
/// many milliseconds if the tasks transfer content.
const EVENT_INTERVAL: u32 = 4;

/// Runs the server. An error is printed through the log's writer: after the log's lines, and
/// without blocking on a standard error that is not read.
fn serve(serve: ServeArgs) -> ExitCode {
    let mut log = match logging::start(serve.log_format) {
        Ok(log) => log,
        Err(error) => {
            output::error(&error, false);
            return ExitCode::FAILURE;
        }
    };
    let result = run_server(serve, log.clone());
    if let Err(error) = &result {
        // A failed write is counted as a dropped log line.
        let _ = log.write_all(output::error_text(error).as_bytes());
    }
    log.flush(logging::FLUSH_TIMEOUT);
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_server(serve: ServeArgs, log: LogWriter) -> anyhow::Result<()> {
    // One thread drives QUIC, blocking threads do the file work: on few cores this is faster than a
    // work-stealing runtime, and its latency is steadier (docs/performance.md).
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .event_interval(EVENT_INTERVAL)
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
            listen: serve.listen.unwrap_or_default(),
            files: serve.files,
            certs: serve.certs,
            max_clients: serve.max_clients as usize,
            passwords: serve.passwords,
            uploads: serve.allow_upload.then_some(UploadConfig {
                state: serve.state,
                max_file_size: serve.max_file_size,
                quota: serve.quota,
                keep_free: serve.keep_free,
                put_timeout: Duration::from_secs(serve.put_timeout),
            }),
            buffer_budget: serve.buffer_budget,
            relay: (!serve.no_relay)
                .then_some(RelayLimits { rate: serve.relay_limit, budget: serve.relay_budget }),
            congestion: serve.congestion,
            metrics: serve.metrics,
            metrics_hosts: serve.metrics_hosts,
        }
    }
}

/// Parses a port, which means one of 127.0.0.1, or an address with a port like `[::]:9464`.
fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let loopback = text.parse().map(|port: u16| (Ipv4Addr::LOCALHOST, port).into());
    loopback
        .ok()
        .or_else(|| parse_address(text, None))
        .ok_or_else(|| "expected a port or an address with one, like 9464 or 192.0.2.7:9464".into())
}

fn congestion_control() -> impl TypedValueParser<Value = CongestionControl> {
    let names = CongestionControl::ALL.map(CongestionControl::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<CongestionControl>())
}

/// Parses a size like `512`, `10MB` or `1GiB`.
fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| "expected a size like 512, 10MB or 1GiB".to_owned())
}

/// Parses a size that has space for at least some responses.
fn buffer_budget(text: &str) -> Result<u64, String> {
    const MINIMUM: u64 = 16 * 1024 * 1024;
    let bytes = size(text)?;
    if bytes < MINIMUM { Err("expected 16MiB or more".to_owned()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_timeout_is_accepted_under_its_old_name_too() {
        for flag in ["--put-timeout", "--put-patience"] {
            let arguments = ServerArgs::try_parse_from(["quiver-server", flag, "5"]).unwrap();
            assert_eq!(arguments.serve.put_timeout, 5, "{flag}");
        }
        let both = ["quiver-server", "--put-timeout=5", "--put-patience=5"];
        assert!(ServerArgs::try_parse_from(both).is_err());
        let help = ServerArgs::command().render_long_help().to_string();
        assert!(help.contains("--put-timeout <SECONDS>") && !help.contains("patience"), "{help}");
    }

    #[test]
    fn a_port_alone_is_one_of_the_loopback_address() {
        for (text, address) in [
            ("9464", "127.0.0.1:9464"),
            ("0", "127.0.0.1:0"),
            ("192.0.2.7:9464", "192.0.2.7:9464"),
            ("[::]:9464", "[::]:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
        ] {
            assert_eq!(metrics_address(text).unwrap().to_string(), address);
        }
        for text in ["", "65536", "-1", "192.0.2.7", "localhost", "example.org:9464", ":9464"] {
            assert!(metrics_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_with_decimal_and_binary_units_are_parsed() {
        for (text, bytes) in
            [("0", 0), ("512", 512), ("10MB", 10_000_000), ("1GiB", 1 << 30), ("1.5 MiB", 3 << 19)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "many", "10 apples"] {
            assert_eq!(size(text).unwrap_err(), "expected a size like 512, 10MB or 1GiB", "{text}");
        }
    }
}
