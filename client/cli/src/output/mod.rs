//! The only module that prints and asks. Knows nothing of connections.
//!
//! Data goes to standard output, messages to standard error; at the prompt both go to the terminal,
//! above the line that is being typed. All printing runs on a blocking thread, because a pager that
//! stops reading must not block QUIC.

mod ask;
pub mod cut;
mod developer_log;
#[cfg(test)]
mod example;
pub mod human;
pub mod json;
mod json_mode;
mod live_rows;
pub mod plan;
mod print_above;
mod progress;
mod rows;
mod stream;
pub mod style;
pub mod table;
mod terminal_block;
mod terminal_kind;
#[cfg(test)]
mod tests;
mod verbosity;
mod wrap;

use std::io::{self, IsTerminal as _, Write as _};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use quiver_client::notice::Notice;
use quiver_manual::UsageError;
use quiver_protocol::text::display_safe;
use quiver_transfer::blocking;
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::ui_mode::UiMode;
pub(crate) use ask::is_yes;
pub use developer_log::{LOG_VARIABLE, start_developer_log};
pub use json_mode::JsonMode;
pub use live_rows::LiveRows;
pub use print_above::{PrintAbove, ReadingFlag};
pub use progress::{PLAIN_LINE_INTERVAL, ProgressDisplay, ProgressSource};
pub use rows::{PRINT_SIZE, RowWriter};
use stream::OutputStream;
use terminal_block::TerminalSize;
pub use verbosity::Verbosity;
pub use wrap::fill;

/// The name of the other end in what limited a transfer.
const SERVER: &str = "server";

/// Time limit for writing the last lines of the log, or the final error after a signal.
const FINAL_WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// Asks for confirmation in the line editor.
pub type ConfirmInEditor = Box<dyn Fn(String) -> Confirmation + Send + Sync>;

/// The pending answer of a [`ConfirmInEditor`].
pub type Confirmation = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Prints data and messages, and asks questions. Cheap to clone.
#[derive(Clone)]
pub struct Output {
    inner: Arc<OutputInner>,
}

struct OutputInner {
    mode: UiMode,
    verbosity: Verbosity,
    json: JsonMode,
    progress: ProgressDisplay,
    /// Held while a text is printed; fair, so that texts are printed in order.
    print_lock: tokio::sync::Mutex<()>,
    print_above: Mutex<Option<PrintAbove>>,
    confirm: Mutex<Option<ConfirmInEditor>>,
}

impl Output {
    /// Creates the output of a mode. With `json`, messages are objects.
    #[must_use]
    pub fn new(mode: UiMode, verbosity: Verbosity, json: JsonMode) -> Self {
        let is_quiet = verbosity == Verbosity::Quiet;
        let progress = if mode == UiMode::Prompt || is_quiet {
            ProgressDisplay::none()
        } else {
            ProgressDisplay::on_stderr()
        };
        let print_lock = tokio::sync::Mutex::new(());
        let (print_above, confirm) = (Mutex::new(None), Mutex::new(None));
        let inner =
            OutputInner { mode, verbosity, json, progress, print_lock, print_above, confirm };
        Self { inner: Arc::new(inner) }
    }

    /// How the program is used.
    #[must_use]
    pub fn mode(&self) -> UiMode {
        self.inner.mode
    }

    /// Whether messages are JSON objects. It may change from one piped command to the next.
    #[must_use]
    pub fn json(&self) -> &JsonMode {
        &self.inner.json
    }

    /// The progress of running transfers.
    #[must_use]
    pub fn progress(&self) -> &ProgressDisplay {
        &self.inner.progress
    }

    /// How many columns a line at the terminal may use.
    #[must_use]
    pub fn line_width(&self) -> usize {
        TerminalSize::of(io::stdout()).line_width()
    }

