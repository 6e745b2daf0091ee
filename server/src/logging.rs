//! Where log lines go: standard error, as text or JSON. `RUST_LOG` says how much; `info` without it.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::ChronoLocal;

use crate::cli::LogFormat;

/// Starts logging, once.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let time = ChronoLocal::new("%Y-%m-%d %H:%M:%S%.3f".to_owned());
            let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
            let colour =
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_timer(time).with_target(false).with_ansi(colour).init();
        }
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
