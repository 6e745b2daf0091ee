//! Logging to standard error, as text or JSON, by a thread of its own. `RUST_LOG` sets the level; the default is
//! `info`.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::panic::{self, PanicHookInfo};
use std::time::Duration;

use anyhow::Context as _;
use quiver_protocol::text::display_safe;
use quiver_transport::LogWriter;
use tracing::{error, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoLocal;

use crate::log_format::LogFormat;

/// How long writing the last lines may take when the process ends. Together with the grace period and the last
/// packets this stays under ten seconds.
pub const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Starts logging. Called once. Panics are logged too.
///
/// # Errors
/// Standard error cannot be used, or the writer's thread cannot be started.
pub fn start(format: LogFormat) -> anyhow::Result<LogWriter> {
    let stderr = io::stderr().as_fd().try_clone_to_owned().context("cannot use standard error")?;
    let writer = LogWriter::start(File::from(stderr), warn_of_dropped_lines)
        .context("cannot start logging")?;
    let lines = writer.clone();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || lines.clone());
    match format {
        LogFormat::Text => {
            let time = ChronoLocal::new("%Y-%m-%d %H:%M:%S%.3f".to_owned());
            let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let use_colour =
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_timer(time).with_target(false).with_ansi(use_colour).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    // The default hook writes to standard error directly, and would block on a slow reader.
    let panic_writer = writer.clone();
    panic::set_hook(Box::new(move |panic| {
        log_panic(panic);
        // The panic may end the process.
        panic_writer.flush(FLUSH_TIMEOUT);
    }));
    Ok(writer)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let panic = panic.to_string();
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => {
            error!("thread {thread} {}\n{backtrace}", display_safe(&panic));
        }
        _ => error!("thread {thread} {}", display_safe(&panic)),
    }
}

fn warn_of_dropped_lines(count: u64) {
    match count {
        1 => warn!("1 log line was dropped: standard error did not take it"),
        _ => warn!("{count} log lines were dropped: standard error did not take them"),
    }
}
