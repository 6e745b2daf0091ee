//! The line editor. Runs on a separate thread, because it blocks while it waits for keys.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as sync};
use std::thread;
use std::time::{Duration, Instant};

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, ExternalPrinter as _, Helper};
use tokio::sync::{mpsc, oneshot};

use super::complete::{self, CompletionQuery};
use crate::failure::Failure;
use crate::output::{PrintAbove, ReadingFlag, style};
use quiver_client::folders;

/// A line that ends sooner after its prompt was pasted, or typed ahead.
const PASTE_TIME: Duration = Duration::from_millis(50);

/// The most lines that the history keeps.
const MAX_HISTORY: usize = 1000;

type LineEditor = rustyline::Editor<LineHelper, FileHistory>;

/// A handle to the editor's thread.
#[derive(Debug)]
pub(super) struct EditorHandle {
    commands: sync::Sender<EditorCommand>,
    events: mpsc::Receiver<EditorEvent>,
    /// Whether a line can begin with a text to edit.
    can_prefill: bool,
}

/// What the person typed.
#[derive(Debug)]
pub(super) enum EditorEvent {
    /// Enter.
    Line {
        /// The line.
        text: String,
        /// Whether it was there when the prompt was shown.
        is_pasted: bool,
    },
    /// Ctrl-C.
    Interrupted {
        /// Whether the line was empty.
        on_empty_line: bool,
    },
    /// Ctrl-D, or the terminal was closed.
    End,
    /// The terminal failed.
    Failed(io::Error),
}

/// A request to read a line.
#[derive(Debug)]
struct EditorCommand {
    prompt: String,
    /// The text that is in the line at first, to be edited.
    initial: String,
    /// Whether the line is added to the history.
    is_remembered: bool,
}

impl EditorHandle {
    /// Starts the thread. `history` is the file that keeps lines between runs; `None` keeps none. Also returns the
    /// queries of Tab completion and, if the terminal can do it, a queue that prints above the line being typed.
    pub(super) async fn start(
        history: Option<PathBuf>,
    ) -> Result<(Self, mpsc::Receiver<CompletionQuery>, Option<PrintAbove>), Failure> {
        let failed = |source| Failure::system("cannot use the terminal", source);
        let (commands, command_receiver) = sync::channel();
        let (event_sender, events) = mpsc::channel(1);
        let (query_sender, queries) = mpsc::channel(1);
        let (ready, started) = oneshot::channel();
        let work = move || match create_editor(query_sender, history.as_ref()) {
            Ok((mut editor, is_empty)) => {
                let (print_above, flag) = start_print_above(&mut editor).unzip();
                // Fails if the program is ending.
                let _ = ready.send(Ok(print_above));
                let flag = flag.as_ref();
                run_commands(
                    editor,
                    flag,
                    &command_receiver,
                    &event_sender,
                    &is_empty,
                    history.as_ref(),
                );
            }
            Err(error) => {
                let _ = ready.send(Err(io_error(error)));
            }
        };
        thread::Builder::new().name("editor".to_owned()).spawn(work).map_err(failed)?;
        let ended = |_| io::Error::other("the editor's thread ended");
        let print_above = started.await.map_err(ended).and_then(|result| result).map_err(failed)?;
        // Neither works where the cursor cannot be moved.
        let can_prefill = print_above.is_some();
        Ok((Self { commands, events, can_prefill }, queries, print_above))
    }

    /// Starts to read a line that begins with `initial`, which [`next_event`](Self::next_event) returns.
    pub(super) fn read_line(&self, prompt: String, initial: String) {
        // If the thread has ended, `next_event` returns `End`.
        let _ = self.commands.send(EditorCommand { prompt, initial, is_remembered: true });
    }

    /// Whether a line can begin with a text to edit; not on a terminal that cannot move its cursor.
    pub(super) fn can_prefill(&self) -> bool {
        self.can_prefill
    }

    /// Waits for the end of the line. Cancel safe.
    pub(super) async fn next_event(&mut self) -> EditorEvent {
        self.events.recv().await.unwrap_or(EditorEvent::End)
    }

