//! A program at a pseudo-terminal, and its screen as a user sees it. Knows nothing of Quiver.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::terminal_picture::StyledText;
use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// The timeout of all waits.
const TIMEOUT: Duration = Duration::from_secs(20);

const ROWS: u16 = 200;
const COLUMNS: u16 = 120;

/// A running program with its keyboard and its screen of 200 rows and 120 columns.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
    /// Kept open as long as the program may write.
    master: Box<dyn MasterPty + Send>,
}

struct Screen {
    state: Mutex<ScreenState>,
    changed: Condvar,
}

struct ScreenState {
    parser: vt100::Parser,
    /// All output of the program, with escape sequences.
    raw: Vec<u8>,
    has_ended: bool,
}

impl Terminal {
    /// Starts a program.
    #[must_use]
    pub fn start(command: CommandBuilder) -> Self {
        Self::start_with_columns(command, COLUMNS)
    }

    /// Starts a program at a terminal with this many columns.
    ///
    /// # Panics
    /// If there are none.
    #[must_use]
    pub fn start_with_columns(command: CommandBuilder, columns: u16) -> Self {
        let size = PtySize { rows: ROWS, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().expect("the terminal's output");
        let keyboard = pair.master.take_writer().expect("the terminal's input");
        let (rows, columns) = (NonZeroU16::new(ROWS), NonZeroU16::new(columns));
        let (Some(rows), Some(columns)) = (rows, columns) else { panic!("a terminal has columns") };
        let parser = vt100::Parser::new(rows, columns, 0);
        let state = Mutex::new(ScreenState { parser, raw: Vec::new(), has_ended: false });
        let screen = Arc::new(Screen { state, changed: Condvar::new() });
        let reader_screen = screen.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Reading from a pseudo-terminal fails once its last program has exited.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut state = reader_screen.state.lock().expect("the screen");
                state.parser.process(&buffer[..count]);
                state.raw.extend_from_slice(&buffer[..count]);
                reader_screen.changed.notify_all();
            }
            reader_screen.state.lock().expect("the screen").has_ended = true;
            reader_screen.changed.notify_all();
        });
        Self { child, keyboard, screen, reader: Some(reader), master: pair.master }
    }

    /// Changes the number of columns.
    ///
    /// # Panics
    /// If the terminal cannot be resized.
    pub fn set_columns(&self, columns: NonZeroU16) {
        let rows = NonZeroU16::new(ROWS).expect("it is positive");
        let size = PtySize { rows: ROWS, cols: columns.get(), pixel_width: 0, pixel_height: 0 };
        self.screen.state.lock().expect("the screen").parser.screen_mut().set_size(rows, columns);
        self.master.resize(size).expect("the terminal can be resized");
    }

    /// Types a text unchanged; `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal accepts input");
        self.keyboard.flush().expect("the terminal accepts input");
    }

    /// Types a line and Enter.
    pub fn type_line(&mut self, line: &str) {
        self.type_text(&format!("{line}\r"));
    }

    /// The text on the screen, without trailing blanks and blank rows at the end.
    #[must_use]
    pub fn contents(&self) -> String {
        visible_text(&self.screen.state.lock().expect("the screen"))
    }

    /// Whether the last occurrence of `text` on the screen is in colour, all of it.
    ///
    /// # Panics
    /// If it is not on the screen.
    #[must_use]
    pub fn is_coloured(&self, text: &str) -> bool {
        let state = self.screen.state.lock().expect("the screen");
        let screen = state.parser.screen();
        let rows: Vec<String> = screen.rows(0, COLUMNS).collect();
        let found = rows.iter().enumerate().rev().find_map(|(row, shown)| {
            let start = shown.rfind(text)?;
            Some((u16::try_from(row).ok()?, shown[..start].chars().count()))
        });
        let (row, column) = found.unwrap_or_else(|| panic!("no {text:?} in {}", rows.join("\n")));
        (column..column + text.chars().count()).all(|column| {
            let cell = u16::try_from(column).ok().and_then(|column| screen.cell(row, column));
            cell.is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// The screen with its colours, without blank rows at the end.
    #[must_use]
    pub fn styled_rows(&self) -> Vec<Vec<StyledText>> {
        let state = self.screen.state.lock().expect("the screen");
        let screen = state.parser.screen();
        let last = visible_text(&state).lines().count();
        let rows = (0..u16::try_from(last).unwrap_or(ROWS)).map(|row| styled_row(screen, row));
        rows.collect()
    }

    /// All output of the program, with escape sequences.
    #[must_use]
    pub fn raw_output(&self) -> Vec<u8> {
        self.screen.state.lock().expect("the screen").raw.clone()
    }

    /// Waits until the screen ends with `text`.
    ///
    /// # Panics
    /// If it does not within 20 s, or the program exits first; the message contains the screen.
    pub fn wait_for_end(&self, text: &str) {
        self.wait_until(&format!("the screen to end with {text:?}"), |screen| {
            screen.ends_with(text)
        });
    }

    /// Waits until the screen shows `text` anywhere.
    ///
    /// # Panics
    /// If it does not within 20 s, or the program exits first; the message contains the screen.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("the screen to show {text:?}"), |screen| screen.contains(text));
    }

    /// Waits until `condition` holds for the text on the screen; `what` is for the message of a failure.
    ///
    /// # Panics
    /// If it does not within 20 s, or the program exits first; the message contains the screen.
    pub fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        self.wait_for_state(what, |state| condition(&visible_text(state)));
    }

    /// Waits until the program has written `text`, in whatever colours, even if it has scrolled off the screen since.
    ///
    /// # Panics
    /// If it does not within 20 s, or the program exits first; the message contains the screen.
    pub fn wait_for_output(&self, text: &str) {
        self.wait_for_state(&format!("{text:?} to be written"), |state| {
            without_colours(&state.raw)
                .windows(text.len())
                .any(|written| written == text.as_bytes())
        });
    }

    fn wait_for_state(&self, what: &str, condition: impl Fn(&ScreenState) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.screen.state.lock().expect("the screen");
        while !condition(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            let has_ended = state.has_ended;
            assert!(
                !has_ended,
                "the program exited; waited for {what}; the screen:\n{}",
                visible_text(&state)
            );
            let is_late = left.is_zero();
            assert!(!is_late, "waited 20 s for {what}; the screen:\n{}", visible_text(&state));
            state = self.screen.changed.wait_timeout(state, left).expect("the screen").0;
        }
    }

    /// The program's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.process_id().expect("the program was started")
    }

    /// Waits for the program to exit, and for all its output.
    ///
    /// # Panics
    /// If it does not exit within 20 s.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        let mut state = self.screen.state.lock().expect("the screen");
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "the program did not exit; the screen:\n{}",
                visible_text(&state)
            );
            state = self.screen.changed.wait_timeout(state, left).expect("the screen").0;
        }
        drop(state);
        self.child.wait().expect("the program was started")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // Fails only if it has just exited.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("screen", &self.contents()).finish_non_exhaustive()
    }
}

