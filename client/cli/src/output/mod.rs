//! The only place that prints, and that asks. Knows what people see, nothing of connections.
//!
//! Data goes to standard output, all talk to standard error; at the prompt both go to the terminal,
//! above the line that is being typed. Every print runs on a blocking thread: a pager that takes
//! nothing for a minute must not keep QUIC from answering the server.

mod ask;
pub mod human;
pub mod json;
mod pace;
mod progress;
mod rows;

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_protocol::text::display_safe;
use quiver_transfer::blocking;
use quiver_transfer::file_system::Unset;
use quiver_transport::LogWriter;

use crate::failure::Failure;
pub(crate) use ask::is_yes;
pub use pace::Pace;
pub(crate) use progress::share;
pub use progress::{Bar, Bars, Total};
pub use rows::Rows;

/// What the other end is called where it limited a transfer.
const SERVER: &str = "server";

/// How long the last lines of a verbose log, or the words of a program that was told to end, may take to be written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Who is on the other side of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// One command, then the end.
    OneShot,
    /// Commands out of a pipe or a file.
    Batch,
    /// A person at a terminal.
    Prompt,
}

/// Prints a text above the line that is being typed.
pub type Above = Box<dyn FnMut(String) -> io::Result<()> + Send>;

/// Where everything is said. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    inner: Arc<Inner>,
}

struct Inner {
    face: Face,
    quiet: bool,
    bars: Bars,
    /// Whether a person was warned of attributes that could not be set.
    warned: AtomicBool,
    /// Who prints waits here, first come first served.
    turn: tokio::sync::Mutex<()>,
    above: Mutex<Option<Above>>,
}

impl Output {
    /// For a face; `quiet` leaves nothing but data and errors.
    #[must_use]
    pub fn new(face: Face, quiet: bool) -> Self {
        let bars = if face == Face::OneShot && !quiet { Bars::on_stderr() } else { Bars::none() };
        let turn = tokio::sync::Mutex::new(());
        let (warned, above) = (AtomicBool::new(false), Mutex::new(None));
        Self { inner: Arc::new(Inner { face, quiet, bars, warned, turn, above }) }
    }

    /// The face.
    #[must_use]
    pub fn face(&self) -> Face {
        self.inner.face
    }

    /// The progress bars.
    #[must_use]
    pub fn bars(&self) -> &Bars {
        &self.inner.bars
    }

    /// From now on everything is printed by `above`, or as before with `None`.
    pub fn print_above(&self, above: Option<Above>) {
        *self.inner.above.lock() = above;
    }

    /// Prints data: whole lines, each with its end.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn data(&self, text: String) -> Result<(), Failure> {
        self.print(Stream::Data, text).await.map_err(Failure::Output)
    }

    /// Says a line to the person, unless they want quiet.
    pub async fn say(&self, line: impl Into<String>) {
        if !self.inner.quiet {
            self.talk(line.into()).await;
        }
    }

    /// Warns that a file or folder here was stored without some of its attributes: once in a run, for where
    /// one is refused, all are.
    pub async fn warn_of_unset(&self, shown: &Path, unset: Unset) {
        if !unset.is_empty() && !self.inner.warned.swap(true, Ordering::Relaxed) {
            self.say(human::unset(shown, unset)).await;
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
        let stream = if self.inner.face == Face::Prompt { Stream::Data } else { Stream::Talk };
        // Where nobody can be told, there is nobody to tell.
        let _ = self.print(stream, text).await;
    }

    async fn print(&self, stream: Stream, text: String) -> io::Result<()> {
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
        f.debug_struct("Output").field("face", &self.inner.face).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Data,
    Talk,
}

impl Stream {
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
    let cut = match failure {
        Failure::GoesOn { failure, .. } => is_signal(failure),
        failure => is_signal(failure),
    };
    let break_first = if cut && io::stderr().is_terminal() { "\n" } else { "" };
    let text = format!("{break_first}{}\n", human::failure(failure));
    let (done, written) = mpsc::channel();
    let write = move || {
        // Where stderr does not take it, the exit code still tells.
        let _ = Stream::Talk.write(&text);
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
    let _ = if safe == text { error.print() } else { Stream::Talk.write(&safe) };
}

fn is_signal(failure: &Failure) -> bool {
    matches!(failure, Failure::Interrupted | Failure::Terminated)
}

/// Prints what was made without a server: a completion script, a manual page.
///
/// # Errors
/// [`Failure::Output`].
pub fn document(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::Output)
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
    let failed = |source| Failure::System { what: "cannot log", source };
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
