//! The line editor, on a thread of its own: it waits for keys while QUIC runs.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc as sync};
use std::thread;

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
use crate::output::PrintAbove;
use quiver_client::folders;

/// Lines that are remembered.
const HISTORY: usize = 1000;

type LineEditor = rustyline::Editor<LineHelper, FileHistory>;

/// The way to the editor's thread.
#[derive(Debug)]
pub(super) struct EditorHandle {
    asks: sync::Sender<EditorCommand>,
    typed: mpsc::Receiver<EditorEvent>,
}

/// What the person did.
#[derive(Debug)]
pub(super) enum EditorEvent {
    /// Enter.
    Line(String),
    /// Ctrl-C.
    Interrupted {
        /// With nothing typed.
        on_empty_line: bool,
    },
    /// Ctrl-D, or the terminal is gone.
    End,
    /// The terminal cannot be used.
    Failed(io::Error),
}

#[derive(Debug)]
struct EditorCommand {
    prompt: String,
    /// Whether the answer is a line that one may want again.
    remember: bool,
}

impl EditorHandle {
    /// Starts the thread. `history` is the file that keeps lines between runs; without one they are
    /// forgotten. Also returns what Tab wants to know, and what prints above the line that is being typed, where the terminal can.
    pub(super) async fn start(
        history: Option<PathBuf>,
    ) -> Result<(Self, mpsc::Receiver<CompletionQuery>, Option<PrintAbove>), Failure> {
        let failed = |source| Failure::system("cannot use the terminal", source);
        let (asks, asked) = sync::channel();
        let (say, typed) = mpsc::channel(1);
        let (question, questions) = mpsc::channel(1);
        let (ready, started) = oneshot::channel();
        let work = move || match editor(question, history.as_ref()) {
            Ok((editor, above, empty)) => {
                // Nobody waits any more where the program is ending.
                let _ = ready.send(Ok(above));
                serve(editor, &asked, &say, &empty, history.as_ref());
            }
            Err(error) => {
                let _ = ready.send(Err(plain(error)));
            }
        };
        thread::Builder::new().name("editor".to_owned()).spawn(work).map_err(failed)?;
        let lost = |_| io::Error::other("the editor's thread ended");
        let above = started.await.map_err(lost).and_then(|above| above).map_err(failed)?;
        Ok((Self { asks, typed }, questions, above))
    }

    /// Asks for a line; [`typed`](Self::typed) has it in time.
    pub(super) fn ask(&self, prompt: String) {
        // A thread that has ended says so below.
        let _ = self.asks.send(EditorCommand { prompt, remember: true });
    }

    /// What was typed. Waiting may be given up and taken up again.
    pub(super) async fn typed(&mut self) -> EditorEvent {
        self.typed.recv().await.unwrap_or(EditorEvent::End)
    }

    /// Asks whether; anything but yes is no.
    pub(super) async fn confirm(&mut self, question: &str) -> bool {
        let _ = self.asks.send(EditorCommand { prompt: question.to_owned(), remember: false });
        matches!(self.typed().await, EditorEvent::Line(answer) if crate::output::is_yes(&answer))
    }
}

fn editor(
    questions: mpsc::Sender<CompletionQuery>,
    history: Option<&PathBuf>,
) -> rustyline::Result<(LineEditor, Option<PrintAbove>, Arc<AtomicBool>)> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .build();
    let empty = Arc::new(AtomicBool::new(true));
    let mut editor = LineEditor::with_config(config)?;
    editor.set_helper(Some(LineHelper { questions, empty: empty.clone() }));
    if let Some(path) = history {
        // The first time there is none.
        let _ = editor.load_history(path);
    }
    // A terminal that cannot move its cursor has none.
    let above = editor.create_external_printer().ok().map(|mut printer| -> PrintAbove {
        Box::new(move |text| printer.print(text).map_err(plain))
    });
    Ok((editor, above, empty))
}

/// Reads a line for every ask, until nobody asks.
fn serve(
    mut editor: LineEditor,
    asked: &sync::Receiver<EditorCommand>,
    say: &mpsc::Sender<EditorEvent>,
    empty: &AtomicBool,
    history: Option<&PathBuf>,
) {
    while let Ok(ask) = asked.recv() {
        empty.store(true, Ordering::Relaxed);
        let typed = match editor.readline(&ask.prompt) {
            Ok(line) => {
                if ask.remember {
                    keep(&mut editor, &line, history);
                }
                EditorEvent::Line(line)
            }
            Err(ReadlineError::Interrupted) => {
                EditorEvent::Interrupted { on_empty_line: empty.load(Ordering::Relaxed) }
            }
            Err(ReadlineError::Eof) => EditorEvent::End,
            Err(error) => EditorEvent::Failed(plain(error)),
        };
        if say.blocking_send(typed).is_err() {
            return;
        }
    }
}

/// Keeps a line for the next run. A history that cannot be written is not worth a word.
fn keep(editor: &mut LineEditor, line: &str, history: Option<&PathBuf>) {
    let is_new = editor.add_history_entry(line).unwrap_or(false);
    let Some(path) = history.filter(|_| is_new) else { return };
    if let Some(folder) = path.parent() {
        let _ = folders::create_private(folder);
    }
    let _ = editor.append_history(path);
}

fn plain(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    }
}

/// What helps to type a line.
struct LineHelper {
    questions: mpsc::Sender<CompletionQuery>,
    /// Whether nothing is typed, as Ctrl-C wants to know.
    empty: Arc<AtomicBool>,
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(complete::offers(&line[..position], &self.questions))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    /// Never hints; it is told of every change.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.empty.store(line.is_empty(), Ordering::Relaxed);
        None
    }
}

impl Highlighter for LineHelper {}
impl Validator for LineHelper {}
impl Helper for LineHelper {}