    /// Asks for confirmation; any answer but yes counts as no.
    pub(super) async fn confirm(&mut self, question: &str) -> bool {
        let (prompt, initial) = (question.to_owned(), String::new());
        let command = EditorCommand { prompt, initial, is_remembered: false };
        let _ = self.commands.send(command);
        let event = self.next_event().await;
        matches!(event, EditorEvent::Line { text, .. } if crate::output::is_yes(&text))
    }
}

fn create_editor(
    queries: mpsc::Sender<CompletionQuery>,
    history: Option<&PathBuf>,
) -> rustyline::Result<(LineEditor, Arc<AtomicBool>)> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(MAX_HISTORY)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .build();
    let is_empty = Arc::new(AtomicBool::new(true));
    let mut editor = LineEditor::with_config(config)?;
    let helper = LineHelper { queries, is_empty: is_empty.clone(), coloured_prompt: None };
    editor.set_helper(Some(helper));
    if let Some(path) = history {
        // Fails in the first run, which has no history.
        let _ = editor.load_history(path);
    }
    Ok((editor, is_empty))
}

/// `None` if the terminal cannot move its cursor, or no thread can be started.
fn start_print_above(editor: &mut LineEditor) -> Option<(PrintAbove, ReadingFlag)> {
    let mut printer = editor.create_external_printer().ok()?;
    PrintAbove::start(move |text| printer.print(text).map_err(io_error)).ok()
}

/// Reads a line for each command, until the handle is dropped.
fn run_commands(
    mut editor: LineEditor,
    flag: Option<&ReadingFlag>,
    commands: &sync::Receiver<EditorCommand>,
    events: &mpsc::Sender<EditorEvent>,
    is_empty: &AtomicBool,
    history: Option<&PathBuf>,
) {
    let set_reading = |is_reading| flag.into_iter().for_each(|flag| flag.set(is_reading));
    while let Ok(command) = commands.recv() {
        is_empty.store(command.initial.is_empty(), Ordering::Relaxed);
        if let Some(helper) = editor.helper_mut() {
            helper.coloured_prompt =
                Some(command.prompt.as_str()).filter(|_| command.is_remembered).and_then(coloured);
        }
        set_reading(true);
        let started = Instant::now();
        let line = editor.readline_with_initial(&command.prompt, (&command.initial, ""));
        set_reading(false);
        let event = match line {
            Ok(line) => {
                if command.is_remembered {
                    remember(&mut editor, &line, history);
                }
                EditorEvent::Line { text: line, is_pasted: started.elapsed() < PASTE_TIME }
            }
            Err(ReadlineError::Interrupted) => {
                EditorEvent::Interrupted { on_empty_line: is_empty.load(Ordering::Relaxed) }
            }
            Err(ReadlineError::Eof) => EditorEvent::End,
            Err(error) => EditorEvent::Failed(io_error(error)),
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
}

/// `Ron: ` with the name in colour; `None` where the terminal shows none.
fn coloured(prompt: &str) -> Option<String> {
    let name = prompt.strip_suffix(": ").filter(|_| style::has_stdout_colours())?;
    Some(format!("{}: ", style::painted(style::OWN_NAME, name)))
}

/// Adds a line to the history, also in its file. Errors of the file are ignored.
fn remember(editor: &mut LineEditor, line: &str, history: Option<&PathBuf>) {
    let is_new = editor.add_history_entry(line).unwrap_or(false);
    let Some(path) = history.filter(|_| is_new) else { return };
    if let Some(folder) = path.parent() {
        let _ = folders::create_private(folder);
    }
    let _ = editor.append_history(path);
}

fn io_error(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// The callbacks of the line editor.
struct LineHelper {
    queries: mpsc::Sender<CompletionQuery>,
    /// Whether the line is empty, for [`EditorEvent::Interrupted`].
    is_empty: Arc<AtomicBool>,
    /// The prompt in colour, where it has one.
    coloured_prompt: Option<String>,
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete::complete(&line[..position], &self.queries))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    /// Gives no hint, but is called on each change of the line.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.is_empty.store(line.is_empty(), Ordering::Relaxed);
        None
    }
}

impl Highlighter for LineHelper {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(self.coloured_prompt.as_deref().unwrap_or(prompt))
    }
}

impl Validator for LineHelper {}
impl Helper for LineHelper {}