/// A row of the screen, without blanks at its end.
fn styled_row(screen: &vt100::Screen, row: u16) -> Vec<StyledText> {
    let mut parts: Vec<StyledText> = Vec::new();
    for cell in (0..COLUMNS).map_while(|column| screen.cell(row, column)) {
        let colour = match cell.fgcolor() {
            vt100::Color::Idx(number) => Some(number),
            vt100::Color::Default | vt100::Color::Rgb(..) => None,
        };
        let text = if cell.is_wide_continuation() {
            ""
        } else if cell.contents().is_empty() {
            " "
        } else {
            cell.contents()
        };
        match parts.last_mut() {
            Some(last) if (last.colour, last.is_bold) == (colour, cell.bold()) => {
                last.text.push_str(text);
            }
            _ => {
                let (text, is_bold) = (text.to_owned(), cell.bold());
                parts.push(StyledText { text, colour, is_bold });
            }
        }
    }
    if let Some(last) = parts.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    parts.retain(|part| !part.text.is_empty());
    parts
}

/// Output without the escape sequences of colours, `ESC [ digits m`.
fn without_colours(raw: &[u8]) -> Vec<u8> {
    let mut rest = raw;
    let mut text = Vec::with_capacity(raw.len());
    while let Some((first, after)) = rest.split_first() {
        let sequence = rest.strip_prefix(b"\x1b[").and_then(|parameters| {
            let end = parameters.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';'))?;
            (parameters[end] == b'm').then(|| &parameters[end + 1..])
        });
        match sequence {
            Some(after) => rest = after,
            None => {
                text.push(*first);
                rest = after;
            }
        }
    }
    text
}

fn visible_text(state: &ScreenState) -> String {
    let screen = state.parser.screen();
    let (row, _) = screen.cursor_position();
    let rows: Vec<String> = screen.rows(0, COLUMNS).collect();
    let last = rows.iter().rposition(|row| !row.trim_end().is_empty()).unwrap_or(0);
    let shown = &rows[..=last.max(usize::from(row))];
    shown.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
}
