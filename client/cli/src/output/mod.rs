//! The only place that prints, and that asks. Knows what people see, nothing of connections.
//!
//! Data goes to standard output, all talk to standard error; at the prompt both go to the terminal,
//! above the line that is being typed. Every print runs on a blocking thread: a pager that takes
//! nothing for a minute must not keep QUIC from answering the server.

mod ask;
pub mod human;
pub mod json;
pub mod plan;
mod progress;
mod rows;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::text::display_safe;
use quiver_transfer::blocking;
use quiver_transport::LogWriter;

use crate::failure::Failure;
use crate::ui_mode::UiMode;
pub(crate) use ask::is_yes;
pub use progress::ProgressBars;
pub use rows::{GATHER, RowWriter};

/// What the other end is called where it limited a transfer.
const SERVER: &str = "server";

/// How long the last lines of a verbose log, or the words of a program that was told to end, may take to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Prints a text above the line that is being typed.
pub type PrintAbove = Box<dyn FnMut(String) -> io::Result<()> + Send>;

/// Asks whether, on the line that is being typed.
pub type ConfirmAbove = Box<dyn Fn(String) -> Confirmed + Send + Sync>;

/// The answer, in time.
pub type Confirmed = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Where everything is said. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    inner: Arc<OutputInner>,
}

struct OutputInner {
    mode: UiMode,
    quiet: bool,
    bars: ProgressBars,
    /// Who prints waits here, first come first served.
    turn: tokio::sync::Mutex<()>,
    above: Mutex<Option<PrintAbove>>,
    confirm: Mutex<Option<ConfirmAbove>>,
}

impl Output {
    /// For a mode; `quiet` leaves nothing but data and errors.
    #[must_use]
    pub fn new(mode: UiMode, quiet: bool) -> Self {
        let bars = if mode == UiMode::OneShot && !quiet {
            ProgressBars::on_stderr()
        } else {
            ProgressBars::none()
        };
        let turn = tokio::sync::Mutex::new(());
        let (above, confirm) = (Mutex::new(None), Mutex::new(None));
        Self { inner: Arc::new(OutputInner { mode, quiet, bars, turn, above, confirm }) }
    }

    /// Who is on the other side.
    #[must_use]
    pub fn mode(&self) -> UiMode {
        self.inner.mode
    }

    /// The progress bars.
    #[must_use]
    pub fn bars(&self) -> &ProgressBars {
        &self.inner.bars
    }

    /// From now on everything is printed by `above`, or as before with `None`.
    pub fn print_above(&self, above: Option<PrintAbove>) {
        *self.inner.above.lock() = above;
    }

    /// From now on questions for a yes are asked by `confirm`, or as before with `None`.
    pub fn confirm_above(&self, confirm: Option<ConfirmAbove>) {
        *self.inner.confirm.lock() = confirm;
    }

    /// Prints data: whole lines, each with its end.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn data(&self, text: String) -> Result<(), Failure> {
        self.print(OutputStream::Data, text).await.map_err(Failure::output)
    }

    /// Says a line to the person, unless they want quiet.
    pub async fn say(&self, line: impl Into<String>) {
        if !self.inner.quiet {
            self.talk(line.into()).await;
        }
    }

    /// Reports a failure with its hint.
    pub async fn failure(&self, failure: &Failure) {
        if !failure.is_silent() {
            self.talk(human::failure(failure)).await;
        }
    }

    async fn talk(&self, mut text: String) {
        text.push('\n');
        let stream =
            if self.inner.mode == UiMode::Prompt { OutputStream::Data } else { OutputStream::Talk };
        // Where nobody can be told, there is nobody to tell.
        let _ = self.print(stream, text).await;
    }

    async fn print(&self, stream: OutputStream, text: String) -> io::Result<()> {
        let _turn = self.inner.turn.lock().await;
        let inner = self.inner.clone();
        let printed = blocking::run_io(move || {
            let mut above = inner.above.lock();
            match above.as_mut() {
                Some(print) => print(text),
                None => inner.bars.aside(|| stream.write(&text)),
            }
        });
        printed.await
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("mode", &self.inner.mode).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum OutputStream {
    Data,
    Talk,
}

impl OutputStream {
    fn write(self, text: &str) -> io::Result<()> {
        match self {
            Self::Data => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes())?;
                stdout.flush()
            }
            Self::Talk => io::stderr().lock().write_all(text.as_bytes()),
        }
    }
}

/// Reports a failure from outside of the runtime, before or after everything else.
pub fn last_words(failure: &Failure) {
    if failure.is_silent() {
        return;
    }
    // A signal leaves the terminal's cursor where it was, behind a question or a prompt.
    let cut = matches!(failure, Failure::Interrupted(_) | Failure::Terminated(_));
    let break_first = if cut && io::stderr().is_terminal() { "\n" } else { "" };
    let text = format!("{break_first}{}\n", human::failure(failure));
    let (done, written) = mpsc::channel();
    let write = move || {
        // Where stderr does not take it, the exit code still tells.
        let _ = OutputStream::Talk.write(&text);
        // Fails where it took too long.
        let _ = done.send(());
    };
    // A program that was told to end does not wait for a stderr that takes nothing.
    match thread::Builder::new().name("last words".to_owned()).spawn(write) {
        Ok(_) if cut => drop(written.recv_timeout(LAST_LINES)),
        Ok(_) => drop(written.recv()),
        // Without a thread there are no last words, and the exit code still tells.
        Err(_) => {}
    }
}

/// Reports what is wrong with a command line. It may repeat names that a shell has put there.
pub fn bad_usage(error: &clap::Error) {
    let text = error.render().to_string();
    let safe = text.split('\n').map(display_safe).collect::<Vec<_>>().join("\n");
    // Where nobody reads it, the exit code still tells.
    let _ = if safe == text { error.print() } else { OutputStream::Talk.write(&safe) };
}

/// Prints what was made without a server: a completion script, a manual page.
///
/// # Errors
/// [`Failure::Output`].
pub fn document(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::output)
}

/// Whether a person sits at both ends: they type lines and see what is printed.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The log of what happens underneath. Dropped, it has been written, as far as stderr takes it at once.
#[derive(Debug)]
pub struct VerboseLog(LogWriter);

/// From now on says on stderr what happens underneath, as long as stderr takes it.
///
/// # Errors
/// [`Failure::System`] where no thread can be had.
pub fn verbose() -> Result<VerboseLog, Failure> {
    use tracing_subscriber::EnvFilter;
    let failed = |source| Failure::system("cannot log", source);
    let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let writer = LogWriter::start(stderr.into(), report_dropped).map_err(failed)?;
    let lines = writer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(
            "quiver_cli=debug,quiver_client=debug,quiver_transfer=debug,quiver_transport=debug",
        ))
        .with_writer(move || lines.clone())
        .with_ansi(false)
        .finish();
    // Fails only where a test has set another one.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(VerboseLog(writer))
}

fn report_dropped(count: u64) {
    tracing::warn!("{count} log lines were dropped: standard error did not take them");
}

impl Drop for VerboseLog {
    fn drop(&mut self) {
        self.0.flush(LAST_LINES);
    }
}