    /// Prints everything with `print`; `None` prints directly again, after all that was printed before.
    pub async fn set_print_above(&self, print: Option<PrintAbove>) {
        let _lock = self.inner.print_lock.lock().await;
        let previous = std::mem::replace(&mut *self.inner.print_above.lock(), print);
        if let Some(previous) = previous {
            previous.close().await;
        }
    }

    /// Asks for confirmations with `confirm`; `None` asks directly again.
    pub fn set_confirm(&self, confirm: Option<ConfirmInEditor>) {
        *self.inner.confirm.lock() = confirm;
    }

    /// Prints data: whole lines, each with its line break.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn data(&self, text: String) -> Result<(), Failure> {
        self.print(OutputStream::Data, text).await.map_err(Failure::output)
    }

    /// Displays the progress of a transfer, except beside JSON objects.
    pub fn show_progress(&self, source: ProgressSource) {
        if !self.inner.json.is_on() {
            self.inner.progress.add(source);
        }
    }

    /// Prints a message line for people, unless quiet.
    pub async fn say(&self, line: impl Into<String>) {
        if !self.is_quiet() && !self.inner.json.is_on() {
            self.print_message(self.wrapped(line.into())).await;
        }
    }

    /// Prints a message line where a person sees it beside the data, unless quiet: what a script gets says it already.
    pub async fn say_at_terminal(&self, line: impl Into<String>) {
        if self.data_width().is_some() {
            self.say(line).await;
        }
    }

    /// Prints what a script may have to know, too, unless quiet. `code` is its name in JSON.
    pub async fn note(&self, code: &str, text: impl Into<String>) {
        if !self.is_quiet() {
            self.warn(code, text).await;
        }
    }

    /// Prints a notice, unless quiet.
    pub async fn notice(&self, notice: &Notice) {
        if self.inner.json.is_on() {
            if let Some(code) = json::messages::notice_code(notice) {
                self.note(code, human::notice(notice)).await;
            }
            return;
        }
        let is_verbose = self.inner.verbosity == Verbosity::Verbose;
        let is_shown = match notice {
            Notice::Connection(_) => is_verbose,
            // For a person who waits, not for a log, and not twice.
            Notice::Connecting { .. } => io::stderr().is_terminal() && !is_verbose,
            _ => true,
        };
        if is_shown {
            self.say(human::notice(notice)).await;
        }
    }

    /// Prints a detail if the person wants them.
    pub async fn detail(&self, line: impl FnOnce() -> String) {
        if self.inner.verbosity == Verbosity::Verbose {
            self.say(line()).await;
        }
    }

    fn is_quiet(&self) -> bool {
        self.inner.verbosity == Verbosity::Quiet
    }

    /// Prints a warning, also if quiet. `code` is its name in JSON.
    pub async fn warn(&self, code: &str, text: impl Into<String>) {
        let text = text.into();
        let is_json = self.inner.json.is_on();
        let text = if is_json { json::messages::warning(code, &text) } else { self.wrapped(text) };
        self.print_message(text).await;
    }

    /// Prints a failure with its hint.
    pub async fn failure(&self, failure: &Failure) {
        if !failure.is_silent() {
            let is_json = self.inner.json.is_on();
            self.print_message(failure_text(failure, is_json, self.message_width())).await;
        }
    }

    /// The width of the terminal that data goes to; `None` if it is none.
    #[must_use]
    pub fn data_width(&self) -> Option<usize> {
        OutputStream::Data.width()
    }

    /// The width of the terminal that messages go to; `None` if it is none.
    #[must_use]
    pub fn message_width(&self) -> Option<usize> {
        OutputStream::of_messages(self.inner.mode).width()
    }

    /// Prints rows of a list in aligned columns, as data.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub async fn table(&self, rows: &[Vec<String>]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let lines = table::aligned(rows, self.data_width());
        self.data(lines.join("\n") + "\n").await
    }

    /// A message in lines that fit the terminal.
    fn wrapped(&self, text: String) -> String {
        wrap::message(text, self.message_width())
    }

    async fn print_message(&self, mut text: String) {
        text.push('\n');
        let stream = OutputStream::of_messages(self.inner.mode);
        // An error on stderr cannot be reported.
        let _ = self.print(stream, text).await;
    }

    async fn print(&self, stream: OutputStream, text: String) -> io::Result<()> {
        let text = style::shown(text, stream.has_colours());
        // A task holds the lock, not this future: `Interface::drive` does not poll the command that prints while it shows
        // an event. The event's text would wait forever for a lock of that command.
        let mut printing = JoinSet::new();
        printing.spawn(self.inner.clone().print(stream, text));
        match printing.join_next().await {
            Some(printed) => {
                blocking::task_result(printed).unwrap_or_else(|error| Err(error.into()))
            }
            None => Ok(()),
        }
    }
}

