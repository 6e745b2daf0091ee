//! The log for developers on stderr, which the variable `QUIVER_LOG` turns on.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;

use quiver_transport::LogWriter;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use super::FINAL_WRITE_TIMEOUT;
use crate::failure::Failure;

/// The variable with the filter.
pub const LOG_VARIABLE: &str = "QUIVER_LOG";

/// The crates of the client: a mere level is meant for them, not for the libraries that they use.
const CRATES: [&str; 7] = [
    "quiver_cli",
    "quiver_client",
    "quiver_control",
    "quiver_page",
    "quiver_protocol",
    "quiver_transfer",
    "quiver_transport",
];

/// The log on stderr. Dropping it writes the remaining lines, within `FINAL_WRITE_TIMEOUT`.
#[derive(Debug)]
pub struct DeveloperLog(LogWriter);

/// Starts to log to stderr what the filter chooses; `None` without one. Lines that stderr does not accept in time are
/// dropped.
///
/// # Errors
/// [`Failure::Usage`] if the filter is invalid, [`Failure::System`] if the log's thread cannot be started.
pub fn start_developer_log(value: Option<OsString>) -> Result<Option<DeveloperLog>, Failure> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    let filter = filter(&value.to_string_lossy())?;
    let failed = |source| Failure::system("cannot log", source);
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let writer = LogWriter::start(stderr.into(), report_dropped).map_err(failed)?;
    let lines = writer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || lines.clone())
        .with_ansi(false)
        .finish();
    // Fails only if a test has set another subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(Some(DeveloperLog(writer)))
}

/// A level for all crates of the client, or directives such as `quiver_client=debug,quinn=trace`.
fn filter(text: &str) -> Result<EnvFilter, Failure> {
    let directives = match text.parse::<LevelFilter>() {
        Ok(level) => CRATES.map(|name| format!("{name}={level}")).join(","),
        Err(_) => text.to_owned(),
    };
    EnvFilter::try_new(directives).map_err(|error| {
        let what = format!("{LOG_VARIABLE} is no filter: {error}");
        Failure::usage(what, "set it to debug, or to quiver_client=debug,quinn=trace")
    })
}

fn report_dropped(count: u64) {
    tracing::warn!("{count} log lines were dropped: standard error did not take them");
}

impl Drop for DeveloperLog {
    fn drop(&mut self) {
        self.0.flush(FINAL_WRITE_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_the_crates_of_the_client_only() {
        let debug = filter("debug").unwrap().to_string();
        assert!(debug.contains("quiver_client=debug") && !debug.contains("quinn"), "{debug}");
        assert_eq!(filter("quinn=trace").unwrap().to_string(), "quinn=trace");
        assert!(filter("quinn=loud").is_err());
    }
}
