//! A program at a pseudo-terminal, and what a person would see of it. Knows nothing of Quiver.

use std::io::{Read as _, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// How long anything may take that a person waits for.
const PATIENCE: Duration = Duration::from_secs(20);

const ROWS: u16 = 200;
const COLUMNS: u16 = 120;

/// A running program, its keyboard and its screen of 200 rows of 120 columns.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    keyboard: Box<dyn Write + Send>,
    screen: Arc<Screen>,
    reader: Option<JoinHandle<()>>,
    /// Open for as long as the program may write.
    _master: Box<dyn MasterPty + Send>,
}

struct Screen {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    parser: vt100::Parser,
    /// Everything the program wrote, escape sequences too.
    raw: Vec<u8>,
    ended: bool,
}

impl Terminal {
    /// Starts a program.
    #[must_use]
    pub fn start(command: CommandBuilder) -> Self {
        let size = PtySize { rows: ROWS, cols: COLUMNS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let child = pair.slave.spawn_command(command).expect("the program starts");
        drop(pair.slave);
        let mut output = pair.master.try_clone_reader().expect("the terminal's output");
        let keyboard = pair.master.take_writer().expect("the terminal's input");
        let (rows, columns) = (NonZeroU16::new(ROWS), NonZeroU16::new(COLUMNS));
        let (Some(rows), Some(columns)) = (rows, columns) else {
            unreachable!("both are positive")
        };
        let parser = vt100::Parser::new(rows, columns, 0);
        let state = Mutex::new(State { parser, raw: Vec::new(), ended: false });
        let screen = Arc::new(Screen { state, changed: Condvar::new() });
        let seen = screen.clone();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A pseudo-terminal ends with an error once its last program is gone.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut state = seen.state.lock().expect("the screen");
                state.parser.process(&buffer[..count]);
                state.raw.extend_from_slice(&buffer[..count]);
                seen.changed.notify_all();
            }
            seen.state.lock().expect("the screen").ended = true;
            seen.changed.notify_all();
        });
        Self { child, keyboard, screen, reader: Some(reader), _master: pair.master }
    }

    /// Types a text as it is; `\r` is Enter, `\x03` Ctrl-C, `\x04` Ctrl-D.
    pub fn type_text(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal takes what is typed");
        self.keyboard.flush().expect("the terminal takes what is typed");
    }

    /// Types a line and Enter.
    pub fn type_line(&mut self, line: &str) {
        self.type_text(&format!("{line}\r"));
    }

    /// What the screen shows: its rows, without what is blank at their ends and below them.
    #[must_use]
    pub fn contents(&self) -> String {
        visible(&self.screen.state.lock().expect("the screen"))
    }

    /// Everything the program wrote, escape sequences too.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.screen.state.lock().expect("the screen").raw.clone()
    }

    /// Waits until the screen ends with `text`.
    ///
    /// # Panics
    /// Where it does not within 20 s, or the program ends before; the screen is shown.
    pub fn wait_for_end(&self, text: &str) {
        self.wait_until(&format!("the screen to end with {text:?}"), |seen| seen.ends_with(text));
    }

    /// Waits until the screen shows `text` anywhere.
    ///
    /// # Panics
    /// Where it does not within 20 s, or the program ends before; the screen is shown.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(&format!("the screen to show {text:?}"), |seen| seen.contains(text));
    }

    /// Waits until the screen is as `wanted` says; `what` is for the message where it never is.
    ///
    /// # Panics
    /// Where it is not within 20 s, or the program ends before; the screen is shown.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        self.wait_state(what, |state| wanted(&visible(state)));
    }

    /// Waits until the program has written `text`, even where other lines have moved it off the
    /// screen since.
    ///
    /// # Panics
    /// Where it does not within 20 s, or the program ends before; the screen is shown.
    pub fn wait_for_output(&self, text: &str) {
        self.wait_state(&format!("{text:?} to be written"), |state| {
            state.raw.windows(text.len()).any(|written| written == text.as_bytes())
        });
    }

    fn wait_state(&self, what: &str, reached: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.screen.state.lock().expect("the screen");
        while !reached(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            let ended = state.ended;
            assert!(
                !ended,
                "the program ended; waited for {what}; the screen:\n{}",
                visible(&state)
            );
            let late = left.is_zero();
            assert!(!late, "waited in vain for {what}; the screen:\n{}", visible(&state));
            state = self.screen.changed.wait_timeout(state, left).expect("the screen").0;
        }
    }

    /// The program's process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.process_id().expect("the program was started")
    }

    /// Waits for the program to end, and for all it wrote.
    ///
    /// # Panics
    /// Where it does not end within 20 s.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.screen.state.lock().expect("the screen");
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the program goes on; the screen:\n{}", visible(&state));
            state = self.screen.changed.wait_timeout(state, left).expect("the screen").0;
        }
        drop(state);
        self.child.wait().expect("the program was started")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may end by itself at this moment.
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

fn visible(state: &State) -> String {
    let screen = state.parser.screen();
    let (row, _) = screen.cursor_position();
    let rows: Vec<String> = screen.rows(0, COLUMNS).collect();
    let last = rows.iter().rposition(|row| !row.trim_end().is_empty()).unwrap_or(0);
    let shown = &rows[..=last.max(usize::from(row))];
    shown.iter().map(|row| row.trim_end()).collect::<Vec<_>>().join("\n")
}