impl OutputInner {
    async fn print(self: Arc<Self>, stream: OutputStream, text: String) -> io::Result<()> {
        let _lock = self.print_lock.lock().await;
        let print_above = self.print_above.lock().clone();
        if let Some(print_above) = print_above {
            return print_above.print(text).await;
        }
        let inner = self.clone();
        blocking::run_io(move || inner.progress.suspend(|| stream.write(&text))).await
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("mode", &self.inner.mode).finish_non_exhaustive()
    }
}

/// A failure as a JSON object, or as lines of this width.
fn failure_text(failure: &Failure, is_json: bool, width: Option<usize>) -> String {
    if is_json {
        json::messages::error(failure)
    } else {
        wrap::message(human::failure(failure), width)
    }
}

/// Prints the failure that ends the program, without a runtime.
pub fn report_final_failure(failure: &Failure, json: &JsonMode) {
    if failure.is_silent() {
        return;
    }
    // After a signal the terminal's cursor may still be behind a question or a prompt.
    let is_signal = matches!(failure, Failure::Interrupted(_) | Failure::Terminated(_));
    let is_behind_text = is_signal && !json.is_on() && io::stderr().is_terminal();
    let line_break = if is_behind_text { "\n" } else { "" };
    let lines = failure_text(failure, json.is_on(), OutputStream::Messages.width());
    let lines = style::shown(lines, OutputStream::Messages.has_colours());
    let text = format!("{line_break}{lines}\n");
    let (sender, written) = mpsc::channel();
    let write = move || {
        // If stderr fails, the exit code still reports the failure.
        let _ = OutputStream::Messages.write(&text);
        // Fails after the timeout.
        let _ = sender.send(());
    };
    // After a signal the program does not wait for a stderr that nothing reads.
    match thread::Builder::new().name("final failure".to_owned()).spawn(write) {
        Ok(_) if is_signal => drop(written.recv_timeout(FINAL_WRITE_TIMEOUT)),
        Ok(_) => drop(written.recv()),
        // Without a thread, only the exit code reports the failure.
        Err(_) => {}
    }
}

/// Prints what is wrong with a command line. Escapes names in it, which a shell pattern may have put there.
pub fn report_usage_error(error: &clap::Error, json: &JsonMode) {
    let text = error.render().to_string();
    if json.is_on() {
        let UsageError { what, hint } = UsageError::parse(&text);
        return report_final_failure(&Failure::Usage { what, hint }, json);
    }
    let safe = text.split('\n').map(display_safe).collect::<Vec<_>>().join("\n");
    let stream = OutputStream::Messages;
    // Clap's colours cannot be told from those that a name brings along.
    let styled = if safe == text { error.render().ansi().to_string() } else { safe };
    let mut shown = style::shown(wrap::message(styled, stream.width()), stream.has_colours());
    if text.ends_with('\n') && !shown.ends_with('\n') {
        shown.push('\n');
    }
    // If stderr fails, the exit code still reports the error.
    let _ = stream.write(&shown);
}

/// Prints a generated document: a completion script or a man page.
///
/// # Errors
/// [`Failure::Output`].
pub fn print_document(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(Failure::output)
}

/// Whether both standard input and standard output are a terminal.
#[must_use]
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
